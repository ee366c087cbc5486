// Rows of the waterfall: which, in what order, with which mark. Times stay in µs; the page turns them into px.

import { count } from "../lib/format.js";
import { sum } from "./trip.js";

// Fewer repeats are quicker to read than to unfold.
const FOLD_FROM = 3;
// Beyond this many rows the page folds whole branches, and then shows only the first hundred.
export const ROWS_MAX = 100;
const BRANCH_FOLD_FROM = 6;
// Less would be written as "<0.1", which is the rounding of the figures themselves.
const NOTABLE_US = 0.05;

/**
 * Rows: { key, hop, depth, name, mark, bars: [{ start_us, duration_us }], duration_us, fold }.
 * `struck`: by a fault. `mark` is solid, bracket, back, after, skipped, error or unaccounted; `fold` is null, "open" or "closed".
 * `open` holds the keys of folds the reader opened.
 */
export function rowsOf(trip, open) {
  // Judged with every fold closed: what a reader opens must not close the branch it stands in.
  const crowded = listed(trip, new Set(), false).length > ROWS_MAX;
  const fitting = listed(trip, open, crowded);
  return [...fitting, betweenRow(trip), unaccountedRow(trip)].filter(Boolean);
}

function listed(trip, open, crowded) {
  const rows = [];
  // A root without children is the whole story; otherwise the summary bar stands for it.
  if (trip.root.children.length === 0) rows.push(rowOf(trip.root, 0));
  const walk = (parent, depth) => {
    for (const group of groupsOf(parent.children)) {
      const [first] = group;
      if (group.length < FOLD_FROM) {
        for (const node of group) addNode(node, depth);
        continue;
      }
      const key = `${parent.span.id}/${first.span.id}`;
      rows.push(foldRow(key, group, depth, open.has(key)));
      if (open.has(key)) for (const node of group) addNode(node, depth + 1);
    }
  };
  const addNode = (node, depth) => {
    const row = rowOf(node, depth);
    rows.push(row);
    const inside = crowded && depth > 0 ? descendants(node) : 0;
    if (inside >= BRANCH_FOLD_FROM) {
      row.fold = open.has(row.key) ? "open" : "closed";
      row.name = `${row.name} (${count(inside, "step")} inside)`;
    }
    if (row.fold !== "closed") walk(node, depth + 1);
  };
  walk(trip.root, 0);
  return rows;
}

const descendants = (node) => node.children.length + sum(node.children.map(descendants));

/** Siblings that say the same thing gather where the first of them stands. Few repeats stay apart, in order. */
function groupsOf(nodes) {
  const same = new Map();
  const nameOf = ({ span }) => [span.hop, span.name, span.direction, span.status].join("\u0000");
  for (const node of nodes) same.set(nameOf(node), [...(same.get(nameOf(node)) ?? []), node]);
  const groups = [];
  for (const node of nodes) {
    const group = same.get(nameOf(node));
    if (group.length < FOLD_FROM) groups.push([node]);
    else if (group[0] === node) groups.push(group);
  }
  return groups;
}

const rowOf = (node, depth) => ({
  key: node.span.id,
  hop: node.span.hop,
  depth,
  name: node.span.name,
  mark: markOf(node),
  struck: Boolean(node.span.fault),
  bars: [{ start_us: node.span.start_us, duration_us: node.span.duration_us }],
  duration_us: node.span.duration_us,
  fold: null,
});

const foldRow = (key, group, depth, isOpen) => ({
  ...rowOf(group[0], depth),
  key,
  name: `${group[0].span.name} (${group.length} times)`,
  struck: group.some(({ span }) => span.fault),
  bars: group.map(({ span }) => ({ start_us: span.start_us, duration_us: span.duration_us })),
  duration_us: sum(group.map(({ span }) => span.duration_us)),
  fold: isOpen ? "open" : "closed",
});

function markOf(node) {
  const { status, direction } = node.span;
  if (status === "skipped") return "skipped";
  if (direction === "after") return "after";
  if (!node.solid) return "bracket";
  if (status === "error") return "error";
  return direction === "back" ? "back" : "solid";
}

/** The root's own time, when it is its station's: spent between the steps, under no name of its own. */
function betweenRow(trip) {
  const bars = trip.pieces.filter((piece) => piece.between && !piece.unaccounted);
  const duration_us = sum(bars.map((bar) => bar.duration_us));
  if (duration_us < NOTABLE_US) return null;
  return { key: "between", hop: trip.root.span.hop, depth: 0, name: "Between the steps", mark: "solid", bars, duration_us, fold: null };
}

/** Time no station answers for: a row of its own, never hidden in a neighbour's. */
function unaccountedRow(trip) {
  const duration_us = trip.journey.unaccounted_us ?? 0;
  if (duration_us < NOTABLE_US) return null;
  const bars = trip.pieces.filter((piece) => piece.unaccounted);
  return { key: "unaccounted", hop: null, depth: 0, name: "Unaccounted for", mark: "unaccounted", bars, duration_us, fold: null };
}

/** The stretch of time on show: the whole trip, or from the balancer's first span on. */
export function rangeOf(trip, which) {
  const first = which === "inside" ? trip.journey.spans.find((span) => span.hop === "balancer") : undefined;
  return { low_us: first?.start_us ?? 0, high_us: trip.total_us };
}

/** A bar in percent of the track, cut at its edges; null when it lies outside the stretch. */
export function barIn({ low_us, high_us }, { start_us, duration_us }, mark) {
  const length_us = Math.max(high_us - low_us, 0.001);
  const end_us = start_us + duration_us;
  if (end_us < low_us || (end_us === low_us && low_us > 0)) return null;
  // What ran after the answer lies beyond the edge: it keeps a stub there, so that it is not lost.
  const stub = mark === "after" || mark === "skipped" ? 1.5 : 0.2;
  const left = Math.min(100 - stub, (100 * Math.max(0, start_us - low_us)) / length_us);
  const right = Math.min(100, (100 * (end_us - low_us)) / length_us);
  return { left, width: Math.max(stub, right - left) };
}

/** Ticks at round figures, about four of them. */
export function ticksOf({ low_us, high_us }) {
  const length_us = Math.max(high_us - low_us, 1);
  const step_us = roundFigure(length_us / 4);
  const ticks = [];
  for (let at_us = 0; at_us <= length_us * 0.94; at_us += step_us) ticks.push({ at_us, left: (100 * at_us) / length_us });
  return { step: (100 * step_us) / length_us, ticks };
}

function roundFigure(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const lead = value / power;
  return (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10) * power;
}

/** The summary bar: neighbouring pieces of one station and direction as one segment. */
export function segmentsOf(trip, { low_us, high_us }) {
  const segments = [];
  for (const piece of trip.pieces) {
    const start_us = Math.max(low_us, piece.start_us);
    const duration_us = Math.min(high_us, piece.start_us + piece.duration_us) - start_us;
    if (duration_us <= 0) continue;
    const hop = piece.unaccounted ? null : piece.hop;
    const last = segments.at(-1);
    if (last && last.hop === hop && last.back === (piece.direction === "back")) last.duration_us += duration_us;
    else segments.push({ hop, back: piece.direction === "back", duration_us });
  }
  return segments;
}
