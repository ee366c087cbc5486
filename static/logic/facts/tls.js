import { day, us } from "../../lib/format.js";
import { code, facts, table, yesNo } from "./sections.js";

/** What was agreed, who vouches for whom, and what each step of the handshake cost. */
export function tlsFacts(reader) {
  const version = reader.take("tls.protocol.version");
  const chain = reader.take("tls.server.chain") ?? [];
  return [
    facts(null, [
      ["Version", version && `TLS ${version}`],
      ["Cipher suite", reader.take("tls.cipher")],
      ["Key exchange", reader.take("tls.key_exchange")],
      ["Name asked (SNI)", codeOf(reader.take("tls.client.server_name"))],
      ["Protocol (ALPN)", codeOf(reader.take("tls.next_protocol"))],
      ["Resumed", yesNo(reader.take("tls.resumed"))],
    ]),
    table("Certificate chain", [{ label: "Who" }, { label: "Signed by" }, { label: "Ends" }], chain.map((link) => ({
      cells: [link.subject, link.issuer === link.subject ? "itself" : link.issuer, day(link.not_after)],
    }))),
    facts("Fingerprints (SHA-256)", chain.map((link) => [link.subject, link.sha256 && code(link.sha256)])),
    handshake(reader.spans),
  ];
}

const codeOf = (text) => (text === undefined ? undefined : code(text));

/** The steps are the leaves among the station's spans: their parent is the handshake as a whole. */
function handshake(spans) {
  const parents = new Set(spans.map((span) => span.parent));
  const steps = spans.filter((span) => !parents.has(span.id) && span.status !== "skipped");
  return table("Handshake", [{ label: "Step" }, { label: "µs", number: true }], steps.map((span) => ({
    cells: [span.name, us(span.duration_us)],
  })));
}
