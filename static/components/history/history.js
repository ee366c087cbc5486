// <journey-history></journey-history>: what was sent before, newest first.
//   show({ summaries, current, line })
// Says "open" (detail: trace id).

import { h, keyed } from "../../lib/dom.js";
import { clockTime, us } from "../../lib/format.js";
import { triangle } from "../../lib/glyphs.js";
import { WHOLE_LINE } from "../../lib/layers.js";
import { succeeded } from "../../logic/trip.js";
import { bullet } from "../waterfall/draw-rows.js";

export class JourneyHistory extends HTMLElement {
  #list = h("ol", { class: "sent", tabindex: 0, "aria-labelledby": "history-title" });

  connectedCallback() {
    this.replaceChildren(
      h("div", { class: "head" }, h("h2", { id: "history-title" }, "Sent before"), h("p", { class: "small muted end" }, "µs there and back")),
      this.#list);
  }

  show({ summaries, current, line }) {
    this.hidden = summaries.length === 0;
    keyed(this.#list, summaries, (summary) => summary.trace_id, (summary) => this.#item(summary, line), (item, { trace_id }) => {
      const link = item.firstElementChild;
      if (trace_id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  }

  #item(summary, line) {
    // One that came further than the line reaches was sent when more stood behind.
    const turn = line.of(summary.turn) ?? WHOLE_LINE.of(summary.turn);
    const how = [summary.as, summary.connection === "kept" ? "kept open" : summary.connection].filter(Boolean).join(", ");
    return h("li", {}, h("a", { href: `/journeys/${summary.trace_id}`, onclick: (event) => this.#open(event, summary.trace_id) },
      h("span", { class: "sent-time tnum muted" }, clockTime(summary.sent_at)),
      h("span", { class: "sent-what mono" }, `${summary.method} ${summary.path}`,
        summary.faults?.length > 0 && [" ", h("span", { class: "bad", title: summary.faults.join(", ") }, triangle(11), h("span", { class: "vh" }, "broken on purpose"))]),
      h("span", { class: "sent-how soft" }, summary.probe ? how : how || "from elsewhere"),
      h("span", { class: succeeded(summary) ? "sent-status tnum" : "sent-status tnum bad" },
        turn && bullet(turn), turn && h("span", { class: "vh" }, `turned at ${turn.name}, `),
        summary.status ? String(summary.status) : "no answer"),
      h("span", { class: "sent-us num" }, us(summary.total_us))));
  }

  #open(event, id) {
    // A click with a modifier means a new tab: the address works there too.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    this.dispatchEvent(new CustomEvent("open", { detail: id }));
  }
}

export const registerHistory = () => customElements.define("journey-history", JourneyHistory);
