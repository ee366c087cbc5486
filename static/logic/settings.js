// Settings as the page lists them: grouped by station, filtered by words, each value in words.

import { WHOLE_LINE } from "../lib/layers.js";
import { whole } from "../lib/format.js";
import { policyName } from "./policies.js";

/** [{ layer, rows }] in travelling order; stations without a setting are left out. */
export const groupsOf = (settings) =>
  WHOLE_LINE.layers.map((layer) => ({ layer, rows: settings.filter(({ hop }) => hop === layer.id) })).filter(({ rows }) => rows.length > 0);

/** Rows that hold every word somewhere: in the key, the help or the lessons. */
export function matching(settings, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const text = ({ key, help, lessons }) => [key, help, ...(lessons ?? [])].join(" ").toLowerCase();
  return settings.filter((row) => wanted.every((word) => text(row).includes(word)));
}

export const isChanged = (row) => row.value !== row.default;

/** A value as a person reads it: "10 000 ms", "on". */
export function valueSays({ key, type, unit }, value) {
  if (type === "flag") return value ? "on" : "off";
  if (type === "text") return value === "" ? "nothing" : `“${value}”`;
  return type === "number" ? withUnit(whole(value), unit) : choiceSays(key, value);
}

export const choiceSays = (key, choice) => (key === "balancer.policy" ? policyName(choice) : choice.replaceAll("_", " "));

/** "0 to 3 600 000 ms"; nothing for what offers its choices by itself. */
export const rangeSays = ({ type, min, max, unit }) => (type === "number" ? `${whole(min)} to ${withUnit(whole(max), unit)}` : "");

/** The value that was typed, or what is wrong with it: { value } or { error }. */
export function readNumber({ min, max, unit }, text) {
  const value = Number(text);
  const fits = text.trim() !== "" && Number.isInteger(value) && value >= min && value <= max;
  return fits ? { value } : { error: `A whole number from ${whole(min)} to ${withUnit(whole(max), unit)}.` };
}

const withUnit = (text, unit) => (unit ? `${text}\u202f${unit}` : text);
