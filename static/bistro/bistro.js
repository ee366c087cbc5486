// The restaurant's own front: a guest reads the menu, orders, and sees what became of it, all through
// the same API that the console traces.

import { registerPasswordField } from "../components/password-field/password-field.js";
import { h } from "../lib/dom.js";
import { clearErrors, onSubmit } from "../lib/form.js";
import { Problem, call } from "../lib/http.js";
import { showMenu } from "./menu-view.js";
import { price } from "./menu.js";
import { attemptFor, changed, lines, mayHaveArrived, newest, orderErrors, orderOf, stillServed, sum } from "./order.js";
import { dishes, receipt, showBasket, showOrders } from "./order-view.js";
import { followStaff } from "./staff.js";

const TABLES = 20;
/** Staff may see every order of the house; more than this nobody reads beside a menu. */
const ORDERS_SHOWN_MAX = 20;

const find = (id) => document.getElementById(id);
const form = find("order");

const state = { items: [], basket: new Map(), attempt: null };

function show() {
  const shown = lines(state.basket, state.items);
  const { dishes: count, total_cents, currency } = sum(shown);
  const total = currency === null ? "" : price(total_cents, currency);
  showMenu(find("courses"), find("course-links"), state.items, state.basket, (item) => change(item, 1));
  showBasket(find("line-list"), shown, change);
  find("nothing-yet").hidden = count > 0;
  find("total").hidden = count === 0;
  find("total-price").textContent = total;
  find("basket-bar").hidden = count === 0;
  find("basket-bar").textContent = `See your order: ${dishes(count)}, ${total}`;
}

function change(item, by) {
  clearErrors(form);
  state.basket = changed(state.basket, item.id, by);
  const quantity = state.basket.get(item.id) ?? 0;
  show();
  find("said").textContent = `${item.name}: ${quantity} in your order`;
  // The line that held the focus is gone with its last dish.
  if (quantity === 0) find("order-title").focus();
}

async function readMenu() {
  try {
    state.items = (await call("GET", "/api/v1/menu")).items;
    state.basket = stillServed(state.basket, state.items);
    find("menu-failed").hidden = true;
    find("reading").hidden = true;
    show();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    find("reading").hidden = true;
    find("menu-failed").hidden = false;
    find("menu-error").textContent = `The menu could not be read. ${error.message}`;
  }
}

function ordersCount(count) {
  if (count === 0) return "None placed yet.";
  return count > ORDERS_SHOWN_MAX ? `The newest ${ORDERS_SHOWN_MAX} of ${count}.` : "";
}

async function readOrders() {
  try {
    const { orders } = await call("GET", "/api/v1/orders");
    showOrders(find("orders"), newest(orders, ORDERS_SHOWN_MAX));
    find("orders-count").textContent = ordersCount(orders.length);
    find("orders-error").textContent = "";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    find("orders-error").textContent = error.message;
  }
}

async function placeOrder() {
  const chosen = find("table").value;
  const order = orderOf(chosen === "" ? null : Number(chosen), state.basket);
  const errors = orderErrors(order);
  if (errors.length > 0) throw new Problem(422, { detail: "The order is not complete yet.", errors });
  state.attempt = attemptFor(state.attempt, order, () => crypto.randomUUID());
  try {
    confirm(await call("POST", "/api/v1/orders", order, { "idempotency-key": state.attempt.key }));
  } catch (error) {
    if (error instanceof Problem && !mayHaveArrived(error.status)) state.attempt = null;
    throw error;
  }
}

function confirm(order) {
  state.basket = new Map();
  state.attempt = null;
  show();
  find("receipt").replaceChildren(...receipt(order));
  find("confirmation").hidden = false;
  find("confirmation").focus();
  readOrders();
  // An order may have taken the last of a dish.
  readMenu();
}

const tables = Array.from({ length: TABLES }, (_, index) => index + 1);
find("table").append(...tables.map((table) => h("option", { value: table }, `Table ${table}`)));
registerPasswordField();
onSubmit(form, placeOrder);
find("read-again").addEventListener("click", readMenu);
find("look-again").addEventListener("click", readOrders);
readMenu();
followStaff(({ name }) => {
  find("orders-title").textContent = name === null ? "Your orders" : "Orders";
  readOrders();
}).catch((error) => {
  if (!(error instanceof Problem)) throw error;
  find("who").textContent = error.message;
});
