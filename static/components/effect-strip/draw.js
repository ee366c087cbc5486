// The small curves of the strip: as wide as their cell, a minute long, with a mark where a fault began or ended.

import { h, svg } from "../../lib/dom.js";
import { WINDOW_S } from "../../logic/effect.js";

const WIDTH = 170;
const HEIGHT = 36;
// The highest point and a line's own thickness need air.
const AIR = 1.1;

/** `points` give the time of each of `ys`; a null leaves a gap. */
export function drawCurve({ ys, max, bad }, points, marks) {
  const newest_ms = points.at(-1)?.at_ms ?? 0;
  const high = (max ?? Math.max(0, ...ys.filter((y) => y !== null))) * AIR || 1;
  const x = (at_ms) => WIDTH * (1 - (newest_ms - at_ms) / (WINDOW_S * 1000));
  const y = (value) => HEIGHT - (HEIGHT * Math.min(value, high)) / high;
  const runs = runsOf(points.map(({ at_ms }, index) => (ys[index] === null ? null : [x(at_ms), y(ys[index])])));
  const path = (run) => run.map(([left, top], index) => `${index ? "L" : "M"}${left.toFixed(1)} ${top.toFixed(1)}`).join("");
  return svg("svg", { class: bad ? "spark bad" : "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    runs.map((run) => svg("path", { class: "area", d: `${path(run)}L${run.at(-1)[0].toFixed(1)} ${HEIGHT}L${run[0][0].toFixed(1)} ${HEIGHT}z` })),
    runs.map((run) => svg("path", { class: "curve", d: run.length > 1 ? path(run) : `${path(run)}h0` })),
    marks.map(({ at_ms, began }) => [x(at_ms), began]).filter(([left]) => left >= 0 && left <= WIDTH)
      .map(([left, began]) => svg("path", { class: began ? "mark" : "mark over", d: `M${left.toFixed(1)} 0V${HEIGHT}` })));
}

/** Stretches without a gap. A single point is one, too: a line of no length, whose round ends are a dot. */
function runsOf(places) {
  const runs = [[]];
  for (const place of places) {
    if (place === null) runs.push([]);
    else runs.at(-1).push(place);
  }
  return runs.filter((run) => run.length > 0);
}

/** A breaker as a points lever: closed lets the line through, open cuts it. */
export function drawBreaker(state) {
  const open = state === "open" || state === "forced_open";
  const half = state === "half_open";
  const parts = open || half
    ? [svg("path", { class: "rail-on", d: "M0 18H62" }), svg("path", { class: half ? "lever half" : "lever", d: half ? "M62 18l38 -7" : "M62 18l30 -15" }),
      svg("path", { class: "rail-off", d: "M104 18H170" }), svg("circle", { cx: 62, cy: 18, r: 5 })]
    : [svg("path", { class: "rail-on", d: "M0 18H170" })];
  return svg("svg", { class: "breaker", "data-layer": "service", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "xMinYMid meet", "aria-hidden": "true" }, parts);
}

export const cell = (title, value, bad, drawing, aside) =>
  h("div", { class: "eff" },
    h("dt", { class: "eff-k" }, title), h("dd", { class: bad ? "eff-v tnum bad" : "eff-v tnum" }, value),
    h("dd", { class: "eff-was muted tnum" }, aside), h("dd", { class: "eff-draw", "aria-hidden": "true" }, drawing));
