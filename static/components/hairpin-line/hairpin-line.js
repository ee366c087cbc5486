// <hairpin-line around="form-id">: the eight stations as a line around a form, the visitor at the first.
//
// Decoration that follows the form's real size: hidden from screen readers, drawn anew on every resize.

import { svg } from "../../lib/dom.js";
import { LAYERS } from "../../lib/layers.js";
import { HAIRPIN_WIDTH_MIN, hairpin, strip } from "./geometry.js";

const INK = "var(--ink)";
const PAPER = "var(--paper)";

export class HairpinLine extends HTMLElement {
  #sizes = new ResizeObserver(() => this.#draw());

  connectedCallback() {
    this.setAttribute("aria-hidden", "true");
    this.#sizes.observe(this);
    this.#sizes.observe(this.#form);
  }

  disconnectedCallback() {
    this.#sizes.disconnect();
  }

  get #form() {
    return document.getElementById(this.getAttribute("around"));
  }

  #draw() {
    const frame = this.getBoundingClientRect();
    const parts = frame.width < HAIRPIN_WIDTH_MIN ? this.#narrow(frame) : this.#wide(frame);
    this.replaceChildren(svg("svg", { width: frame.width, height: frame.height }, parts));
  }

  #narrow(frame) {
    const stations = strip({ width: frame.width, count: LAYERS.length });
    return [track(stations, 10), stations.map(({ x, y }, index) => station(x, y, index === 0 ? 14 : 10, index === 0, 4))];
  }

  #wide(frame) {
    const box = this.#form.getBoundingClientRect();
    const form = {
      left: box.left - frame.left,
      right: box.right - frame.left,
      top: box.top - frame.top,
      bottom: box.bottom - frame.top,
    };
    const { stations, back, arrows } = hairpin({ width: frame.width, height: frame.height, form, count: LAYERS.length });
    return [
      track(stations, 14),
      // Hollow is coming back: a wide stroke with a paper core.
      svg("path", { d: back, fill: "none", stroke: "var(--client)", "stroke-width": 14 }),
      svg("path", { d: back, fill: "none", stroke: PAPER, "stroke-width": 7 }),
      arrows.map(({ x, y }) => svg("path", { class: "arrow", d: `M${x + 9} ${y - 10}v20l-17 -10z`, fill: INK })),
      stations.map(({ x, y }, index) => named(x, y, index)),
    ];
  }
}

/** The way out: each stretch in the colour of the layer that it leads to. */
const track = (stations, width) =>
  stations.slice(1).map(({ x, y }, index) =>
    svg("path", { d: `M${stations[index].x} ${y}H${x}`, stroke: `var(--${LAYERS[index + 1].id})`, "stroke-width": width }));

const station = (x, y, radius, here, stroke) =>
  svg("circle", { cx: x, cy: y, r: radius, fill: here ? INK : PAPER, stroke: INK, "stroke-width": stroke });

function named(x, y, index) {
  const { number, name } = LAYERS[index];
  const here = index === 0;
  const label = here
    ? svg("text", { class: "name", x: x + 38, y: y - 20 }, `${name}: you`)
    : svg("text", { class: "name", x: x - 6, y: y - 30, transform: `rotate(-38 ${x - 6} ${y - 30})` }, name);
  return svg("g", { class: here ? "here" : null },
    station(x, y, here ? 22 : 17, here, here ? 6 : 5),
    svg("text", { class: "number", x, y: y + 6, "text-anchor": "middle" }, String(number)),
    label);
}

export const registerHairpinLine = () => customElements.define("hairpin-line", HairpinLine);
