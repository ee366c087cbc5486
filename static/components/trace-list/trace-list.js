// <trace-list></trace-list>: what was found, newest first.
//   show(journeys)   summaries of GET /api/traces

import { h, keyed } from "../../lib/dom.js";
import { cross, triangle } from "../../lib/glyphs.js";
import { clockTime } from "../../lib/format.js";
import { WHOLE_LINE } from "../../lib/layers.js";
import { succeeded } from "../../logic/trip.js";
import { keptSays, sharesOf, tookSays } from "../../logic/traces.js";
import { bullet } from "../waterfall/draw-rows.js";

export class TraceList extends HTMLElement {
  #list = h("ol", { class: "traces", "aria-labelledby": "found-title" });

  connectedCallback() {
    this.replaceChildren(this.#list);
  }

  show(journeys) {
    keyed(this.#list, sharesOf(journeys), ({ trace_id }) => trace_id, draw, (item, { share }) => item.querySelector(".tr-bar").style.setProperty("--share", share));
  }
}

function draw(journey) {
  const { trace_id, sent_at, method, path, route, status, total_us, turn, faults, kept } = journey;
  const layer = WHOLE_LINE.of(turn);
  const failed = !succeeded(journey);
  return h("li", { "data-layer": turn }, h("a", { href: `/journeys/${trace_id}` },
    h("span", { class: "tr-time tnum muted" }, clockTime(sent_at)),
    h("span", { class: "tr-what mono", title: route ?? path }, `${method} ${path}`),
    h("span", { class: failed ? "tr-status tnum bad" : "tr-status tnum" }, failed && cross(10), ` ${status || "no answer"}`),
    h("span", { class: "tr-turn" }, layer && bullet(layer), h("span", { class: "vh" }, `turned at ${layer?.name ?? turn}`)),
    h("span", { class: "tr-bar", "aria-hidden": "true" }, h("i")),
    h("span", { class: "tr-took num" }, tookSays(total_us)),
    h("span", { class: "tr-why soft small" }, faults.length > 0 ? h("span", { class: "tag bad" }, triangle(11), faults.map((key) => key.replace("fault.", "")).join(", ")) : keptSays(kept))));
}

export const registerTraceList = () => customElements.define("trace-list", TraceList);
