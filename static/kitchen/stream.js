// The live connection to the kitchen: events while it holds, and what it is when it does not.

const EVENTS = "/api/v1/kitchen/events";
const AGAIN_MS = 2000;

/**
 * Follows the queue until the returned function is called. `heard(event)` gets each change; `state` hears
 * "connecting", "live" and "lost". A browser opens a broken stream again by itself; a refused one it gives up,
 * and then `refused()` says whether to go on (its session may be over).
 */
export function follow({ heard, state, refused }) {
  let source = null;
  let timer = 0;
  let ended = false;

  const open = () => {
    state("connecting");
    source = new EventSource(EVENTS);
    source.addEventListener("open", () => state("live"));
    source.addEventListener("queue", (event) => heard(JSON.parse(event.data)));
    source.addEventListener("error", lost);
  };
  const lost = async () => {
    state("lost");
    if (source.readyState !== EventSource.CLOSED) return;
    if ((await refused()) && !ended) timer = setTimeout(open, AGAIN_MS);
  };
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    source.close();
  };
}
