import { bytes } from "../../lib/format.js";
import { hexdump } from "../hexdump.js";
import { code, facts, raw } from "./sections.js";

/** Question and answer, and both messages byte by byte. */
export function dnsFacts(reader) {
  const name = reader.take("dns.question.name");
  const type = reader.take("dns.question.type");
  const id = reader.take("dns.id");
  const server = reader.take("server.address");
  const transport = reader.take("network.transport");
  return [
    facts(null, [
      ["Question", name && code([name, "IN", type].filter(Boolean).join(" "))],
      ["Answer", answer(reader)],
      ["Asked", server && `${server}${transport ? ` over ${transport.toUpperCase()}` : ""}`],
      ["Result", reader.take("dns.response_code")],
      ["Message id", id === undefined ? undefined : code(id)],
      ["From memory", cached(reader)],
    ]),
    message("The question", reader.take("dns.question.hex")),
    message("The answer", reader.take("dns.answer.hex")),
  ];
}

function answer(reader) {
  const answers = reader.take("dns.answers");
  const ttl_s = reader.take("dns.ttl_s");
  const authoritative = reader.take("dns.authoritative");
  const parts = [
    Array.isArray(answers) ? answers.join(", ") : answers,
    ttl_s === undefined ? null : `good for ${ttl_s} s`,
    authoritative ? "authoritative" : null,
  ];
  return parts.filter(Boolean).join(", ");
}

function cached(reader) {
  const cached = reader.take("dns.cached");
  const age_s = reader.take("dns.cached_for_s");
  if (cached === undefined) return undefined;
  if (!cached) return "no: asked for this request";
  return age_s === undefined ? "yes" : `yes, known for ${age_s} s`;
}

const message = (title, hex) => (hex ? raw(`${title}, ${bytes(hex.length / 2)}`, hexdump(hex)) : null);
