// <live-chart></live-chart>: aligned strips on one axis of time: requests, latency, errors, cache hits, instances.
//   show(live, events, window)   live: GET /api/live; events: GET /api/happenings; window: one of logic/live.js

import { svg } from "../../lib/dom.js";
import { whole } from "../../lib/format.js";
import {
  areaPath, axisOf, columnsOf, decadesOf, errorShare, eventMarks, heatCells, isMarked, lastOf, latencyPath, latencyRange, latencyY, linePath, ms, niceMax, sentence, stepPath,
} from "../../logic/live.js";

const NARROW_BELOW = 520;
const GAP_WIDE = 20;
const GAP_NARROW = 34;
const TICKS = 5;

export class LiveChart extends HTMLElement {
  #shown = null;
  #resized = new ResizeObserver(() => this.#draw());

  connectedCallback() {
    this.#resized.observe(this);
  }

  disconnectedCallback() {
    this.#resized.disconnect();
  }

  show(live, events, window) {
    this.#shown = { live, events, window };
    this.#draw();
  }

  #draw() {
    if (this.#shown === null || this.clientWidth === 0) return;
    const drawing = new Drawing(this.clientWidth, this.#shown);
    this.replaceChildren(drawing.whole());
  }
}

/** One picture for one width. Each strip moves `#y` down. */
class Drawing {
  #parts = [];
  #y;

  constructor(width, { live, events, window }) {
    this.live = live;
    this.events = events;
    this.window = window;
    this.width = width;
    this.narrow = width < NARROW_BELOW;
    this.left = this.narrow ? 0 : 118;
    this.right = this.narrow ? 64 : 72;
    this.#y = this.narrow ? 18 : 6;
    this.top = this.#y;
    this.axis = axisOf(live, window.seconds);
    this.columns = columnsOf(live, this.axis, this.#box(0));
  }

  whole() {
    const { series, heat } = this.live;
    this.#strip("Requests", "per second", whole(series.rate.at(-1) ?? 0), 46, series.rate, niceMax(series.rate, 10), "var(--ink)");
    this.#latency(heat, series);
    const errors = errorShare(series);
    const lately = lastOf(errors);
    this.#strip("Errors", "per cent of answers", lately === null ? "—" : lately.toFixed(1), 30, errors, niceMax(errors, 1), "var(--bad)");
    const hits = series.hits.map((share) => (share === null ? null : share * 100));
    const hit = lastOf(hits);
    this.#strip("Cache hits", "per cent of reads", hit === null ? "—" : whole(hit), 30, hits, 100, "var(--data)");
    this.#instances(series.instances);
    this.#marks();
    this.#ticks();
    const height = this.#y + 24;
    return svg("svg", { width: this.width, height, viewBox: `0 0 ${this.width} ${height}`, role: "img", "aria-label": sentence(this.live, this.window.title) }, this.#parts);
  }

  #box(height) {
    return { x: this.left, y: this.#y, width: Math.max(1, this.width - this.left - this.right), height };
  }

  #head(title, unit, value, height) {
    const y = this.#y;
    if (this.narrow) {
      this.#parts.push(
        svg("text", { x: 0, y: y - 5, class: "cl halo" }, `${title} `, svg("tspan", { class: "cs" }, unit)),
        svg("text", { x: this.width, y: y - 5, class: "cv", "text-anchor": "end" }, value));
      return;
    }
    this.#parts.push(
      svg("text", { x: 0, y: y + 14, class: "cl" }, title),
      svg("text", { x: 0, y: y + 30, class: "cs" }, unit),
      svg("text", { x: this.width, y: y + height - 2, class: "cv", "text-anchor": "end" }, value));
  }

