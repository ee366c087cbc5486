// What can be broken, as the line shows it: a row a station and a column an effect, what is on, what gets past it,
// and the change that a control asks for.

import { LINE_TO_YOUR_SERVICE } from "../lib/layers.js";

const KILL = "fault.instance.kill";

/** How long a fault may last, in seconds, and in words. The second is what it lasts when nobody says. */
export const DURATIONS = [[30, "30 seconds"], [120, "2 minutes"], [600, "10 minutes"], [3600, "1 hour"]];
export const FOR_DEFAULT_S = 120;

export const isFault = ({ type }) => type === "fault";
export const isOn = ({ value }) => value !== false;

/** Before somebody's own service only the way to it is broken from here: instances and what is inside are theirs. */
export const breakable = (rows, restaurant) =>
  restaurant ? rows : rows.filter(({ key, hop }) => LINE_TO_YOUR_SERVICE.place(hop) >= 0 && hop !== "service" && !key.startsWith("fault.instance."));

/**
 * Rows as the server tells them, with the moments on this page's clock between which each is on: what a page hears
 * is how many seconds are left.
 */
export const heardAt = (rows, now_ms) => rows.map((row) => ({ ...row, value: timed(row.value, now_ms) }));

/** The same rows after the server has told which faults are on now. */
export function withOn(rows, on, now_ms) {
  const values = new Map(on.map(({ key, value }) => [key, value]));
  return rows.map((row) => ({ ...row, value: timed(values.get(row.key) ?? false, now_ms) }));
}

const timed = (value, now_ms) =>
  value === false ? false : { ...value, since_ms: now_ms - 1000 * value.since_s, until_ms: now_ms + 1000 * value.left_s };

/**
 * A station a row: { layer, delay, failing, outright, state, dark }. `state` is "" (as built), "hurt" or "cut";
 * `dark` where no request gets, because a fault further up lets none past.
 */
export function lineOfFaults(faults, line, instances) {
  let dark = false;
  return line.layers.map((layer) => {
    const here = faults.filter(({ hop }) => hop === layer.id);
    const column = (effect) => here.filter((row) => row.effect === effect);
    const on = here.filter(isOn);
    const state = on.length === 0 ? "" : on.some(({ effect }) => effect === "outright") ? "cut" : "hurt";
    const row = { layer, delay: column("delay"), failing: column("failing"), outright: column("outright"), state, dark };
    dark ||= on.some((fault) => letsNothingPast(fault, instances));
    return row;
  });
}

function letsNothingPast(fault, instances) {
  if (fault.key === KILL) return instances.length > 0 && instances.every((each) => isAimedAt(fault, each));
  const { probability, instances: some, route, role } = fault.value;
  return fault.cuts && probability === 100 && some.length === 0 && !route && !role;
}

export const STATE_SAYS = { "": "as built", hurt: "degraded", cut: "broken" };

/** What a dying instance is told by: a switch an instance. */
export const isPerInstance = ({ key }) => key === KILL;

export const isAimedAt = ({ value }, { id, version }) =>
  value !== false && (value.instances.length === 0 || value.instances.includes(id) || value.instances.includes(version));

/** The change that adds one instance to those aimed at, or takes it away; without any left it is off. */
export function aimedAlso(fault, instances, id, wanted) {
  const others = instances.filter((each) => each.id !== id && isAimedAt(fault, each)).map((each) => each.id);
  const chosen = wanted ? [...others, id] : others;
  return chosen.length > 0 ? { instances: chosen.sort() } : false;
}

// ---- sliders ----

/** Has a slider of its own: how long a delay is, or how many fail. */
export const amountOf = (fault, value = fault.value) =>
  value === false ? 0 : fault.effect === "delay" ? value.strength : value.probability;

export const amountChange = (fault, amount) =>
  amount === 0 ? false : fault.effect === "delay" ? { strength: amount } : { probability: amount };

export const amountSays = (fault, amount) =>
  amount === 0 ? "off" : `${amount}\u202f${fault.effect === "delay" ? fault.strength.unit : "%"}`;

/** A delay's slider is fine where delays are short: its square is the delay, to two figures. */
export const POSITION_MAX = 100;

export function amountAt(fault, position) {
  if (fault.effect !== "delay") return position;
  const exact = fault.strength.max * (position / POSITION_MAX) ** 2;
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(exact, 1))) - 1);
  return position === 0 ? 0 : Math.max(1, Math.round(exact / step) * step);
}

export const positionOf = (fault, amount) =>
  fault.effect === "delay" ? Math.round(POSITION_MAX * Math.sqrt(amount / fault.strength.max)) : amount;

// ---- the change that is sent ----

/**
 * The value to send for `change`: false is off, true is on, an object changes some of it. What is on keeps the rest
 * of how it is, and begins anew; what is not takes `draft` (what was chosen while it was off) and the page's `vary`.
 */
export function valueToSend(fault, change, { draft = {}, vary = 0 } = {}) {
  if (change === false) return false;
  const now = isOn(fault) ? kept(fault) : { ...(fault.effect === "delay" ? { vary } : {}), for_s: FOR_DEFAULT_S, ...draft };
  return { ...now, ...(change === true ? {} : change) };
}

function kept(fault) {
  const { strength, probability, vary, instances, route, role } = fault.value;
  return { strength, probability, vary, instances, route, role, for_s: durationOf(fault) };
}

/** How long it was switched on for: whatever of that is over. */
export function durationOf({ value }) {
  const all_s = (value.until_ms - value.since_ms) / 1000;
  const near = DURATIONS.find(([seconds]) => Math.abs(seconds - all_s) <= 2);
  return near ? near[0] : Math.max(1, Math.round(all_s));
}

/** Delays that are on, made to vary: for as long as they have left. */
export const varied = (faults, vary, now_ms) =>
  Object.fromEntries(faults.filter((fault) => isOn(fault) && fault.effect === "delay" && fault.value.vary !== vary)
    .map((fault) => [fault.key, { ...kept(fault), vary, for_s: Math.max(1, Math.ceil((fault.value.until_ms - now_ms) / 1000)) }]));

// ---- in words ----

/** "1:42": what is left of it, or how long it has lasted. */
export function clock(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export const endsIn = ({ value }, now_ms) => (value === false ? "" : `ends in ${clock(value.until_ms - now_ms)}`);

/** What narrows it down, as its control says it: ["i2", "half of them"…]. */
export function aimSays(fault) {
  if (fault.value === false) return "";
  const { instances, route, role, vary, probability } = fault.value;
  const share = fault.probable && fault.effect !== "failing" && probability < 100;
  const parts = [isPerInstance(fault) ? null : instances.join(", "), route, role, share && `${probability}\u202f% of requests`, vary > 0 && `±\u202f${vary}\u202f%`];
  return parts.filter(Boolean).join(", ");
}

/** When the first of those that are on began; null when none is. */
export function onSince_ms(faults) {
  const on = faults.filter(isOn);
  return on.length === 0 ? null : Math.min(...on.map(({ value }) => value.since_ms));
}

/** "Name does not exist (NXDOMAIN)" of fault.dns.nxdomain, or the key of one that this page does not know. */
export const titleOf = (faults, key) => faults.find((row) => row.key === key)?.title ?? key;
