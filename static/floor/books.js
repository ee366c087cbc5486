// The manager's books: balances, the latest entries, and the days that were closed.

import { price } from "../bistro/menu.js";
import { clock } from "../bistro/order-view.js";
import { h, keyed } from "../lib/dom.js";
import { count, day as date } from "../lib/format.js";
import { Problem, call } from "../lib/http.js";
import { ask } from "./ask.js";

const LEDGER = "/api/v1/ledger";
const ENTRIES = 20;

const find = (id) => document.getElementById(id);

/** One line of figures: what, and how much. */
const figure = () => h("li", { class: "figure" }, h("span"), h("span", { class: "price tnum" }));

function showFigures(list, figures) {
  keyed(list, figures, ({ key, what }) => key ?? what, figure, (element, { what, text }) => {
    element.firstChild.textContent = what;
    element.lastChild.textContent = text;
  });
}

const report = (day) => [
  { what: "Orders placed", text: String(day.orders) },
  { what: "Takings", text: price(day.takings_cents, day.currency) },
  { what: "Refunds", text: price(day.refunds_cents, day.currency) },
  { what: "Still owed by guests", text: price(day.receivable_cents, day.currency) },
  ...day.lines.map(({ kind, account, entries, amount_cents }) => ({
    what: `${kind}, ${account}: ${count(entries, "entry", "entries")}`,
    text: price(amount_cents, day.currency),
  })),
];

const dayRow = () => h("li", {}, h("details", {}, h("summary"), h("ul")));

export function followBooks() {
  let cursors = [];
  let next = null;
  let manager = false;

  function show(ledger, { days }) {
    next = ledger.next;
    const money = (cents) => price(cents, ledger.currency);
    showFigures(find("balances"), [
      ...ledger.balances.map(({ account, balance_cents }) => ({ what: account, text: money(balance_cents) })),
      { what: "sum", text: money(ledger.sum_cents) },
    ]);
    showFigures(find("entries"), ledger.entries.map((entry) => ({
      key: entry.id,
      what: `${entry.id}. ${clock(entry.at)} ${entry.kind}, ${entry.account}`,
      text: money(entry.amount_cents),
    })));
    find("newer").hidden = cursors.length === 0;
    find("older").hidden = next === null;
    keyed(find("days"), days, ({ id }) => id, dayRow, (element, day) => {
      element.querySelector("summary").textContent =
        `Day ${day.id}, closed ${date(day.closed_at)} ${clock(day.closed_at)}: ${price(day.takings_cents, day.currency)} taken`;
      showFigures(element.querySelector("ul"), report(day));
    });
    find("no-days").hidden = days.length > 0;
  }

  async function read() {
    if (!manager) return;
    try {
      const at = cursors.length === 0 ? "" : `&cursor=${cursors.at(-1)}`;
      const [ledger, days] = await Promise.all([
        call("GET", `${LEDGER}?limit=${ENTRIES}${at}`),
        call("GET", `${LEDGER}/days?limit=${ENTRIES}`),
      ]);
      show(ledger, days);
      find("books-problem").textContent = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      find("books-problem").textContent = error.message;
    }
  }

  async function close() {
    if (!(await ask("Close the business day? What is booked from now on belongs to the next."))) return;
    find("close-problem").textContent = "";
    try {
      const day = await call("POST", `${LEDGER}/days`, undefined, { "idempotency-key": crypto.randomUUID() });
      await read();
      const shown = [...find("days").children].find((element) => element.dataset.key === String(day.id));
      shown.querySelector("details").open = true;
      shown.querySelector("summary").focus();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      find("close-problem").textContent = error.message;
    }
  }

  function turn(to) {
    cursors = to;
    find("entries-title").focus();
    read();
  }

  find("close-day").addEventListener("click", close);
  find("older").addEventListener("click", () => turn([...cursors, next]));
  find("newer").addEventListener("click", () => turn(cursors.slice(0, -1)));
  return {
    again: read,
    setRole(role) {
      manager = role === "manager";
      cursors = [];
      find("books").hidden = !manager;
      for (const id of ["balances", "entries", "days"]) find(id).replaceChildren();
      read();
    },
  };
}
