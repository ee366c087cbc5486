// The life of an order as pages speak of it. Pure. What is allowed the server decides; this only spares
// buttons that it would refuse.

const WORDS = {
  draft: "a draft, not sent yet",
  placed: "the kitchen has it",
  cooking: "being cooked",
  ready: "ready, on its way",
  served: "served",
  paid: "paid",
  cancelled: "cancelled",
  refunded: "refunded",
};

/** What a state means to those who wait for their food. A new one is better named than hidden. */
export const inWords = (state) => WORDS[state] ?? state;

export const STATES = Object.keys(WORDS);

const GUESTS = { draft: ["edit", "place", "cancel"], placed: ["cancel"] };
const STAFFS = { draft: ["cancel"], placed: ["cancel"], ready: ["serve"], served: ["pay"] };

/** What a guest may do to their own order. */
export const guestsDeeds = ({ state }) => GUESTS[state] ?? [];

/** What that role may do to anybody's. */
export function staffsDeeds(role, { state }) {
  if (role === "manager" && state === "paid") return ["refund"];
  return role === "waiter" || role === "manager" ? (STAFFS[state] ?? []) : [];
}

export const path = (order) => `/api/v1/orders/${order.id}`;

/** Says which version is meant, so that nothing happens to one that nobody has seen (RFC 9110, section 13.1.1). */
export const ifMatch = (order) => ({ "if-match": `"${order.version}"` });
