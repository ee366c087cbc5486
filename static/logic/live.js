// What the Live page draws, as geometry: values in, paths and places out. Knows no DOM.

import { whole } from "../lib/format.js";

export const WINDOWS = [
  { seconds: 60, title: "1 min" },
  { seconds: 300, title: "5 min" },
  { seconds: 900, title: "15 min" },
  { seconds: 3600, title: "1 h" },
];

/** Full from here on is worth a mark. */
export const HOT = 0.85;

/** The latency axis when nothing has been measured, in ms. */
const QUIET_RANGE = [0.1, 100];
/** Labels of events stand so far apart, or they are not written. */
const LABEL_PX = 112;

/** A round number at or above the largest value: 1, 2 or 5 times a power of ten. */
export function niceMax(values, least = 1) {
  const max = Math.max(least, ...values.filter((value) => value !== null));
  const power = 10 ** Math.floor(Math.log10(max));
  return [1, 2, 5, 10].map((times) => times * power).find((value) => value >= max);
}

/** The time that the picture shows: all of the window, whether there are figures of it or not. */
export const axisOf = ({ now_ms }, seconds) => ({ from_ms: now_ms - 1000 * seconds, to_ms: now_ms });

/** Where a moment stands on the axis. */
export const timeX = (at_ms, { from_ms, to_ms }, { x, width }) => x + Math.min(1, Math.max(0, (at_ms - from_ms) / (to_ms - from_ms))) * width;

/**
 * A column a step, at its time: { left, right, x, joined }. `joined`: it follows the one before. Looks are a second
 * apart, or a little more, so that a step may be without one; from two on that are missing it is a gap.
 */
export function columnsOf({ series: { at_ms }, step_s }, axis, box) {
  const step_ms = 1000 * step_s;
  return at_ms.map((at, index) => {
    const [left, right] = [timeX(at, axis, box), timeX(at + step_ms, axis, box)];
    return { left, right, x: (left + right) / 2, joined: index > 0 && at - at_ms[index - 1] <= 2 * step_ms };
  });
}

/** The path of a strip; null values are gaps, and so is time without a column. `box`: { x, y, width, height }. */
export const linePath = (values, columns, max, box) => pathOf(values, columns, (value) => heightOf(value, max, box));

/** The same on the axis of latencies. */
export const latencyPath = (values, columns, range, box) => pathOf(values, columns, (value) => latencyY(value, range, box));

const pathOf = (values, columns, y) =>
  runsOf(values, columns).map((run) => run.map((index, place) => `${place ? "L" : "M"}${columns[index].x.toFixed(1)} ${y(values[index]).toFixed(1)}`).join("")).join("");

const heightOf = (value, max, box) => box.y + box.height * (1 - Math.min(value, max) / max);

/** The same as an area down to the foot; gaps stay open. */
export function areaPath(values, columns, max, box) {
  const foot = (box.y + box.height).toFixed(1);
  return runsOf(values, columns).map((run) => {
    const line = run.map((index) => `L${columns[index].x.toFixed(1)} ${heightOf(values[index], max, box).toFixed(1)}`).join("");
    return `M${columns[run[0]].x.toFixed(1)} ${foot}${line}V${foot}z`;
  }).join("");
}

/** A value that holds until it changes: the number of instances. */
export const stepPath = (values, columns, max, box) =>
  runsOf(values, columns).map((run) => run.map((index, place) => {
    const [x, y] = [columns[index].x.toFixed(1), heightOf(values[index], max, box).toFixed(1)];
    return place ? `H${x}V${y}` : `M${x} ${y}`;
  }).join("")).join("");

/** Places of values that belong together: [[0, 1, 2], [5, 6]]. */
function runsOf(values, columns) {
  const runs = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (columns[index].joined && runs.at(-1)?.at(-1) === index - 1) runs.at(-1).push(index);
    else runs.push([index]);
  });
  return runs;
}

