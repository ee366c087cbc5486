import { withUs } from "../../lib/format.js";
import { answerOf, succeeded } from "../trip.js";
import { bad, code, facts, note, strong } from "./sections.js";

/** Of somebody's own service only its outside is known: who answered, when, with what. */
export function yourServiceFacts(reader, journey) {
  const id = journey.your_service;
  if (!id) return [];
  const forwards = journey.spans.filter((span) => span.attributes?.["roundtrip.instance"] === id);
  const address = journey.instances.find((each) => each.id === id)?.address ?? forwards.at(-1)?.attributes["server.address"];
  return [
    facts("What is known", [
      ["Answered by", strong(id)],
      ["Address", address && code(address)],
      ["Answer", (succeeded(journey) ? strong : bad)(answerOf(journey))],
      ["Time", `${withUs(journey.hops.service.us)}, from the request sent to the answer's end`],
      ["traceparent", code(journey.trace_id)],
    ]),
    facts("What is not", [
      ["Inside", "Its own steps, queries and waits: they are in that time, and cannot be told apart from here."],
      ["The network", "The way there and back is in that time, too."],
    ]),
    note("To see more, look for this trace in your service's own log or tracing: the header traceparent carried its id there."),
  ];
}
