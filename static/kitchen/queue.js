// What the kitchen's events add up to, and what each ticket says of itself. Pure: no document here.

export const NOTHING = { at: null, paused: false, waiting: 0, cooking: 0, dead: 0, tickets: [] };
export const LANES = ["waiting", "cooking", "dead"];

/** The queue after an event: it names every ticket in its order, and tells those that changed. */
export function heard(queue, { at, paused, waiting, cooking, dead, tickets, order }) {
  const known = new Map([...queue.tickets, ...tickets].map((ticket) => [ticket.id, ticket]));
  return { at, paused, waiting, cooking, dead, tickets: order.map((id) => known.get(id)).filter(Boolean) };
}

export const lane = (queue, state) => queue.tickets.filter((ticket) => ticket.state === state);

/** How far the server's clock is ahead of the reader's: ages are counted by the clock that stamped them. */
export const aheadOf = (at, now_ms) => Date.parse(at) - now_ms;

/** A length of time as one would say it: "8 s", "3 min", "2 h". */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

const attempt = ({ attempts }) => `attempt ${attempts}`;

/** The line below a ticket's dishes, at the server's time `now_ms`. */
export function situation(ticket, now_ms) {
  const age = `${span(now_ms - Date.parse(ticket.queued_at))} old`;
  if (ticket.state === "cooking") return `${age}, with ${ticket.worker}, ${attempt(ticket)}`;
  if (ticket.state === "dead") return `${age}, given up after ${attempt(ticket)}`;
  const wait_ms = Date.parse(ticket.due_at) - now_ms;
  const again = ticket.attempts > 0 && wait_ms > 0 ? `, again in ${span(wait_ms)}` : "";
  const failed = ticket.attempts > 0 ? `, ${attempt(ticket)} failed` : "";
  return `${age}${failed}${again}`;
}

export const dishes = (ticket) => ticket.dishes.map(({ quantity, name }) => `${quantity} × ${name}`).join(", ");

/** What a chef may do with a ticket: the last part of the address, and what the button says. */
export function choices({ state, priority }) {
  if (state === "dead") return [{ to: "requeue", says: "Queue again" }];
  if (state !== "waiting") return [];
  return [
    { to: "first", says: "Go first", done: priority > 0 },
    { to: "last", says: "Go last", done: priority < 0 },
  ];
}
