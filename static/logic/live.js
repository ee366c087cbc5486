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

/** The path of a strip; null values are gaps. `box`: { x, y, width, height }. */
export function linePath(values, max, box) {
  let path = "";
  let drawing = false;
  values.forEach((value, index) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const [x, y] = [columnX(index, values.length, box), box.y + box.height * (1 - Math.min(value, max) / max)];
    path += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawing = true;
  });
  return path;
}

/** The same as an area down to the foot; gaps stay open. */
export function areaPath(values, max, box) {
  const foot = (box.y + box.height).toFixed(1);
  return runsOf(values).map(([from, to]) => {
    const part = values.map((value, index) => (index >= from && index <= to ? value : null));
    return `${linePath(part, max, box)}V${foot}H${columnX(from, values.length, box).toFixed(1)}z`;
  }).join("");
}

/** A value that holds until it changes: the number of instances. */
export function stepPath(values, max, box) {
  let path = "";
  let last = null;
  values.forEach((value, index) => {
    const x = columnX(index, values.length, box).toFixed(1);
    if (value === null) {
      last = null;
      return;
    }
    const y = (box.y + box.height * (1 - value / max)).toFixed(1);
    path += last === null ? `M${x} ${y}` : `H${x}V${y}`;
    last = value;
  });
  return path;
}

/** The middle of a column. */
export const columnX = (index, count, { x, width }) => x + ((index + 0.5) / Math.max(1, count)) * width;

function runsOf(values) {
  const runs = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (runs.length > 0 && runs.at(-1)[1] === index - 1) runs.at(-1)[1] = index;
    else runs.push([index, index]);
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
export function heatCells({ le_ms, counts }, range, box) {
  const fullest = Math.max(1, ...counts.flat());
  const width = box.width / Math.max(1, counts.length);
  return counts.flatMap((step, index) => step.map((count, bucket) => {
    if (count === 0) return null;
    const top = latencyY(le_ms[bucket] ?? range[1], range, box);
    const bottom = latencyY(bucket === 0 ? range[0] : le_ms[bucket - 1], range, box);
    // A logarithm, so that one slow request among thousands is still seen.
    const share = Math.log1p(count) / Math.log1p(fullest);
    return { x: box.x + index * width, y: top, width, height: bottom - top, share };
  }).filter((cell) => cell !== null && cell.height > 0));
}

/** Events in the window, each with its place, and a label where there is room for one. */
export function eventMarks(events, { from_ms, to_ms }, box) {
  let free = -Infinity;
  return events
    .map((event) => ({ event, at: event.at_ms }))
    .filter(({ at }) => at >= from_ms && at <= to_ms)
    .map(({ event, at }) => {
      const x = box.x + ((at - from_ms) / (to_ms - from_ms)) * box.width;
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
