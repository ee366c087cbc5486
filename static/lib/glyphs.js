// Small drawings used beside words. Shape says it first, colour second; all are hidden from readers.

import { svg } from "./dom.js";

const drawing = (size, ...children) =>
  svg("svg", { width: size, height: size, viewBox: "0 0 12 12", "aria-hidden": "true" }, ...children);

export const play = (size = 12) => drawing(size, svg("path", { d: "M2 1l9 5-9 5z", fill: "currentColor" }));

export const pause = (size = 12) =>
  drawing(size, svg("path", { d: "M3 1v10M9 1v10", stroke: "currentColor", "stroke-width": 3 }));

export const cross = (size = 12) =>
  drawing(size, svg("path", { d: "M2 2l8 8M10 2l-8 8", stroke: "currentColor", "stroke-width": 2.6 }));

/** Slow, or struck: a triangle. */
export const triangle = (size = 12) =>
  drawing(size, svg("path", { d: "M6 1l5 10H1z", fill: "none", stroke: "currentColor", "stroke-width": 2 }));

/** More can be said about this: a line that opens downwards. */
export const opener = (size = 12) =>
  drawing(size, svg("path", { d: "M2 4l4 4 4-4", fill: "none", stroke: "currentColor", "stroke-width": 2 }));

/** The brand: a line that goes out, turns round and comes home. */
export function brand() {
  return svg("svg", { width: 26, height: 20, viewBox: "0 0 26 20", "aria-hidden": "true" },
    svg("path", { d: "M4 5h13a5 5 0 0 1 0 10H8", fill: "none", stroke: "currentColor", "stroke-width": 4 }),
    svg("circle", { cx: 4, cy: 5, r: 3.2, fill: "var(--paper)", stroke: "currentColor", "stroke-width": 2.4 }),
    svg("path", { d: "M10.5 10v10L3 15z", fill: "currentColor" }));
}
