// What the inspector tells about a station: sections of facts, all of them from the trace.

import { LINE_TO_YOUR_SERVICE } from "../../lib/layers.js";
import { partOf } from "../trip.js";
import { apiFacts } from "./api.js";
import { balancerFacts } from "./balancer.js";
import { clientFacts } from "./client.js";
import { dataFacts } from "./data.js";
import { dnsFacts } from "./dns.js";
import { httpFacts } from "./http.js";
import { Reader } from "./reader.js";
import { code, facts, note } from "./sections.js";
import { serviceFacts } from "./service.js";
import { tlsFacts } from "./tls.js";
import { yourServiceFacts } from "./your-service.js";

const TELLERS = {
  client: clientFacts,
  dns: dnsFacts,
  tls: tlsFacts,
  http: httpFacts,
  balancer: balancerFacts,
  api: apiFacts,
  service: serviceFacts,
  data: dataFacts,
};

const tellerOf = (line, hop) => (hop === "service" && line === LINE_TO_YOUR_SERVICE ? yourServiceFacts : TELLERS[hop]);

/** Sections for one station; `more` holds the attributes that have no place of their own. */
export function factsOf(trip, hop) {
  const spans = trip.journey.spans.filter((span) => span.hop === hop);
  const part = partOf(trip, hop);
  const reader = new Reader(spans);
  const sections = tellerOf(trip.line, hop)(reader, trip.journey).filter(Boolean);
  const struck = [...new Set(spans.map(({ fault }) => fault).filter(Boolean))];
  if (struck.length > 0) sections.unshift(facts(null, [["Broken by", { bad: struck.join(", ") }]]));
  if (part !== "ran") sections.unshift(note(absence(part, trip)));
  const more = facts(null, reader.rest().map(([name, values]) => [name, code(values.join(", "))]));
  return { sections, more };
}

function absence(part, { turn, line }) {
  if (part === "not reached") return `The request turned back at ${line.of(turn).name}, before it reached this station.`;
  if (part === "not seen") return "Not seen from here: whoever sent this request keeps their own side to themselves.";
  return "Not needed: the connection was already open, so the address was known and the envelope sealed.";
}
