// The stack's upstreams as the page lists them: by pool, each with what is said about it.

import { isCut, isServing, stateWord } from "./instances.js";

export const WEIGHT_MAX = 256;

/** Pools in the stack's order, each with its instances. */
export const poolsOf = ({ pools, instances }) =>
  pools.map((pool) => ({ ...pool, instances: instances.filter((instance) => instance.pool === pool.name) }));

/** What changes only when something happens to an upstream: not its load. */
export const standing = ({ instances }) =>
  JSON.stringify(instances.map(({ id, state, reason, breaker, weight, draining }) => [id, state, reason, breaker, weight, draining]));

/** "serving", "empty" (on purpose, or not known yet) or "down". */
export function lookOf(instance) {
  if (isCut(instance)) return "down";
  if (isServing(instance)) return instance.weight === 0 ? "empty" : "serving";
  return instance.state === "draining" || instance.state === "starting" ? "empty" : "down";
}

/** "left out for 4 s": the state, with what time adds to it. */
export function stateSays({ state, ejected_for_ms }) {
  const word = stateWord(state);
  return ejected_for_ms > 0 ? `${word} for ${Math.ceil(ejected_for_ms / 1000)} s` : word;
}

export const breakerSays = (breaker) => (breaker === "disabled" ? "off" : breaker.replace("_", " "));

/** What is wrong with a weight as it was typed; null when nothing is. */
export function weightError(text) {
  const weight = Number(text);
  const fits = text.trim() !== "" && Number.isInteger(weight) && weight >= 0 && weight <= WEIGHT_MAX;
  return fits ? null : `A whole number, 0 to ${WEIGHT_MAX}.`;
}
