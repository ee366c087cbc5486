// Draws the order: the basket while it is put together, the confirmation, and the orders placed before.

import { h, keyed } from "../lib/dom.js";
import { inWords } from "./life.js";
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

export const clock = (at) => new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

const DEEDS = { edit: "Edit", place: "Place", cancel: "Cancel", serve: "Serve", pay: "Take payment", refund: "Refund" };

/** `acts` of an order's row: one button a deed, kept while it stays, so that the focus does. */
export function showDeeds(acts, order, deeds, act) {
  const button = (deed) => h("button", { class: deed === "cancel" || deed === "refund" ? "btn harm" : "btn", type: "button" }, DEEDS[deed]);
  keyed(acts, deeds, (deed) => deed, button, (element, deed) => {
    element.setAttribute("aria-label", `${DEEDS[deed]}, table ${order.table}, ${price(order.total_cents, order.currency)}`);
    element.onclick = () => act(order, deed);
  });
}

const orderRow = () =>
  h("li", { class: "placed" },
    h("span", { class: "what" }),
    h("span", { class: "price tnum" }),
    h("p", { class: "small soft" }),
    h("div", { class: "acts" }));

/** `deeds(order)`: what can be done to it; `act(order, deed)` hears what is. */
export function showOrders(list, orders, deeds, act) {
  keyed(list, orders, ({ id }) => id, orderRow, (element, order) => {
    const count = order.lines.reduce((all, line) => all + line.quantity, 0);
    const ticket = order.ticket === null ? "" : `, ticket ${order.ticket.id}`;
    element.dataset.state = order.state;
    element.querySelector(".what").textContent = `Table ${order.table}, ${clock(order.placed_at ?? order.created_at)}`;
    element.querySelector(".price").textContent = price(order.total_cents, order.currency);
    element.querySelector("p").textContent = `${dishes(count)}${ticket}: ${inWords(order.state)}`;
    showDeeds(element.querySelector(".acts"), order, deeds(order), act);
  });
}
