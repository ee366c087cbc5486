import { us } from "../../lib/format.js";
import { facts, table } from "./sections.js";

/** The steps of the business in order, with the fact each established. */
export function serviceFacts(reader) {
  const parents = new Set(reader.spans.map((span) => span.parent));
  const steps = reader.spans.filter((span) => !parents.has(span.id));
  return [
    table("Steps", [{ label: "Step" }, { label: "µs", number: true }], steps.map((span) => ({
      cells: [span.direction === "after" ? `${span.name} (after the answer)` : span.name, timeOf(span)],
    }))),
    facts("What was found", reader.having("roundtrip.service.fact").map((span) => [span.name, span.attributes["roundtrip.service.fact"]])),
    facts("Rules that were checked", reader.having("roundtrip.service.rule").map((span) => [span.name, span.attributes["roundtrip.service.rule"]])),
  ];
}

const timeOf = (span) => (span.status === "skipped" ? "not called" : us(span.duration_us));
