// What happened at the side stations of a trip: the shared cache at the edge, the instance's cache, the queue, the
// supplier.

import { count, withUs } from "../lib/format.js";

/** Each is null when this trip says nothing about it. */
export function sidesOf(trip) {
  const { cache, queue, supplier } = trip.journey.sides ?? {};
  const lastService = trip.pieces.findLast((piece) => piece.hop === "service");
  return {
    edgeCache: edgeCacheOf(trip),
    cache: cache ? { ...station(cache, instanceSays(cache)), from_us: startOf(trip, "data") } : null,
    queue: queue ? { say: queueSays(queue), from_us: lastService ? lastService.start_us + lastService.duration_us : 0 } : null,
    supplier: supplier ? { ...station({ hit: delivered(supplier), asked: true }, supplierSays(supplier)), from_us: askedAt(trip) } : null,
  };
}

/** Told by its span, which knows more than the journey's sums: how old, how long good. */
function edgeCacheOf(trip) {
  const span = trip.journey.spans.find(isEdgeCache);
  if (!span) return null;
  const { "roundtrip.cache.hit": hit, "roundtrip.cache.bypassed": bypassed } = span.attributes;
  const [say, ...detail] = edgeCacheSays(span.attributes);
  return { ...station({ hit, asked: !bypassed }, say), detail: detail.join(", "), from_us: span.start_us };
}

export const isEdgeCache = ({ attributes }) => attributes?.["roundtrip.cache.where"] === "edge";

/** ["hit at the edge", "3 s old", "good for 57 s"]: what the edge's cache did, in a few words. */
export function edgeCacheSays(attributes) {
  const take = (name) => attributes[`roundtrip.cache.${name}`];
  if (take("bypassed")) return ["bypassed"];
  if (!take("hit")) return take("state") === "under way" ? ["miss", "waited for the same fetch"] : ["miss"];
  const age_s = take("age_s");
  const ttl_s = take("ttl_s");
  const stale = take("state") === "stale" || ttl_s < 0;
  return [
    stale ? "hit at the edge, stale" : "hit at the edge",
    age_s === undefined ? null : `${count(age_s, "s", "s")} old`,
    stale || ttl_s === undefined ? null : `good for ${count(ttl_s, "s", "s")}`,
  ].filter(Boolean);
}

// The words of RFC 9211, section 2.2, and what else a look can find.
const FOUND = {
  fresh: "a fresh answer",
  stale: "a stale answer",
  "under way": "the same fetch, under way",
  "uri-miss": "nothing for this address",
  "vary-miss": "only answers for other headers (Vary)",
  request: "nothing that this request may have",
  method: "nothing: this method is not kept",
};

export const edgeCacheFound = (state) => FOUND[state];

const station = ({ hit, asked }, say) => ({ say, hit: Boolean(hit), asked: Boolean(asked) });

const startOf = (trip, hop) => trip.pieces.find((piece) => piece.hop === hop)?.start_us ?? 0;

function instanceSays({ asked, hit, bypassed, us: cost_us }) {
  if (bypassed) return "bypassed";
  if (!asked) return "not asked";
  return [hit ? "hit" : "miss", cost_us > 0 ? withUs(cost_us) : null].filter(Boolean).join(", ");
}

const queueSays = ({ ticket, waiting }) =>
  [ticket === undefined || ticket === null ? null : `ticket ${ticket}`, waiting === undefined ? null : `${waiting} waiting`]
    .filter(Boolean).join(", ");

const delivered = ({ outcome }) => outcome === "delivered";

const supplierSays = (supplier) =>
  [supplier.item, delivered(supplier) ? "delivered" : "not delivered", withUs(supplier.us)].join(", ");

const askedAt = (trip) =>
  trip.journey.spans.findLast(({ attributes }) => attributes?.["roundtrip.supplier.item"] !== undefined)?.start_us ?? 0;
