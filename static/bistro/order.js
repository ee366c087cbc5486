// The order that a guest is putting together, as values. Pure.
// A basket is a Map from menu_item_id to quantity, in the order in which the dishes were added.

/** The basket with `by` more of a dish; a dish of which none is left goes. */
export function changed(basket, id, by) {
  const next = new Map(basket);
  const quantity = (next.get(id) ?? 0) + by;
  if (quantity > 0) next.set(id, quantity);
  else next.delete(id);
  return next;
}

/** The basket without dishes that the menu no longer has. */
export const stillServed = (basket, items) => new Map([...basket].filter(([id]) => items.some((item) => item.id === id)));

/** The basket as lines to show: the dish, how many, and what they cost together. */
export const lines = (basket, items) =>
  [...basket].map(([id, quantity]) => {
    const item = items.find((candidate) => candidate.id === id);
    return { item, quantity, total_cents: item.price_cents * quantity };
  });

/** How many dishes and what they cost by the menu's prices. The server's own sum is what counts. */
export const sum = (shown) => ({
  dishes: shown.reduce((all, line) => all + line.quantity, 0),
  total_cents: shown.reduce((all, line) => all + line.total_cents, 0),
  currency: shown[0]?.item.currency ?? null,
});

/** What POST /api/v1/orders takes. `table` is null until one is chosen. */
export const orderOf = (table, basket) => ({
  table,
  lines: [...basket].map(([menu_item_id, quantity]) => ({ menu_item_id, quantity })),
});

/** What keeps the order from being sent, in the form of a problem document's `errors`. */
export function orderErrors({ table, lines: wanted }) {
  const errors = [];
  if (table === null) errors.push({ pointer: "/table", detail: "Choose the table you sit at." });
  if (wanted.length === 0) errors.push({ pointer: "/lines", detail: "Add at least one dish." });
  return errors;
}

/**
 * The attempt to place `order`: its Idempotency-Key stays for as long as the same order is tried
 * again, so that an answer lost on the way cannot make the kitchen cook twice.
 */
export function attemptFor(previous, order, newKey) {
  const text = JSON.stringify(order);
  return previous?.text === text ? previous : { text, key: newKey() };
}

/** No answer, timed out, another try under way, too many: the order itself was not refused. */
const UNDECIDED = new Set([0, 408, 409, 429]);

/** Whether a failed attempt may still have been carried out, so that its key must be kept. */
export const mayHaveArrived = (status) => UNDECIDED.has(status) || status >= 500;

/** The latest `count` orders, newest first. */
export const newest = (orders, count) =>
  [...orders].sort((a, b) => Date.parse(b.placed_at ?? b.created_at) - Date.parse(a.placed_at ?? a.created_at)).slice(0, count);

/** The basket that an order was made of. */
export const basketOf = (order) =>
  order.lines.reduce((basket, line) => changed(basket, line.menu_item_id, line.quantity), new Map());
