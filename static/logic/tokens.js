// What is said of an API token. No DOM, no clock of its own.

import { day } from "../lib/format.js";
import { ageOf } from "./backups.js";

export const SCOPES = [
  ["read", "Read", "everything that the console shows, and /metrics"],
  ["change", "Change", "settings, faults and instances"],
  ["send", "Send", "journeys and load"],
];

export const DAYS = [[1, "1 day"], [7, "7 days"], [30, "30 days"], [90, "90 days"], [365, "a year"]];
export const DAYS_DEFAULT = 30;

/** "May read and send. Until 22 Dec 2026. Never used." */
export function tokenSays({ scopes, expires_at, last_used_at }, now) {
  const may = SCOPES.filter(([id]) => scopes.includes(id)).map(([, name]) => name.toLowerCase());
  const list = may.length > 1 ? `${may.slice(0, -1).join(", ")} and ${may.at(-1)}` : may.join("");
  const end = new Date(expires_at).getTime() <= now ? `Over since ${day(expires_at)}` : `Until ${day(expires_at)}`;
  return `May ${list}. ${end}. ${last_used_at === null ? "Never used" : `Last used ${ageOf(last_used_at, now)}`}.`;
}
