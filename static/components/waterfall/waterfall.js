// <trip-waterfall></trip-waterfall>: where the time went, span by span.
//   show({ trip, selected })   select(hop)   frame(at_us), rest() follow the player's clock
// Says "station" (detail: hop) when a row is chosen. One tab stop; up and down move between rows.

import { h, keyed } from "../../lib/dom.js";
import { barIn, rangeOf, ROWS_MAX, rowsOf, segmentsOf, ticksOf } from "../../logic/waterfall.js";
import { drawAxis, drawRow, drawSummary } from "./draw-rows.js";

const RANGES = [["all", "Whole trip"], ["inside", "From the balancer on"]];

export class TripWaterfall extends HTMLElement {
  #trip = null;
  #selected = null;
  #range = "all";
  #open = new Set();
  #uncut = false;
  #axis = h("div", { class: "wf-axis", "aria-hidden": "true" });
  #summary = h("div", { class: "wf-row wf-sum top" });
  #rows = h("div", { class: "wf-rows" });
  #cursor = h("i", { class: "wf-play" });
  #rest = h("button", { class: "btn tiny", type: "button", onclick: () => this.#showAll() });

  connectedCallback() {
    const choices = RANGES.map(([value, title]) =>
      h("label", {}, h("input", { type: "radio", name: "range", value, checked: value === this.#range, onchange: () => this.#setRange(value) }), title));
    this.replaceChildren(
      h("div", { class: "head" },
        h("h2", { id: "waterfall-title" }, "Where the time went"),
        h("fieldset", { class: "end" }, h("legend", { class: "vh" }, "Waterfall range"), h("div", { class: "seg s" }, choices))),
      h("div", { class: "wf" }, this.#axis, this.#summary, this.#rows, this.#cursor),
      this.#rest,
      h("p", { class: "wf-foot" },
        "Microseconds. Solid: going. Hollow: coming back. Dotted: after the answer has left. Every figure measured on this machine. Keys ",
        h("span", { class: "kbd" }, "1"), " to ", h("span", { class: "kbd" }, "8"), " pick a station."));
    this.#rows.addEventListener("keydown", (event) => this.#key(event));
  }

  show({ trip, selected }) {
    if (this.#trip?.journey.trace_id !== trip.journey.trace_id) {
      this.#open.clear();
      this.#uncut = false;
    }
    this.#trip = trip;
    this.#selected = selected;
    this.#draw();
    this.rest();
  }

  select(hop) {
    this.#selected = hop;
    for (const row of this.#rows.children) row.setAttribute("aria-pressed", String(row.dataset.layer === hop));
  }

  frame(at_us) {
    const range = rangeOf(this.#trip, this.#range);
    for (const bar of this.querySelectorAll(".wf-bar")) bar.style.setProperty("clip-path", uncovered(at_us, Number(bar.dataset.start), Number(bar.dataset.end)));
    this.querySelector(".bar-all").style.setProperty("clip-path", uncovered(at_us, range.low_us, range.high_us));
    this.#placeCursor((at_us - range.low_us) / (range.high_us - range.low_us));
  }

  rest() {
    for (const bar of this.querySelectorAll(".wf-bar, .bar-all")) bar.style.removeProperty("clip-path");
    this.#cursor.style.setProperty("display", "none");
  }

  #setRange(value) {
    this.#range = value;
    this.#draw();
  }

  #showAll() {
    this.#uncut = true;
    this.#draw();
    this.#rows.children[ROWS_MAX]?.focus();
  }

  #draw() {
    const range = rangeOf(this.#trip, this.#range);
    const { step, ticks } = ticksOf(range);
    this.style.setProperty("--tick", `${step}%`);
    drawAxis(this.#axis, ticks, range.low_us > 0);
    drawSummary(this.#summary, RANGES.find(([value]) => value === this.#range)[1], segmentsOf(this.#trip, range), range, this.#trip.line);
    const inside = rowsOf(this.#trip, this.#open)
      .map((row) => ({ ...row, drawn: row.bars.map((bar) => ({ bar, place: barIn(range, bar, row.mark) })).filter(({ place }) => place) }))
      .filter((row) => row.drawn.length > 0 || row.bars.length === 0);
    const rows = this.#uncut ? inside : inside.slice(0, ROWS_MAX);
    keyed(this.#rows, rows, (row) => row.key, () => h("button", { type: "button", class: "wf-row", tabindex: -1 }), (button, row) => {
      drawRow(button, row, row.hop === this.#selected, this.#trip.line);
      button.onclick = () => this.#choose(row);
    });
    if (!this.#rows.querySelector("[tabindex='0']")) this.#rows.firstElementChild?.setAttribute("tabindex", "0");
    this.#rest.hidden = rows.length === inside.length;
    this.#rest.textContent = `Show the other ${inside.length - rows.length} rows`;
  }

  #choose(row) {
    if (row.fold) {
      if (this.#open.has(row.key)) this.#open.delete(row.key);
      else this.#open.add(row.key);
      this.#draw();
    }
    if (row.hop) this.dispatchEvent(new CustomEvent("station", { detail: row.hop, bubbles: true }));
  }

  #key(event) {
    const rows = [...this.#rows.children];
    const at = rows.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = rows[Math.min(rows.length - 1, Math.max(0, to))];
    for (const row of rows) row.setAttribute("tabindex", row === next ? "0" : "-1");
    next.focus();
  }

  #placeCursor(share) {
    const track = this.querySelector(".wf-track");
    const from = track.getBoundingClientRect();
    const base = track.closest(".wf").getBoundingClientRect();
    this.#cursor.style.setProperty("display", share < 0 || share > 1 ? "none" : "block");
    this.#cursor.style.setProperty("left", `${from.left - base.left + share * from.width}px`);
  }
}

/** Cuts a bar at the present moment of the replay. */
function uncovered(at_us, start_us, end_us) {
  const share = (at_us - start_us) / Math.max(end_us - start_us, 0.001);
  return share >= 1 ? "none" : `inset(-2px ${100 - 100 * Math.max(0, share)}% -2px 0)`;
}

export const registerWaterfall = () => customElements.define("trip-waterfall", TripWaterfall);
