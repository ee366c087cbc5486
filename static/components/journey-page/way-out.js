// An error as the reader needs it: what happened, and the way out.

/** { say, way, errors }: a sentence or two, where to go when going somewhere helps, and what is wrong where. */
export function wayOut(problem) {
  const { status = 0, message } = problem;
  if (status === 401) return { say: "You are signed out.", way: { title: "Sign in again", href: "/sign-in" } };
  if (status === 0) return { say: `${message} Start it, then send again.`, way: null };
  if (status === 429 || status === 503) return { say: `${sentence(message)} Wait a moment, then send again.`, way: null };
  if (status === 422) return { say: sentence(message), way: null, errors: problem.problem.errors ?? [] };
  if (status >= 500) return { say: `${sentence(message)} The server’s log says more; you can send again.`, way: null };
  return { say: sentence(message), way: null };
}

const sentence = (text) => (/[.?]$/.test(text) ? text : `${text}.`);
