// Which instances get a track, and what is said about each: only what the balancer saw.

import { us, withUs } from "../lib/format.js";

const TRACKS_MAX = 3;

// An average this many times the quickest one's is marked slow; below it lies the noise of a warm-up.
const SLOW_TIMES = 5;

const WORST_FIRST = ["stopped", "unhealthy", "ejected", "draining", "starting", "probing", "healthy"];
// These get requests; the track of the others is closed.
const OPEN = ["healthy", "probing"];
const DOWN = ["stopped", "unhealthy", "ejected"];
// Of a breaker only what keeps requests away, or lets few through, is worth a word.
const BREAKER_SAYS = { open: "breaker open", forced_open: "breaker open", half_open: "breaker half open" };
const STATE_SAYS = { ejected: "left out", probing: "on trial" };

/** The word for a state on screen. */
export const stateWord = (state) => STATE_SAYS[state] ?? state;

/** What the circuit breaker adds to that; null while it lets everything through. */
export const breakerWord = (breaker) => BREAKER_SAYS[breaker] ?? null;

/** Its breaker lets nothing through. */
export const isCut = ({ breaker }) => breaker === "open" || breaker === "forced_open";

/** Gets requests: its state allows it, and its breaker. */
export const isServing = (instance) => OPEN.includes(instance.state) && !isCut(instance);

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

function trackOf(instance, quickest_us) {
  const { id, state, breaker, chosen, in_flight, ewma_us } = instance;
  const times = Number.isFinite(quickest_us) && ewma_us ? ewma_us / Math.max(quickest_us, 1) : 1;
  const slow = state === "healthy" && times >= SLOW_TIMES;
  const closed = !isServing(instance);
  const down = DOWN.includes(state) || isCut(instance);
  const busy = in_flight > 0 ? `${in_flight} in flight` : "idle";
  return {
    name: id,
    say: chosen ? "chosen" : state !== "healthy" ? stateWord(state) : breakerWord(breaker) ?? (slow ? `slow, ${us(Math.round(times))}×`.replace(".0", "") : busy),
    detail: closed || ewma_us === null || ewma_us === undefined ? "" : `lately ${withUs(ewma_us)}`,
    chosen: Boolean(chosen),
    closed,
    trouble: down ? "broken" : slow && !chosen ? "slow" : null,
  };
}

const UNDER_WAY = ["running", "watching", "rolling-back"];

/** Of a rollout as GET /api/instances tells it; null: there was none. */
export const isUnderWay = (rollout) => rollout !== null && UNDER_WAY.includes(rollout.state);

/** How far a rollout is, or how it ended; without any, what version runs. */
export function rolloutSays(rollout, version) {
  if (rollout === null) return `All run ${version}.`;
  const { kind, state, from, step, of, why } = rollout;
  const what = kind === "restart" ? "The restart" : `The release of ${rollout.version}`;
  const because = why === null ? "" : `: ${why}`;
  switch (state) {
    case "running": return `${what} is at instance ${step} of ${of}.`;
    case "watching": return `${what} is at instance ${step} of ${of}, which is compared with the others.`;
    case "rolling-back": return `${what} is taken back to ${from}${because}.`;
    case "done": return `${what} is done. All run ${version}.`;
    case "rolled-back": return `${what} was taken back to ${from}${because}.`;
    default: return `${what} came to no end${because}.`;
  }
}
