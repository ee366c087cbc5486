// Strokes and words of the map. Layer colours come from data-layer, everything else from classes.

import { svg } from "../../lib/dom.js";

export const track = (d, className, attributes = {}) => svg("path", { d, class: `track ${className}`, ...attributes });

export const text = (x, y, className, anchor, ...parts) =>
  svg("text", { x, y, class: className, "text-anchor": anchor }, ...parts);

export const span = (className, content) => svg("tspan", { class: className }, content);

/** Broken: the track is cut here. */
export const brokenAt = (x, y) => svg("g", { class: "broken" },
  svg("circle", { cx: x, cy: y, r: 10 }),
  svg("path", { d: `M${x - 5} ${y - 5}l10 10m0-10l-10 10` }));

/** Slow: a hollow triangle on the track. */
export const slowAt = (x, y) => svg("path", { class: "slow", d: `M${x} ${y - 6}l6 11h-12z` });
