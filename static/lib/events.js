// One stream of server events per page, however many components listen.

let source = null;

/** Calls `listener(data)` for each event of that name, and `onGap()` whenever the stream breaks. */
export function listen(name, listener, onGap = () => {}) {
  source ??= new EventSource("/api/events");
  source.addEventListener(name, (event) => listener(JSON.parse(event.data)));
  // The browser reconnects by itself; a gap only means that what is shown grows old.
  source.addEventListener("error", onGap);
}
