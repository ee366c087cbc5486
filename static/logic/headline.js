// The sentence of the first request: what it took, what most of it was, and what to try next.

import { inMilliseconds, percent } from "../lib/format.js";
import { LINE_TO_YOUR_SERVICE } from "../lib/layers.js";
import { slowestHop } from "./trip.js";

const SHARE_OF = {
  client: "the client itself",
  dns: "looking up the name",
  tls: "the handshake",
  http: "reading and writing HTTP",
  balancer: "the balancer",
  api: "the API",
  service: "the service",
  data: "the data",
};

/** "2.7 ms; 71 % was the handshake." Every figure is this journey's own. */
export function firstHeadline({ journey, line }) {
  const hop = slowestHop(journey);
  return `${inMilliseconds(journey.total_us)}; ${percent(journey.hops[hop].us, journey.total_us)} was ${line === LINE_TO_YOUR_SERVICE && hop === "service" ? "your service" : SHARE_OF[hop]}.`;
}
