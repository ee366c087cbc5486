// Looking again and again, as long as somebody looks.

const EVERY_MS = 2000;

/**
 * Calls `read` (a promise) now and every two seconds while the page is visible, never twice at a time.
 * Returns what makes it look at once.
 */
export function whileVisible(read) {
  let timer = 0;
  let reading = null;
  const look = () => {
    clearTimeout(timer);
    reading ??= read().finally(() => {
      reading = null;
      if (!document.hidden) timer = setTimeout(look, EVERY_MS);
    });
    return reading;
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else look();
  });
  look();
  // What is under way may have begun before what the caller has just changed.
  return async () => {
    await reading;
    await look();
  };
}
