// Light or dark: the system's choice until the reader makes one, which then stays.

const KEY = "roundtrip-theme";
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark", whoever chose it. */
export const theme = () => root.dataset.theme ?? (system.matches ? "dark" : "light");

/** Applies the reader's earlier choice, if there is one. Call it first thing on each page. */
export function restoreTheme() {
  const kept = stored();
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
}

export function switchTheme() {
  root.dataset.theme = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, root.dataset.theme);
  } catch {
    // Storage may be refused (private windows): the choice then lasts as long as the page.
  }
}

/** Tells when the system's choice changes; it matters only while the reader has not chosen. */
export const onSystemTheme = (listener) => system.addEventListener("change", listener);

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
