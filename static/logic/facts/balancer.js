import { us } from "../../lib/format.js";
import { breakerWord, stateWord } from "../instances.js";
import { policyName } from "../policies.js";
import { facts, strong, table } from "./sections.js";

/** How the instance was chosen, among which, and why. */
export function balancerFacts(reader) {
  const policy = reader.take("roundtrip.balancer.policy");
  const candidates = reader.take("roundtrip.balancer.candidates") ?? [];
  const attempts = reader.having("roundtrip.instance").map((span) => span.attributes["roundtrip.instance"]);
  const chosen = attempts.at(-1) ?? candidates.find((each) => each.chosen)?.id;
  const drawn = candidates.filter((each) => each.drawn).map((each) => each.id);
  reader.take("roundtrip.balancer.attempt");
  return [
    facts(null, [
      ["Policy", policy && policyName(policy)],
      ["Drawn", drawn.join(" and ")],
      ["Chosen", chosen && strong(chosen)],
      ["Why", reader.take("roundtrip.balancer.why")],
      ["Attempts", attempts.length > 1 ? attempts.join(", then ") : undefined],
      ["Not asked again", reader.take("roundtrip.balancer.not_again")],
      ["Connection", kept(reader.take("http.connection.reused"))],
    ]),
    table("Candidates", COLUMNS, candidates.map(candidateRow)),
  ];
}

const COLUMNS = [
  { label: "Instance" }, { label: "Weight", number: true }, { label: "In flight", number: true },
  { label: "Lately, µs", number: true }, { label: "Score", number: true },
];

const candidateRow = ({ id, address, state, breaker, weight, in_flight, ewma_us, score, chosen, why }) => ({
  marked: Boolean(chosen),
  cells: [
    id,
    figure(weight),
    in_flight ?? "—",
    ewma_us === null || ewma_us === undefined ? "—" : us(ewma_us),
    figure(score),
  ],
  note: `${[address, stateWord(state), breakerWord(breaker)].filter(Boolean).join(", ")}: ${why}`,
});

const figure = (value) => (value === null || value === undefined ? "—" : Number(value.toPrecision(3)));

const kept = (reused) => (reused === undefined ? undefined : reused ? "kept open to the instance" : "opened for this request");
