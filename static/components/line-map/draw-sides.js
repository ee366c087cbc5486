// Beside the line: what each instance is up to, the cache, the kitchen queue, the supplier.

import { svg } from "../../lib/dom.js";
import { sidesOf } from "../../logic/sides.js";
import { brokenAt, slowAt, span, text, track } from "./marks.js";

// Low enough for its label to clear the words under the last station.
const QUEUE_DROP_PX = 54;

/** `trip` is null while nothing was sent. */
export function drawSides(layout, tracks, trip) {
  const sides = trip && sidesOf(trip);
  const drawn = [layout.wide ? instancesAcross(layout, tracks, trip?.turn) : instancesUpright(layout, tracks)];
  if (sides?.edgeCache) drawn.push(layout.wide ? edgeCacheAcross(layout, sides.edgeCache) : noteUpright(layout, "http", 37, "Shared cache", sides.edgeCache));
  if (sides?.cache) drawn.push(layout.wide ? cacheAcross(layout, sides.cache) : noteUpright(layout, "service", 56, "Cache (LRU)", sides.cache));
  if (sides?.queue) drawn.push(layout.wide ? queueAcross(layout, sides.queue) : noteUpright(layout, "service", 38, "Kitchen queue", sides.queue));
  if (sides?.supplier) drawn.push(layout.wide ? supplierAcross(layout, sides.supplier) : noteUpright(layout, "service", sides.cache ? 74 : 56, "Supplier", sides.supplier));
  return drawn;
}

/** Lines that the shared cache needs under HTTP on an upright line. */
export function notesUnderHttp(trip) {
  const cache = trip && sidesOf(trip).edgeCache;
  return cache ? (cache.detail ? 2 : 1) : 0;
}

const labelled = (x, y, title, say, anchor = "start") => [
  text(x, y, "lbl halo", anchor, span("strong", title)),
  text(x, y + 16, "lbl halo", anchor, say),
];

const square = (x, y, layer, filled) =>
  svg("rect", { x: x - 8, y: y - 8, width: 16, height: 16, class: filled ? "side on" : "side", "data-layer": layer });

const nameAndState = ({ name, say, trouble }) => [
  span("strong", name), say && " ", say && span(trouble ? "trouble" : "", say),
];

function instancesAcross({ stations, tracks: ys, trunk }, tracks, turn) {
  const { balancer, api, service } = stations;
  // Before your service there is no API: what is known stands beside the instance's name.
  const from = api?.x ?? balancer.x + 160;
  const room = service.x - from > 150;
  // An answer that turns round at the API goes down just there: the words step aside.
  const middle = (from + service.x) / 2 + (turn === "api" ? 24 : 0);
  return svg("g", {}, tracks.map((each, k) => [
    text(balancer.x + 82, ys[k] - 10, "lbl halo", "start", ...nameAndState(each)),
    room && each.detail && text(middle, ys[k] - 10, "lbl halo", "middle", each.detail),
    each.trouble === "slow" && slowAt(balancer.x + 54, ys[k]),
    each.trouble === "broken" && brokenAt(balancer.x + 62, ys[k] + Math.sign(trunk - ys[k]) * 8),
  ]));
}

function instancesUpright({ stations, tracks: xs }, tracks) {
  const { balancer } = stations;
  return svg("g", {}, tracks.map((each, k) => [
    text(116, balancer.y + 42 + 20 * k, "lbl", "start", ...nameAndState(each), each.detail && `, ${each.detail}`),
    each.trouble === "slow" && slowAt(xs[k], balancer.y + 62),
    each.trouble === "broken" && brokenAt(xs[k], balancer.y + 66),
  ]));
}

/** The edge's cache stands beside HTTP: a hit turns the journey there. */
function edgeCacheAcross({ stations }, cache) {
  const { x, y } = stations.http;
  return svg("g", { class: "at", "data-from": cache.from_us },
    track(`M${x} ${y - 15}V58`, cache.asked ? "branch asked" : "branch", { "data-layer": "http" }),
    square(x, 46, "http", cache.hit),
    labelled(x + 17, 42, "Shared cache", [cache.say, cache.detail].filter(Boolean).join(", ")));
}

function cacheAcross({ stations, tracks, short }, cache) {
  const { service, data } = stations;
  const x = service.x + (data.x - service.x) * (short ? 0.36 : 0.4);
  const way = `M${x} ${service.y - 5}V58`;
  // The branch crosses the tracks above the one taken: a paper edge makes it a bridge.
  return svg("g", { class: "at", "data-from": cache.from_us },
    tracks[0] < service.y && track(`M${x} ${service.y - 14}V58`, "bridge"),
    track(way, cache.asked ? "branch asked" : "branch", { "data-layer": "data" }),
    square(x, 46, "data", cache.hit),
    labelled(x + 17, 42, "Cache (LRU)", cache.say));
}

function queueAcross({ stations, tracks }, queue) {
  const { service } = stations;
  const top = tracks.at(-1) + 2;
  const x = service.x + QUEUE_DROP_PX + 29;
  return svg("g", { class: "at", "data-from": queue.from_us },
    track(`M${service.x + 8} ${top}l${QUEUE_DROP_PX} ${QUEUE_DROP_PX}H${x - 8}`, "branch later", { "data-layer": "service" }),
    square(x, top + QUEUE_DROP_PX, "service", true),
    labelled(x + 16, top + QUEUE_DROP_PX - 1, "Kitchen queue", queue.say));
}

/** The service asks it from where it stands; the words lie to the left, since the cache's lie to the right. */
function supplierAcross({ stations, tracks }, supplier) {
  const { x, y } = stations.service;
  return svg("g", { class: "at", "data-from": supplier.from_us },
    tracks[0] < y && track(`M${x} ${y - 15}V58`, "bridge"),
    track(`M${x} ${y - 15}V58`, "branch asked", { "data-layer": "service" }),
    square(x, 46, "service", supplier.hit),
    labelled(x - 17, 42, "Supplier", supplier.say, "end"));
}

const noteUpright = ({ stations }, hop, below, title, side) =>
  svg("g", { class: "at", "data-from": side.from_us },
    text(116, stations[hop].y + below, "lbl", "start", span("strong", title), ` ${side.say}`),
    side.detail && text(116, stations[hop].y + below + 16, "lbl", "start", side.detail));
