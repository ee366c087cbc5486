// <side-stations></side-stations>: what stands beside the line, instance by instance: its cache of the menu, and how
// it stands with the supplier.
//   show({ caches, buyers, deliveries })   as GET /api/stack/sides says

import { h } from "../../lib/dom.js";
import { bytes, count, percent, whole } from "../../lib/format.js";

const CACHE = [
  ["Instance", ({ instance }) => instance],
  ["Entries", ({ entries, negative_entries }) => whole(entries + negative_entries)],
  ["Space", ({ bytes: held }) => bytes(held)],
  ["Hits", ({ hits, negative_hits, misses }) => share(hits + negative_hits, misses)],
  ["Of nothing", ({ negative_hits }) => whole(negative_hits)],
  ["Misses", ({ misses }) => whole(misses)],
  ["Waited for one read", ({ joined }) => whole(joined)],
  ["Too old", ({ expirations }) => whole(expirations)],
  ["Made room", ({ evictions }) => whole(evictions)],
  ["Changed", ({ invalidations, written }) => whole(invalidations + written)],
];

const BUYER = [
  ["Instance", ({ instance }) => instance],
  ["Breaker", ({ breaker }) => breaker.replaceAll("_", " ")],
  ["Calls now", ({ calls }) => whole(calls)],
  ["Asked", ({ asked }) => whole(asked)],
  ["Attempts", ({ attempts }) => whole(attempts)],
  ["Delivered", ({ delivered }) => whole(delivered)],
  ["Failed", ({ failed }) => whole(failed)],
  ["Breaker refused", ({ breaker_refused }) => whole(breaker_refused)],
  ["Bulkhead refused", ({ bulkhead_refused }) => whole(bulkhead_refused)],
];

export class SideStations extends HTMLElement {
  #caches = h("tbody");
  #buyers = h("tbody");
  #delivered = h("p", { class: "small muted" });
  #none = h("p", { class: "muted" }, "Only the restaurant has them.");
  #all = h("div", {},
    table("Menu cache (LRU) of each instance", CACHE, this.#caches),
    table("Each instance and the supplier", BUYER, this.#buyers),
    this.#delivered);

  connectedCallback() {
    this.replaceChildren(this.#none, this.#all);
  }

  show({ caches, buyers, deliveries }) {
    this.#none.hidden = caches.length > 0;
    this.#all.hidden = caches.length === 0;
    fill(this.#caches, CACHE, caches);
    fill(this.#buyers, BUYER, buyers);
    this.#delivered.textContent = `The supplier made ${count(deliveries, "delivery", "deliveries")} since the start.`;
  }
}

const share = (hits, misses) => (hits + misses === 0 ? whole(0) : `${whole(hits)} (${percent(hits, hits + misses)})`);

const table = (title, columns, body) => h("div", { class: "scroll-x", tabindex: 0, role: "group", "aria-label": title },
  h("table", {},
    h("caption", { class: "small", style: { "text-align": "left", "padding-top": "var(--s3)" } }, title),
    h("thead", {}, h("tr", {}, columns.map(([label], index) => h("th", { class: index > 0 && "n", scope: "col" }, label)))),
    body));

const fill = (body, columns, rows) => body.replaceChildren(...rows.map((row) => h("tr", {},
  columns.map(([, say], index) => (index === 0 ? h("th", { scope: "row" }, say(row)) : h("td", { class: "n tnum" }, say(row)))))));

export const registerSideStations = () => customElements.define("side-stations", SideStations);
