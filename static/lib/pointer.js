// JSON pointers (RFC 6901) of a problem document, matched to the pointers that a form's fields declare.

/** The declared pointer that is `wanted` or its closest ancestor; null when none is. */
export function nearest(declared, wanted) {
  const fits = declared.filter((pointer) => wanted === pointer || wanted.startsWith(`${pointer}/`));
  return fits.sort((a, b) => b.length - a.length)[0] ?? null;
}

/** Splits a problem's errors into those that belong to a declared field and the details of the rest. */
export function place(declared, errors) {
  const placed = new Map();
  const homeless = [];
  for (const { pointer, detail } of errors) {
    const home = nearest(declared, pointer);
    if (home === null) homeless.push(detail);
    else placed.set(home, placed.has(home) ? `${placed.get(home)} ${detail}` : detail);
  }
  return { placed, homeless };
}
