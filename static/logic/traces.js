// The search for kept traces: filters as the address and the API write them. Knows no DOM.

import { inMilliseconds, withUs } from "../lib/format.js";

/** Names of the filters, as they stand in the address and in GET /api/traces. */
export const FILTERS = ["hop", "route", "status", "min_us", "max_us", "fault", "as", "kept"];

/** Why a trace was kept, in words. */
const KEPT = { probe: "sent to be looked at", error: "an error", fault: "a fault struck", slow: "among the slowest", sample: "one of many" };

/** The filters of an address's query; what is empty is not a filter. */
export function readFilters(search) {
  const query = new URLSearchParams(search);
  return Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]).filter(([, value]) => value !== ""));
}

/** The query for filters, with a cursor if there is one. */
export function queryOf(filters, more = {}) {
  const query = new URLSearchParams();
  for (const name of FILTERS) if (filters[name]) query.set(name, filters[name]);
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** Milliseconds as typed → microseconds as sent; empty stays empty. Null when it is no time. */
export function microseconds(text) {
  if (text.trim() === "") return "";
  const ms = Number(text.replace(",", "."));
  return Number.isFinite(ms) && ms >= 0 ? String(Math.round(ms * 1000)) : null;
}

export const milliseconds = (us) => (us ? String(Number(us) / 1000) : "");

export const keptSays = (kept) => KEPT[kept] ?? kept;

/** How long it took, in the unit that reads best in a list. */
export const tookSays = (total_us) => (total_us < 10_000 ? withUs(total_us) : inMilliseconds(total_us));

/** Each trace's share of the longest in the list, 0 to 1. */
export function sharesOf(journeys) {
  const longest = Math.max(1, ...journeys.map(({ total_us }) => total_us));
  return journeys.map((journey) => ({ ...journey, share: journey.total_us / longest }));
}

/** What was found, in a sentence. */
export function foundSays(shown, { kept, seen }, filtered) {
  const traces = (number) => `${number} trace${number === 1 ? "" : "s"}`;
  if (kept === 0) return "Nothing is kept yet.";
  const of = `${traces(kept)} kept of ${seen} request${seen === 1 ? "" : "s"} seen`;
  return filtered ? `${traces(shown)} shown; ${of}` : of;
}