  #foot(box) {
    this.#parts.push(svg("path", { d: `M${box.x} ${box.y + box.height}h${box.width}`, class: "foot" }));
  }

  #strip(title, unit, value, height, values, max, colour) {
    const box = this.#box(height);
    this.#head(title, unit, value, height);
    this.#foot(box);
    this.#parts.push(
      svg("path", { d: areaPath(values, this.columns, max, box), fill: colour, opacity: 0.16 }),
      svg("path", { d: linePath(values, this.columns, max, box), fill: "none", stroke: colour, "stroke-width": 1.75 }));
    if (!this.narrow) this.#parts.push(svg("text", { x: this.left - 8, y: box.y + 8, class: "cs", "text-anchor": "end" }, whole(max)));
    this.#y += height + (this.narrow ? GAP_NARROW : GAP_WIDE);
  }

  #latency(heat, { p50_ms, p99_ms }) {
    const box = this.#box(230);
    const range = latencyRange(heat);
    this.heatTop = box.y;
    this.#head("Latency", "ms, log scale", "", 230);
    const cells = heatCells(heat, this.columns, range, box).map(({ x, y, width, height, share }) =>
      svg("rect", { x: x.toFixed(1), y: y.toFixed(1), width: Math.max(0.6, width - 0.6).toFixed(1), height: Math.max(0.6, height - 0.6).toFixed(1), opacity: (0.08 + 0.84 * share).toFixed(2) }));
    this.#parts.push(svg("g", { fill: "var(--ink)" }, cells));
    for (const decade of decadesOf(range)) {
      const y = latencyY(decade, range, box);
      // Inside the picture, above its line: only the topmost would stand in the title.
      const above = y - 3 > box.y ? -3 : 12;
      const label = { x: this.narrow ? 2 : this.left - 8, y: y + (this.narrow ? above : 4), class: "cs halo", "text-anchor": this.narrow ? "start" : "end" };
      this.#parts.push(svg("path", { d: `M${box.x} ${y}h${box.width}`, class: "rule" }));
      // Where the strip's own words stand there is no room for the highest.
      if (this.narrow && y - box.y < 12) continue;
      this.#parts.push(svg("text", label, decade >= 1 ? whole(decade) : String(Number(decade.toPrecision(1)))));
    }
    const path = latencyPath(p99_ms, this.columns, range, box);
    this.#parts.push(
      svg("path", { d: path, fill: "none", stroke: "var(--paper)", "stroke-width": 4 }),
      svg("path", { d: path, fill: "none", stroke: "var(--ink)", "stroke-width": 1.75, "stroke-dasharray": "5 2" }));
    this.#percentiles(lastOf(p50_ms), lastOf(p99_ms), range, box);
    this.#foot(box);
    this.#y += box.height + (this.narrow ? GAP_NARROW : GAP_WIDE);
  }

  /** The two figures at the right, apart even where the lines are not. */
  #percentiles(p50, p99, range, box) {
    if (p50 === null || p99 === null) return;
    const low = latencyY(p50, range, box) + 4;
    const high = Math.min(latencyY(p99, range, box) + 4, low - 16);
    for (const [label, value, y] of [["p99", p99, high], ["p50", p50, low]]) {
      this.#parts.push(svg("text", { x: this.width, y, class: "cv", "text-anchor": "end" }, `${label} ${ms(value)}`));
    }
  }

  #instances(values) {
    const box = this.#box(36);
    this.#head("Instances", "serving", String(lastOf(values) ?? "—"), 36);
    this.#foot(box);
    const path = stepPath(values, this.columns, Math.max(3, ...values.map((value) => value ?? 0)), { ...box, y: box.y + 2, height: box.height - 2 });
    this.#parts.push(svg("path", { d: path, fill: "none", stroke: "var(--balancer)", "stroke-width": 4 }));
    this.#y += box.height;
  }

  #marks() {
    for (const { x, label, bad } of eventMarks(this.events.filter(isMarked), this.axis, this.#box(0))) {
      this.#parts.push(svg("path", { d: `M${x.toFixed(1)} ${this.top}V${this.#y}`, class: bad ? "mark bad" : "mark" }));
      if (label !== null) this.#parts.push(svg("text", { x: x + 5, y: this.heatTop + 13, class: bad ? "cs halo badf" : "cs halo" }, label));
    }
  }

  #ticks() {
    const box = this.#box(0);
    const { seconds } = this.window;
    const unit = seconds > 120 ? 60 : 1;
    const step = this.narrow ? TICKS : 1;
    for (let index = 0; index <= TICKS; index += step) {
      // The first one's words take the second one's place.
      if (this.narrow && index === 1) continue;
      const ago = Math.round((seconds * (1 - index / TICKS)) / unit);
      const name = unit === 60 ? "min" : "s";
      const label = index === TICKS ? "now" : index === 0 ? `${ago} ${name} ago` : String(ago);
      this.#parts.push(svg("text", { x: box.x + (index / TICKS) * box.width, y: this.#y + 18, class: "cs", "text-anchor": index === 0 ? "start" : index === TICKS ? "end" : "middle" }, label));
    }
  }
}

export const registerLiveChart = () => customElements.define("live-chart", LiveChart);
