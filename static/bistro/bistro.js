// The restaurant's own front: a guest reads the menu, orders, and sees what became of it, all through
// the same API that the console traces.

import { registerPasswordField } from "../components/password-field/password-field.js";
import { h } from "../lib/dom.js";
import { clearErrors, onSubmit } from "../lib/form.js";
import { Problem, call } from "../lib/http.js";
import { showMenu } from "./menu-view.js";
import { price } from "./menu.js";
import { ifMatch, path } from "./life.js";
import { attemptFor, basketOf, changed, lines, mayHaveArrived, orderErrors, orderOf, stillServed, sum } from "./order.js";
import { dishes, receipt, showBasket } from "./order-view.js";
import { followOrders } from "./own-orders.js";
import { followStaff } from "./staff.js";

const TABLES = 20;

const find = (id) => document.getElementById(id);
const form = find("order");

/** `draft`: the one that is being edited. */
const state = { items: [], basket: new Map(), attempt: null, draft: null };

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
  find("order-title").textContent = state.draft === null ? "Your order" : "Your draft";
  find("keep").textContent = state.draft === null ? "Keep as a draft" : "Keep the changes";
  find("leave").hidden = state.draft === null;
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

/** What the form asks for, or a Problem that says what is missing. */
function wanted() {
  const chosen = find("table").value;
  const order = orderOf(chosen === "" ? null : Number(chosen), state.basket);
  const errors = orderErrors(order);
  if (errors.length > 0) throw new Problem(422, { detail: "The order is not complete yet.", errors });
  return order;
}

/** Sends under a key that stays for as long as the same is tried again. */
async function once(path, body, headers = {}) {
  state.attempt = attemptFor(state.attempt, { path, body }, () => crypto.randomUUID());
  try {
    const answer = await call("POST", path, body, { ...headers, "idempotency-key": state.attempt.key });
    state.attempt = null;
    return answer;
  } catch (error) {
    if (error instanceof Problem && !mayHaveArrived(error.status)) state.attempt = null;
    throw error;
  }
}

async function keepChanges() {
  state.draft = await call("PUT", path(state.draft), wanted(), ifMatch(state.draft));
  return state.draft;
}

async function placeOrder() {
  if (state.draft === null) return confirm(await once("/api/v1/orders", wanted()));
  try {
    const draft = await keepChanges();
    confirm(await once(`${path(draft)}/place`, undefined, ifMatch(draft)));
  } finally {
    orders.again();
  }
}

async function keepDraft() {
  const draft = state.draft === null ? await once("/api/v1/orders", { ...wanted(), draft: true }) : await keepChanges();
  emptyForm();
  find("said").textContent = `The draft for table ${draft.table} is kept.`;
  orders.again();
  find("orders-title").focus();
}

/** Takes a draft up again in the form. */
function edit(draft) {
  clearErrors(form);
  state.draft = draft;
  state.attempt = null;
  state.basket = stillServed(basketOf(draft), state.items);
  find("table").value = String(draft.table);
  show();
  find("order-title").focus();
}

function emptyForm() {
  state.basket = new Map();
  state.attempt = null;
  if (state.draft !== null) find("table").value = "";
  state.draft = null;
  show();
}

function leave() {
  clearErrors(form);
  emptyForm();
  find("order-title").focus();
}

function confirm(order) {
  emptyForm();
  find("receipt").replaceChildren(...receipt(order));
  find("confirmation").hidden = false;
  find("confirmation").focus();
  orders.again();
  // An order may have taken the last of a dish.
  readMenu();
}

/** An order is gone, and what it had set aside can be had again. */
function gone(order) {
  if (state.draft?.id === order.id) leave();
  readMenu();
}

const tables = Array.from({ length: TABLES }, (_, index) => index + 1);
find("table").append(...tables.map((table) => h("option", { value: table }, `Table ${table}`)));
registerPasswordField();
// Enter places; whoever presses "Keep" says so.
onSubmit(form, (submitter) => (submitter === find("keep") ? keepDraft() : placeOrder()));
find("leave").addEventListener("click", leave);
find("read-again").addEventListener("click", readMenu);
const orders = followOrders({ edit, placed: confirm, gone });
readMenu();
followStaff(({ name }) => {
  find("orders-title").textContent = name === null ? "Your orders" : "Orders";
  orders.setStaff(name !== null);
}).catch((error) => {
  if (!(error instanceof Problem)) throw error;
  find("who").textContent = error.message;
});
