// Tracks: what exists (ghosts), what was travelled, and the way the answer went.

import { svg } from "../../lib/dom.js";
import { bytes } from "../../lib/format.js";
import { WHOLE_LINE } from "../../lib/layers.js";
import { answerOf, partOf, succeeded } from "../../logic/trip.js";
import { brokenAt, span, text, track } from "./marks.js";

// The balancer is the last station that all tracks share.
const TRUNK_ENDS = WHOLE_LINE.place("balancer");
const ARROWS_BEFORE = ["tls", "balancer", "api", "data"];

/** Every track there is, travelled or not; a closed instance's is dashed. */
export function drawGhosts(layout, tracks) {
  const trunk = layout.out.slice(1, TRUNK_ENDS + 1).map((d) => track(d, "ghost"));
  const instances = tracks.map((each, k) =>
    track(layout.trackOf(k), each.closed ? "ghost closed" : "ghost"));
  const home = layout.back.flatMap(({ d }) => [track(d, "ghost"), track(d, "hollow")]);
  return svg("g", { "aria-hidden": "true" }, trunk, instances, home);
}

/** Solid on the way out, hollow on the way back, grey where the request only passed through. */
export function drawTravelled(layout, trip) {
  const out = [];
  for (let index = 1; index <= trip.furthest; index++) {
    const hop = trip.line.hops[index];
    const ran = partOf(trip, hop) === "ran";
    out.push(track(layout.out[index], ran ? "run" : "run passed", { "data-layer": hop, "data-run": `out${index}` }));
  }
  const back = layout.back.flatMap(({ hop, d }, index) => trip.stops.length === 0 ? [] : [
    track(d, "run", { "data-layer": hop, "data-run": `back${index}` }),
    track(d, "run hollow", { "data-run": `hollow${index}` }),
  ]);
  return svg("g", { "aria-hidden": "true" }, out, back);
}

/** Arrows along the return line, and what came back. */
export function drawAnswer(layout, trip) {
  const { journey } = trip;
  const size = Number.isFinite(journey.response_bytes) ? `, ${bytes(journey.response_bytes)}` : "";
  const words = ["The answer: ", span(succeeded(journey) ? "strong" : "trouble", answerOf(journey)), size];
  const { stations, home } = layout;
  if (trip.stops.length === 0) return drawEnd(layout, trip.turn);
  if (!layout.wide) {
    // Between two stations that the answer passes for certain.
    const above = stations[trip.furthest > trip.line.place("http") ? "http" : "client"].y;
    const arrow = svg("path", { class: "arrow", d: `M${home - 7} ${above + 34}h14l-7 -12z` });
    return svg("g", { class: "after" }, arrow, text(layout.width - 2, layout.height - 6, "lbl", "end", ...words));
  }
  const arrows = arrowPlaces(layout, trip).map((x) =>
    svg("path", { class: "arrow", d: `M${x + 6} ${home - 7}v14l-12 -7z` }));
  const answerX = Math.max(190, (stations.client.x + stations[trip.turn].x) / 4);
  return svg("g", { class: "after" }, arrows, text(answerX, home + 26, "lbl halo", "middle", ...words));
}

/** No answer came: the line ends where the request did. */
function drawEnd({ stations, wide }, turn) {
  const { x, y } = stations[turn];
  return svg("g", { class: "after" }, wide
    ? [brokenAt(x + 32, y), text(x + 32, y - 18, "lbl halo", "middle", span("trouble", "no answer"))]
    : [brokenAt(x, y + 32), text(116, y + 36, "lbl", "start", span("trouble", "no answer"))]);
}

/** Halfway between stations, as far as the answer's way reaches. */
function arrowPlaces({ stations }, { line, furthest }) {
  return ARROWS_BEFORE.map(line.place).filter((place) => place > 0 && place <= furthest)
    .map((place) => (stations[line.hops[place - 1]].x + stations[line.hops[place]].x) / 2);
}
