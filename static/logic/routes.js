// A route of the edge in words: what it is for, where it leads, and by which rules.

import { bytes, count, whole } from "../lib/format.js";
import { policyName } from "./policies.js";

const CALLERS = { address: "address", token: "token", route: "route, everybody together" };

/** What tells a route from the others. */
export const routeKey = ({ host, path, exact }) => `${host ?? "*"} ${path} ${exact}`;

/** "shop.example /api": the host and path, as somebody wrote them. */
export const routeTitle = ({ host, path }) => `${host ?? "any host"} ${path}`;

/** The rules that one looks for first, in one line. */
export const routeSummary = (route) =>
  [`pool ${route.pool}`, route.cache.enabled ? null : "nothing is kept", route.limit.kind === "own" ? limitSays(route.limit) : null].filter(Boolean).join(" · ");

/** Every rule: [[label, words]]. */
export function routeFacts(route) {
  const { path, exact, pool, policy, compress, idempotency_key, tells_times, body_bytes_max, request_headers, response_headers } = route;
  return [
    ["For", exact ? `${path} alone` : `${path} and what is beneath it`],
    ["Leads to", `pool ${pool}`],
    ["Chosen by", policyName(policy)],
    ["Cache", cacheSays(route.cache)],
    ["Limit", limitSays(route.limit)],
    ["Body", body_bytes_max === null ? "any size" : `at most ${bytes(body_bytes_max)}`],
    ["Compression", compress ? "public answers, for who takes it" : "answers are left as they are"],
    ["POST sent again", idempotency_key ? "with an Idempotency-Key" : "only if nothing was sent"],
    ["Server-Timing", tells_times ? "told" : "not told: a secret is checked here"],
    request_headers.length > 0 && ["Set on requests", request_headers.join(", ")],
    response_headers.length > 0 && ["Set on answers", response_headers.map(({ name, value }) => `${name}: ${value}`).join("; ")],
  ].filter(Boolean);
}

export function cacheSays({ enabled, default_ttl_s, object_bytes_max }) {
  if (!enabled) return "nothing is kept";
  return [
    "as answers say",
    default_ttl_s === null ? null : `${count(default_ttl_s, "second")} where they do not`,
    object_bytes_max === null ? null : `up to ${bytes(object_bytes_max)} each`,
  ].filter(Boolean).join(", ");
}

export function limitSays({ kind, requests, seconds, by }) {
  if (kind === "off") return "none";
  if (kind === "house") return "of the house: by session and address";
  if (kind === "sign_in") return "sign-ins, by address; else of the house";
  const caller = typeof by === "string" ? CALLERS[by] : `cookie ${by.cookie}`;
  return `${whole(requests)} in ${count(seconds, "second")} by ${caller}`;
}
