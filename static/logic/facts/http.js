import { bytes } from "../../lib/format.js";
import { edgeCacheFound, edgeCacheSays, isEdgeCache } from "../sides.js";
import { code, facts, raw, strong } from "./sections.js";

/** The words as they went over the wire. The server has hidden secrets before they came here. */
export function httpFacts(reader) {
  const version = reader.take("http.version");
  const requestSize = reader.take("http.request.size");
  const responseSize = reader.take("http.response.size");
  return [
    facts(null, [
      ["Version", version && `HTTP/${version}`],
      ["Connection", connection(reader)],
      ["Request", requestSize === undefined ? undefined : bytes(requestSize)],
      ["Answer", responseSize === undefined ? undefined : bytes(responseSize)],
    ]),
    cacheFacts(reader),
    raw("Request", reader.take("http.request.raw"), true),
    raw("Answer", reader.take("http.response.raw"), true),
  ];
}

/** The edge's shared cache, which may answer in the place of everything behind it. */
function cacheFacts(reader) {
  const span = reader.spans.find(isEdgeCache);
  if (!span) return null;
  for (const name of ["where", "hit", "bypassed", "age_s", "ttl_s"]) reader.take(`roundtrip.cache.${name}`);
  const key = reader.take("roundtrip.cache.key");
  return facts("Shared cache", [
    ["Answer", (span.attributes["roundtrip.cache.hit"] ? strong : String)(edgeCacheSays(span.attributes).join(", "))],
    ["Key", key && code(key)],
    ["Found", edgeCacheFound(reader.take("roundtrip.cache.state"))],
  ]);
}

function connection(reader) {
  const reused = reader.take("http.connection.reused");
  const requests = reader.take("http.connection.requests");
  if (reused === undefined) return undefined;
  if (!reused) return "opened for this request";
  return strong(requests === undefined ? "kept open" : `kept open, request ${requests} on it`);
}
