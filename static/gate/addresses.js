// Where the gate's pages lead. Pure: strings in, strings out.

/** The one-time token of a fragment such as "#TOKEN"; null when there is none. */
export const tokenIn = (hash) => (hash.length > 1 ? hash.slice(1) : null);

/**
 * Where the door's Continue leads. The token stays in the fragment, which no browser sends: it can
 * reach neither a log nor a Referer header.
 */
export function continueTo(origin, hash) {
  return tokenIn(hash) === null ? `${origin}/` : `${origin}/setup${hash}`;
}

/**
 * Where to go after signing in: `next` when it is a path of this origin, else the front page.
 * "//host" and "/\host" are addresses of other hosts, and "/.//host" becomes one when only its
 * path is kept, so the answer is always an absolute address of `origin`.
 */
export function afterSignIn(next, origin) {
  const home = `${origin}/`;
  if (next === null || !/^\/(?![/\\])/.test(next)) return home;
  const url = new URL(next, origin);
  return url.origin === origin ? url.href : home;
}

/** A colon-separated fingerprint as groups of four bytes, so that two people can compare it. */
export function fingerprintGroups(fingerprint) {
  const bytes = fingerprint.toUpperCase().split(":");
  const groups = [];
  for (let at = 0; at < bytes.length; at += 4) groups.push(bytes.slice(at, at + 4).join(" "));
  return groups;
}
