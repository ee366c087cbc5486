// Requests to the server that served this page, and its problem documents (RFC 9457) as errors.

/**
 * What the server refused: `problem` is the document, `status` the HTTP status (0: no answer at all),
 * `retry_after_s` what Retry-After asks for (RFC 9110, section 10.2.3; our servers send seconds), or null.
 */
export class Problem extends Error {
  constructor(status, problem, retry_after_s = null) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
    this.retry_after_s = retry_after_s;
  }
}

/** Sends JSON, reads JSON; null for an empty answer. Throws a Problem for everything but 2xx. */
export async function call(method, path, body, headers = {}) {
  const init = { method, headers: { accept: "application/json", ...headers }, credentials: "same-origin" };
  if (method !== "GET") init.headers["roundtrip-console"] = "1";
  if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Problem(0, { title: "No answer", detail: "The server does not answer. Is Roundtrip still running?" });
  }
  const text = await response.text();
  let value = null;
  try {
    value = text === "" ? null : JSON.parse(text);
  } catch {
    throw new Problem(response.status, { title: "Not JSON", detail: `The server answered ${response.status} with something that is not JSON.` });
  }
  if (!response.ok) throw new Problem(response.status, value ?? {}, Number(response.headers.get("retry-after")) || null);
  return value;
}
