import { us } from "../../lib/format.js";
import { facts, strong, table } from "./sections.js";

export const POLICY_NAMES = {
  p2c_peak_ewma: "Two random choices, take the less busy",
  round_robin: "Each in turn",
};

/** How the instance was chosen, among which, and why. */
export function balancerFacts(reader) {
  const policy = reader.take("roundtrip.balancer.policy");
  const candidates = reader.take("roundtrip.balancer.candidates") ?? [];
  const chosen = reader.take("roundtrip.instance") ?? candidates.find((each) => each.chosen)?.id;
  const drawn = candidates.filter((each) => each.drawn).map((each) => each.id);
  const attempt = reader.take("roundtrip.balancer.attempt");
  return [
    facts(null, [
      ["Policy", policy && (POLICY_NAMES[policy] ?? policy)],
      ["Drawn", drawn.join(" and ")],
      ["Chosen", chosen && strong(chosen)],
      ["Why", reader.take("roundtrip.balancer.why")],
      ["Attempt", attempt > 1 ? `number ${attempt}` : undefined],
      ["Connection", kept(reader.take("http.connection.reused"))],
    ]),
    table("Candidates", COLUMNS, candidates.map(candidateRow)),
  ];
}

const COLUMNS = [{ label: "Instance" }, { label: "In flight", number: true }, { label: "Lately, µs", number: true }, { label: "Score", number: true }, { label: "Why" }];

const candidateRow = ({ id, address, state, in_flight, ewma_us, score, chosen, why }) => ({
  marked: Boolean(chosen),
  cells: [
    [id, address?.replace(/^.*(?=:)/, "")].filter(Boolean).join("\u00a0"),
    in_flight ?? "—",
    ewma_us === null || ewma_us === undefined ? "—" : us(ewma_us),
    score === null || score === undefined ? "—" : Number(score.toPrecision(3)),
    why ?? (state === "healthy" ? "" : state),
  ],
});

const kept = (reused) => (reused === undefined ? undefined : reused ? "kept open to the instance" : "opened for this request");
