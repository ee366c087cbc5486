// The waiter's page: the orders of the house, narrowed and sorted as wished, and what can be done to each.
// The manager's books are beneath.

import { ifMatch, inWords, path, STATES, staffsDeeds } from "../bistro/life.js";
import { price } from "../bistro/menu.js";
import { clock, showDeeds } from "../bistro/order-view.js";
import { whileVisible } from "../bistro/poll.js";
import { followStaff } from "../bistro/staff.js";
import { registerPasswordField } from "../components/password-field/password-field.js";
import { h, keyed } from "../lib/dom.js";
import { Problem, call } from "../lib/http.js";
import { ask } from "./ask.js";
import { followBooks } from "./books.js";

const TABLES = 20;
const PAGE = 25;

const find = (id) => document.getElementById(id);
/** `cursors`: of the pages turned so far; the last is the one that is shown. */
const page = { role: "guest", cursors: [], next: null };

const choices = (list, values, words) => list.append(...values.map((value) => h("option", { value }, words(value))));

/** The list as the API is asked for it. */
function address() {
  const query = new URLSearchParams({ limit: PAGE, sort: find("sort").value });
  for (const name of ["state", "table"]) if (find(name).value !== "") query.set(name, find(name).value);
  if (page.cursors.length > 0) query.set("cursor", page.cursors.at(-1));
  return `/api/v1/orders?${query}`;
}

const row = () =>
  h("li", { class: "placed", tabindex: "-1" },
    h("span", { class: "what" }),
    h("span", { class: "price tnum" }),
    h("p", { class: "small soft" }),
    h("div", { class: "acts" }));

function show({ orders, next }) {
  page.next = next;
  keyed(find("orders"), orders, ({ id }) => id, row, (element, order) => {
    const dishes = order.lines.map(({ quantity, name }) => `${quantity} × ${name}`).join(", ");
    element.dataset.state = order.state;
    element.querySelector(".what").textContent =
      `Table ${order.table}, ${clock(order.placed_at ?? order.created_at)}: ${inWords(order.state)}`;
    element.querySelector(".price").textContent = price(order.total_cents, order.currency);
    element.querySelector("p").textContent = dishes;
    showDeeds(element.querySelector(".acts"), order, staffsDeeds(page.role, order), act);
  });
  find("none").hidden = orders.length > 0;
  find("first").hidden = page.cursors.length === 0;
  find("next").hidden = next === null;
}

async function read() {
  if (page.role === "guest") return;
  const asked = address();
  try {
    const list = await call("GET", asked);
    // The wish may have changed while the answer was on its way.
    if (asked === address()) show(list);
    find("problem").textContent = "";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    find("problem").textContent = error.message;
  }
}

const SAID = { serve: "served", pay: "paid", cancel: "cancelled", refund: "refunded" };

async function act(order, deed) {
  const sum = price(order.total_cents, order.currency);
  const grave = { cancel: `Cancel the order of table ${order.table}?`, refund: `Give table ${order.table} ${sum} back?` }[deed];
  if (grave !== undefined && !(await ask(grave))) return;
  find("act-problem").textContent = "";
  try {
    const headers = { ...ifMatch(order), "idempotency-key": crypto.randomUUID() };
    await call("POST", `${path(order)}/${deed}`, undefined, headers);
    find("said").textContent = `Table ${order.table}, ${sum}: ${SAID[deed]}`;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    find("act-problem").textContent = error.message;
  }
  await again();
  books.again();
  // The button that was pressed may be gone with its state, or the order with the filter.
  if (document.activeElement === document.body) {
    const kept = [...find("orders").children].find((element) => element.dataset.key === order.id);
    (kept ?? find("orders-title")).focus();
  }
}

/** Another list: from its first page. */
function turn(cursors) {
  page.cursors = cursors;
  again();
}

function changed({ role, name }) {
  page.role = name === null ? "guest" : role;
  const staff = page.role !== "guest";
  find("guest").hidden = staff;
  find("floor").hidden = !staff;
  find("orders").replaceChildren();
  books.setRole(page.role);
  turn([]);
}

choices(find("state"), STATES, (state) => `${state[0].toUpperCase()}${state.slice(1)}`);
choices(find("table"), Array.from({ length: TABLES }, (_, index) => index + 1), (table) => `Table ${table}`);
for (const id of ["state", "table", "sort"]) find(id).addEventListener("change", () => turn([]));
find("first").addEventListener("click", () => {
  find("orders-title").focus();
  turn([]);
});
find("next").addEventListener("click", () => {
  find("orders-title").focus();
  turn([...page.cursors, page.next]);
});
registerPasswordField();
const books = followBooks();
const again = whileVisible(read);
followStaff(changed).catch((error) => {
  if (!(error instanceof Problem)) throw error;
  find("problem").textContent = error.message;
});
