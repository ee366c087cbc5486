// A journey as the page thinks of it: the tree of its spans, who ran when, and where it turned round.

import { LINE_TO_YOUR_SERVICE, WHOLE_LINE } from "../lib/layers.js";
import { movesOf, stopsOf } from "./moves.js";

/**
 * A span in its tree. `counts` is false for what the answer did not wait for ("after") and for what was
 * skipped; `solid` is true when all of the time is the span's own.
 */
const nodeOf = (span) => ({
  span,
  depth: 0,
  children: [],
  counts: span.direction !== "after" && span.status !== "skipped",
  end_us: span.start_us + span.duration_us,
  get solid() {
    return !this.children.some((child) => child.counts);
  },
});

/** The root node with its descendants. A span whose parent was lost hangs from the root: shown, not dropped. */
export function treeOf(spans) {
  const nodes = spans.map(nodeOf);
  const byId = new Map(nodes.map((node) => [node.span.id, node]));
  const [root, ...rest] = nodes;
  for (const node of rest) {
    const parent = byId.get(node.span.parent) ?? root;
    parent.children.push(node);
    node.depth = parent.depth + 1;
  }
  return root;
}

/**
 * The trip cut into pieces without overlap: who was at work at each moment. A gap between a span's
 * children is that span's own time.
 */
export function piecesOf(root) {
  const pieces = [];
  const lay = (node, from_us, to_us) => {
    let cursor_us = from_us;
    const own = (until_us) => until_us > cursor_us && pieces.push(pieceOf(node, cursor_us, until_us, node === root));
    for (const child of node.children.filter((each) => each.counts)) {
      const start_us = clamp(child.span.start_us, cursor_us, to_us);
      const end_us = clamp(child.end_us, start_us, to_us);
      own(start_us);
      if (end_us > start_us) lay(child, start_us, end_us);
      cursor_us = end_us;
    }
    own(to_us);
  };
  lay(root, root.span.start_us, root.end_us);
  return pieces;
}

const pieceOf = (node, start_us, end_us, between) => ({
  hop: node.span.hop,
  direction: node.span.direction,
  start_us,
  duration_us: end_us - start_us,
  between: between && !node.solid,
  unaccounted: false,
});

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/**
 * The server says how much time it could not place. When that is what lies between the root's children,
 * those pieces carry no station; otherwise they are the client's own and the rest has no place in time.
 */
function markUnaccounted(pieces, unaccounted_us) {
  const between = pieces.filter((piece) => piece.between);
  const between_us = sum(between.map((piece) => piece.duration_us));
  const same = unaccounted_us > 0 && Math.abs(between_us - unaccounted_us) <= Math.max(1, 0.05 * unaccounted_us);
  if (same) for (const piece of between) piece.unaccounted = true;
}

export const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/**
 * Which stations there are. A journey that turned before the last of them does not say what stands behind:
 * then it is what the stack runs.
 */
export function lineOf(journey, restaurant) {
  if (journey?.your_service) return LINE_TO_YOUR_SERVICE;
  return restaurant || journey?.hops.api.reached ? WHOLE_LINE : LINE_TO_YOUR_SERVICE;
}

/** Everything the page derives from one journey, once. */
export function readTrip(journey, restaurant) {
  const line = lineOf(journey, restaurant);
  const root = treeOf(journey.spans);
  const pieces = piecesOf(root);
  markUnaccounted(pieces, journey.unaccounted_us ?? 0);
  const answered = journey.status !== null && journey.status !== undefined && journey.status > 0;
  const turn = turnOf(journey, line);
  const moves = movesOf(pieces, turn, line);
  return {
    journey,
    line,
    root,
    pieces,
    moves,
    turn,
    stops: answered ? stopsOf(moves, turn) : [],
    total_us: journey.total_us,
    furthest: line.place(turn),
  };
}

/** A trace that lost its end may not say where it turned: then it is the last station that ran. */
const turnOf = ({ turn, hops }, line) => (line.place(turn) >= 0 ? turn : line.hops.findLast((hop) => hops[hop]?.reached) ?? "client");

/** Time each station has used up at a moment of the trip, for the counters that run with the dot. */
export function timesAt(pieces, at_us) {
  const times = {};
  for (const piece of pieces) {
    if (piece.start_us >= at_us) break;
    if (!piece.unaccounted) {
      times[piece.hop] = (times[piece.hop] ?? 0) + Math.min(piece.duration_us, at_us - piece.start_us);
    }
  }
  return times;
}

/** How a station took part: "ran", or why nobody ran there. */
export function partOf(trip, hop) {
  const { hops, probe } = trip.journey;
  if (hops[hop]?.reached) return "ran";
  if (trip.line.place(hop) > trip.furthest) return "not reached";
  // Only the console's own client tells of its side; a browser keeps its lookups to itself.
  return probe || hops.client?.reached ? "not needed" : "not seen";
}

export const succeeded = (journey) => journey.status >= 200 && journey.status < 400;

/** The station that cost most. */
export const slowestHop = (journey) =>
  Object.keys(journey.hops).reduce((worst, hop) => (journey.hops[hop].us > journey.hops[worst].us ? hop : worst));

/** "201 Created", or what can be said when no answer came. */
export const answerOf = (journey) =>
  journey.status ? [journey.status, journey.reason].filter(Boolean).join(" ") : "no answer";
