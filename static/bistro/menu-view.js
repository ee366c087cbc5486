// Draws the menu. Data down: courses and what is in the basket; actions up: `add(item)`.

import { h, keyed } from "../lib/dom.js";
import { courses, price } from "./menu.js";

/** A course may have any name, so its anchor gets a prefix: "main" is the page's own. */
const anchor = (id) => `course-${id}`;

const course = ({ id, title }) =>
  h("section", { class: "course", id: anchor(id), "aria-labelledby": `${anchor(id)}-title` },
    h("h2", { id: `${anchor(id)}-title` }, title),
    h("ul"));

const dish = (item, add) =>
  h("li", { class: "dish" },
    h("h3", {}, item.name),
    h("span", { class: "price tnum" }),
    h("p", { class: "soft" }, item.description),
    h("p", { class: "tags small" }, item.tags.join(", ")),
    h("button", { class: "btn", type: "button", onclick: () => add(item) }));

function offer(item, quantity) {
  if (!item.available) return "Sold out";
  return quantity === 0 ? "Add" : `Add (${quantity})`;
}

function updateDish(element, item, quantity) {
  const button = element.querySelector("button");
  element.classList.toggle("sold-out", !item.available);
  element.querySelector(".price").textContent = price(item.price_cents, item.currency);
  button.disabled = !item.available;
  button.textContent = offer(item, quantity);
  button.setAttribute("aria-label", `${item.name}: ${button.textContent}`);
}

export function showMenu(parent, links, items, basket, add) {
  const present = courses(items);
  keyed(links, present, ({ id }) => id, ({ id, title }) => h("li", {}, h("a", { href: `#${anchor(id)}` }, title)));
  keyed(parent, present, ({ id }) => id, course, (element, { items: dishes }) =>
    keyed(element.querySelector("ul"), dishes, ({ id }) => id, (item) => dish(item, add),
      (row, item) => updateDish(row, item, basket.get(item.id) ?? 0)));
}
