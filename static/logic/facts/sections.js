// The nouns an inspector is made of. A value is text, or { code }, { strong }, { bad } around a text.

export const code = (text) => ({ code: String(text) });
export const strong = (text) => ({ strong: String(text) });
export const bad = (text) => ({ bad: String(text) });

/** Label and value pairs; those without a value are left out, and a section without pairs is null. */
export function facts(title, pairs) {
  const items = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return items.length === 0 ? null : { kind: "facts", title, items };
}

/** `columns` are { label, number }; a row is { cells, marked, note }. */
export const table = (title, columns, rows) => (rows.length === 0 ? null : { kind: "table", title, columns, rows });

export const raw = (title, text, wrap = false) => (text === undefined || text === "" ? null : { kind: "raw", title, text, wrap });

export const note = (text) => (text ? { kind: "note", text } : null);

export const yesNo = (value) => (value === undefined ? undefined : value ? "yes" : "no");