/** The latency axis in ms, whole decades around everything that was counted. */
export function latencyRange({ le_ms, counts }) {
  let [least, most] = [Infinity, 0];
  for (const step of counts) {
    step.forEach((count, bucket) => {
      if (count === 0) return;
      least = Math.min(least, bucket === 0 ? le_ms[0] / 2 : le_ms[bucket - 1]);
      most = Math.max(most, le_ms[bucket] ?? le_ms.at(-1) * 2);
    });
  }
  if (most === 0) return QUIET_RANGE;
  const decade = (value, round) => 10 ** round(Math.log10(value));
  const low = decade(least, Math.floor);
  return [low, Math.max(decade(most, Math.ceil), low * 100)];
}

/** Where a latency stands on the axis. */
export const latencyY = (ms, [low, high], { y, height }) => {
  const share = (Math.log(Math.min(Math.max(ms, low), high)) - Math.log(low)) / (Math.log(high) - Math.log(low));
  return y + height * (1 - share);
};

/** The decades of the axis, to be ruled and labelled. */
export function decadesOf([low, high]) {
  const decades = [];
  for (let value = low; value <= high * 1.001; value *= 10) decades.push(value);
  return decades;
}

/** Cells of the heat map: { x, y, width, height, share }, share being of the fullest cell in the picture. */
export function heatCells({ le_ms, counts }, columns, range, box) {
  const fullest = Math.max(1, ...counts.flat());
  return counts.flatMap((step, index) => step.map((count, bucket) => {
    if (count === 0) return null;
    const top = latencyY(le_ms[bucket] ?? range[1], range, box);
    const bottom = latencyY(bucket === 0 ? range[0] : le_ms[bucket - 1], range, box);
    // A logarithm, so that one slow request among thousands is still seen.
    const share = Math.log1p(count) / Math.log1p(fullest);
    const { left, right } = columns[index];
    return { x: left, y: top, width: right - left, height: bottom - top, share };
  }).filter((cell) => cell !== null && cell.height > 0));
}

/** Events in the window, each with its place, and a label where there is room for one. */
export function eventMarks(events, axis, box) {
  let free = -Infinity;
  return events
    .filter(({ at_ms }) => at_ms >= axis.from_ms && at_ms <= axis.to_ms)
    .map((event) => {
      const x = timeX(event.at_ms, axis, box);
      const labelled = x >= free && x <= box.x + box.width - LABEL_PX / 2;
      if (labelled) free = x + LABEL_PX;
      return { x, label: labelled ? shortly(event) : null, bad: event.kind !== "fault-off", key: event.id };
    });
}

/** Kinds of event that are drawn on charts; the others are in the list alone. */
export const isMarked = ({ kind }) => ["fault-on", "fault-off", "instance", "scaling", "release"].includes(kind);

function shortly({ what, fault, kind }) {
  const words = fault ? `${fault.replace("fault.", "")}${kind === "fault-off" ? " over" : ""}` : what;
  return words.length > 26 ? `${words.slice(0, 25)}…` : words;
}

/** The last measured value of a series; null when there is none. */
export const lastOf = (values) => values.findLast((value) => value !== null) ?? null;

/** Milliseconds as they stand on Live. */
export const ms = (value) => (value === null ? "—" : value < 9.95 ? value.toFixed(1) : whole(value));

/** The share of failing answers in each step, in percent; null without traffic. */
export const errorShare = ({ rate, errors }) => rate.map((value, index) => (value > 0 ? (100 * errors[index]) / value : null));

/** The chart in a sentence, for who does not see it. */
export function sentence({ series }, minutes) {
  const rate = series.rate.at(-1) ?? 0;
  const errors = lastOf(errorShare(series));
  const parts = [
    `The last ${minutes}: ${whole(rate)} requests a second now`,
    `half of them within ${ms(series.p50_ms.at(-1) ?? null)} and 99 in 100 within ${ms(series.p99_ms.at(-1) ?? null)} milliseconds`,
    `${errors === null ? "no answers" : `${errors.toFixed(1)} per cent of the answers are errors`}`,
    `${series.instances.at(-1) ?? 0} instances serve`,
  ];
  return `${parts.join("; ")}.`;
}
