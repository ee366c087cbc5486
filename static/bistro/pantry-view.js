// The pantry in words, and its rows. Data down: what GET /api/v1/pantry says.

import { h, keyed } from "../lib/dom.js";
import { clockTime, count, whole } from "../lib/format.js";
import { price } from "./menu.js";

// What weighs a kilogram or more is said in kilograms, with two digits: two cooks compare shelves, not grams.
const LARGE = { g: "kg", ml: "l" };
const large = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export function amount(quantity, unit) {
  if (unit === "piece") return whole(quantity);
  return quantity < 1000 ? `${whole(quantity)}\u202f${unit}` : `${large.format(quantity / 1000)}\u202f${LARGE[unit]}`;
}

const isLow = ({ stock, reorder_at }) => reorder_at !== null && stock <= reorder_at;

/** "2 of 50 items are low, 1 is on its way." */
export function summary(items) {
  const low = items.filter(isLow).length;
  const open = items.filter(({ purchase }) => purchase !== null).length;
  return `${low} of ${count(items.length, "item")} low, ${whole(open)} on the way.`;
}

export function onItsWay({ purchase, unit }) {
  if (purchase === null) return "";
  const { quantity, asking, attempts, due_at, last_error } = purchase;
  const state = asking ? "the supplier is being asked" : attempts === 0 ? "wanted" : `asked ${count(attempts, "time")}, again at ${clockTime(due_at)}`;
  return [amount(quantity, unit), state, last_error].filter(Boolean).join(", ");
}

const lastDelivery = ({ last_delivery: last, unit }, currency) =>
  last === null ? "" : `${amount(last.quantity, unit)} for ${price(last.cost_cents, currency)} at ${clockTime(last.at)}`;

const COLUMNS = [
  ["n tnum", ({ stock, unit }) => amount(stock, unit)],
  ["n tnum", ({ initial, unit }) => amount(initial, unit)],
  ["n tnum", ({ reorder_at, unit }) => (reorder_at === null ? "nobody sells it" : amount(reorder_at, unit))],
  ["", onItsWay],
  ["", lastDelivery],
];

export function showPantry(body, { items, currency }) {
  keyed(body, items, ({ id }) => id,
    ({ name }) => h("tr", {}, h("th", { scope: "row" }, name), COLUMNS.map(([style]) => h("td", { class: style }))),
    (row, item) => {
      row.classList.toggle("low", isLow(item));
      COLUMNS.forEach(([, say], index) => {
        const cell = row.children[index + 1];
        const text = say(item, currency);
        if (cell.textContent !== text) cell.textContent = text;
      });
    });
}
