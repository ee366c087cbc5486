// The guest's own orders, as they are now: followed while the page is looked at, and what can be done to them.

import { Problem, call } from "../lib/http.js";
import { guestsDeeds, ifMatch, inWords, path } from "./life.js";
import { newest } from "./order.js";
import { showOrders } from "./order-view.js";
import { whileVisible } from "./poll.js";

/** Staff see every order of the house; more than this nobody reads beside a menu. */
const SHOWN_MAX = 20;

const find = (id) => document.getElementById(id);

/** `edit(order)` takes a draft up, `placed(order)` and `gone(order)` hear of drafts placed and orders cancelled. */
export function followOrders({ edit, placed, gone }) {
  const known = new Map();
  let staff = false;

  function show(orders, more) {
    const shown = newest(orders, SHOWN_MAX);
    showOrders(find("orders"), shown, (order) => (staff ? [] : guestsDeeds(order)), act);
    const told = shown.filter(({ id, state }) => known.has(id) && known.get(id) !== state);
    if (told.length > 0) {
      find("orders-said").textContent = told.map((order) => `Table ${order.table}: ${inWords(order.state)}`).join(". ");
    }
    known.clear();
    for (const { id, state } of shown) known.set(id, state);
    find("orders-count").textContent = shown.length === 0 ? "None placed yet." : more ? `The newest ${SHOWN_MAX}.` : "";
  }

  async function read() {
    try {
      const { orders, next } = await call("GET", `/api/v1/orders?limit=${SHOWN_MAX}`);
      show(orders, next !== null);
      find("orders-error").textContent = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      find("orders-error").textContent = error.message;
    }
  }

  async function act(order, deed) {
    find("orders-act-error").textContent = "";
    if (deed === "edit") return edit(order);
    try {
      const now = await call("POST", `${path(order)}/${deed}`, undefined, {
        ...ifMatch(order),
        "idempotency-key": crypto.randomUUID(),
      });
      (deed === "place" ? placed : gone)(now);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      find("orders-act-error").textContent = error.message;
    }
    await again();
    // The button that was pressed may be gone with its state.
    if (document.activeElement === document.body) find("orders-title").focus();
  }

  const again = whileVisible(read);
  find("look-again").addEventListener("click", again);
  return {
    again,
    setStaff(is) {
      staff = is;
      known.clear();
      again();
    },
  };
}
