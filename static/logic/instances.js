// Which instances get a track, and what is said about each: only what the balancer saw.

import { us, withUs } from "../lib/format.js";

const TRACKS_MAX = 3;

// An average this many times the quickest one's is marked slow; below it lies the noise of a warm-up.
const SLOW_TIMES = 5;

const WORST_FIRST = ["stopped", "unhealthy", "starting", "healthy"];

/**
 * At most three tracks in the instances' own order: all of them, or the chosen, the worst and "n more".
 * Each is { name, say, detail, chosen, closed, trouble: null | "slow" | "broken" }.
 */
export function tracksOf(instances) {
  const quickest_us = Math.min(...instances.map((each) => each.ewma_us ?? Infinity));
  if (instances.length === 0) return [{ name: "", say: "", detail: "", chosen: false, closed: false, trouble: null }];
  if (instances.length <= TRACKS_MAX) return instances.map((each) => trackOf(each, quickest_us));
  const chosen = instances.find((each) => each.chosen) ?? instances[0];
  const worst = instances.filter((each) => each !== chosen).sort(byTrouble)[0];
  const shown = instances.filter((each) => each === chosen || each === worst);
  const more = { name: `${instances.length - shown.length} more`, say: "", detail: "", chosen: false, closed: false, trouble: null };
  return [...shown.map((each) => trackOf(each, quickest_us)), more];
}

const byTrouble = (a, b) =>
  WORST_FIRST.indexOf(a.state) - WORST_FIRST.indexOf(b.state) || (b.ewma_us ?? 0) - (a.ewma_us ?? 0);

function trackOf({ id, state, chosen, in_flight, ewma_us }, quickest_us) {
  const times = Number.isFinite(quickest_us) && ewma_us ? ewma_us / Math.max(quickest_us, 1) : 1;
  const slow = state === "healthy" && times >= SLOW_TIMES;
  const down = state === "unhealthy" || state === "stopped";
  const busy = in_flight > 0 ? `${in_flight} in flight` : "idle";
  return {
    name: id,
    say: chosen ? "chosen" : state !== "healthy" ? state : slow ? `slow, ${us(Math.round(times))}×`.replace(".0", "") : busy,
    detail: ewma_us === null || ewma_us === undefined ? "" : `lately ${withUs(ewma_us)}`,
    chosen: Boolean(chosen),
    closed: state !== "healthy",
    trouble: down ? "broken" : slow && !chosen ? "slow" : null,
  };
}

/** What happened at the side stations; null for those this trip says nothing about. */
export function sidesOf(trip) {
  const { cache, queue } = trip.journey.sides ?? {};
  const firstData = trip.pieces.find((piece) => piece.hop === "data");
  const lastService = trip.pieces.findLast((piece) => piece.hop === "service");
  return {
    cache: cache ? { say: cacheSays(cache), hit: Boolean(cache.hit), asked: Boolean(cache.asked), from_us: firstData?.start_us ?? 0 } : null,
    queue: queue
      ? { say: queueSays(queue), from_us: lastService ? lastService.start_us + lastService.duration_us : 0 }
      : null,
  };
}

function cacheSays({ asked, hit, bypassed, us: cost_us }) {
  if (bypassed) return "bypassed";
  if (!asked) return "not asked";
  return [hit ? "hit" : "miss", cost_us > 0 ? withUs(cost_us) : null].filter(Boolean).join(", ");
}

const queueSays = ({ ticket, waiting }) =>
  [ticket === undefined || ticket === null ? null : `ticket ${ticket}`, waiting === undefined ? null : `${waiting} waiting`]
    .filter(Boolean).join(", ");
