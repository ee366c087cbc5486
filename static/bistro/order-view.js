// Draws the order: the basket while it is put together, the confirmation, and the orders placed before.

import { h, keyed } from "../lib/dom.js";
import { price } from "./menu.js";

function lineOf(item, change) {
  const id = `line-${item.id}`;
  const step = (by, sign, name) =>
    h("button", { class: "btn", type: "button", "aria-label": name, onclick: () => change(item, by) }, sign);
  const named = { "aria-label": item.name, "aria-describedby": `${id}-error` };
  return h("li", { class: "line" },
    h("span", { class: "line-name" }, item.name),
    h("div", { class: "stepper", id, role: "group", tabindex: "-1", ...named },
      step(-1, "−", `One ${item.name} fewer`),
      h("output", { class: "tnum" }),
      step(1, "+", `One ${item.name} more`)),
    h("span", { class: "price tnum" }),
    h("p", { class: "err-text", id: `${id}-error` }));
}

/** `shown` is order.js' lines; the place of a line is its pointer in the order that is sent. */
export function showBasket(list, shown, change) {
  const placed = shown.map((line, index) => ({ ...line, index }));
  keyed(list, placed, ({ item }) => item.id, ({ item }) => lineOf(item, change), (element, line) => {
    element.querySelector(".stepper").dataset.pointer = `/lines/${line.index}`;
    element.querySelector("output").textContent = line.quantity;
    element.querySelector(".price").textContent = price(line.total_cents, line.item.currency);
  });
}

export const dishes = (count) => `${count} ${count === 1 ? "dish" : "dishes"}`;

const priced = (attributes, what, cents, currency) =>
  h("li", attributes, h("span", {}, what), h("span", { class: "price tnum" }, price(cents, currency)));

/** What the server answered to an order: everything here is its word, not ours. */
export function receipt({ ticket, table, lines, total_cents, currency }) {
  const rows = lines.map((line) => priced({}, `${line.quantity} × ${line.name}`, line.line_total_cents, currency));
  return [
    h("p", {}, "The kitchen has it as ticket ", h("b", { class: "tnum" }, String(ticket.id)), `, for table ${table}.`),
    h("ul", { class: "receipt" }, rows, priced({ class: "total" }, "Total", total_cents, currency)),
  ];
}

const clock = (at) => new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

const orderRow = () =>
  h("li", { class: "placed" },
    h("span", { class: "what" }),
    h("span", { class: "price tnum" }),
    h("p", { class: "small soft" }));

export function showOrders(list, orders) {
  keyed(list, orders, ({ id }) => id, orderRow, (element, order) => {
    const count = order.lines.reduce((all, line) => all + line.quantity, 0);
    element.querySelector(".what").textContent = `Table ${order.table}, ${clock(order.placed_at)}`;
    element.querySelector(".price").textContent = price(order.total_cents, order.currency);
    element.querySelector("p").textContent = `${dishes(count)}, ticket ${order.ticket.id}: ${order.ticket.state}`;
  });
}
