import { bytes, clockTime } from "../../lib/format.js";
import { answerOf, succeeded } from "../trip.js";
import { bad, code, facts, raw, strong } from "./sections.js";

/** Who asked, from where, when, and what came back. */
export function clientFacts(reader, journey) {
  const local = reader.take("network.local.address");
  const peer = reader.take("network.peer.address");
  const socket = local && peer ? `${local} → ${peer}` : local ?? peer;
  const url = reader.take("url.full");
  const method = reader.take("http.request.method") ?? journey.method;
  const answer = (succeeded(journey) ? strong : bad)(answerOf(journey));
  reader.take("http.response.status_code");
  return [
    facts(null, [
      ["Asked", code(`${method} ${url ?? journey.path}`)],
      ["Program", reader.take("user_agent.original")],
      ["Socket", socket && code(socket)],
      ["Trace", code(journey.trace_id)],
      ["Sent", clockTime(journey.sent_at)],
      ["Answered", answer],
      ["Sizes", sizes(journey)],
      ["Complete", journey.complete === false ? bad("No: a part of this trace was lost.") : undefined],
    ]),
    raw("Say it in a terminal", reader.take("roundtrip.curl"), true),
  ];
}

function sizes({ request_bytes, response_bytes }) {
  const parts = [];
  if (Number.isFinite(request_bytes)) parts.push(`${bytes(request_bytes)} out`);
  if (Number.isFinite(response_bytes)) parts.push(`${bytes(response_bytes)} back`);
  return parts.join(", ");
}
