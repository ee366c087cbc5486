// The Traces page's controller: the address holds the filters, the server finds, the list shows.

import { call, Problem } from "../../lib/http.js";
import { listen } from "../../lib/events.js";
import { foundSays, queryOf, readFilters } from "../../logic/traces.js";

const PAGE = 100;
// Typing is not answered at every key.
const PAUSE_MS = 200;

export class TracesPage {
  #filters = readFilters(location.search);
  #journeys = [];
  #faults = [];
  #next = null;
  #fresh = 0;
  // Only the latest question may change the page.
  #question = 0;
  #timer = 0;

  constructor(document) {
    const find = (selector) => document.querySelector(selector);
    this.trouble = find("#trouble");
    this.filter = find("trace-filter");
    this.list = find("trace-list");
    this.found = find("#found");
    this.none = find("#none");
    this.more = find("#more");
    this.renew = find("#renew");
  }

  async start() {
    this.filter.addEventListener("filter", ({ detail }) => this.#wish(detail));
    this.more.addEventListener("click", () => this.#read(this.#next));
    this.renew.addEventListener("click", () => this.#read());
    addEventListener("popstate", () => {
      this.#filters = readFilters(location.search);
      this.#showFilters();
      this.#read();
    });
    listen("journey", () => this.#heard());
    this.#showFilters();
    await this.#attempt(async () => {
      const { settings } = await call("GET", "/api/settings");
      this.#faults = settings.filter(({ type }) => type === "fault");
      this.#showFilters();
    });
    await this.#read();
  }

  #showFilters() {
    this.filter.show(this.#filters, { faults: this.#faults });
  }

  #wish(filters) {
    this.#filters = filters;
    history.replaceState(null, "", `/traces${queryOf(filters)}`);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), PAUSE_MS);
  }

  /** The list does not move under the reader's eyes: new ones are offered. */
  #heard() {
    this.#fresh += 1;
    this.renew.hidden = false;
    this.renew.textContent = `${this.#fresh} newer: look again`;
  }

  async #read(before = null) {
    const question = (this.#question += 1);
    await this.#attempt(async () => {
      const found = await call("GET", `/api/traces${queryOf(this.#filters, { limit: PAGE, ...(before === null ? {} : { before }) })}`);
      if (question !== this.#question) return;
      this.#journeys = before === null ? found.journeys : [...this.#journeys, ...found.journeys];
      this.#next = found.next ?? null;
      if (before === null) {
        this.#fresh = 0;
        this.renew.hidden = true;
      }
      this.#draw(found);
    });
  }

  #draw(found) {
    const filtered = Object.keys(this.#filters).length > 0;
    this.list.show(this.#journeys);
    this.found.textContent = foundSays(this.#journeys.length, found, filtered);
    this.more.hidden = this.#next === null;
    this.none.hidden = this.#journeys.length > 0;
    this.none.textContent = filtered && found.kept > 0 ? "None of the kept traces fits. Take a filter away." : "No request has come yet. Send one on the Journey page.";
  }

  async #attempt(exchange) {
    try {
      await exchange();
      this.trouble.textContent = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) location.assign("/sign-in?next=/traces");
      else this.trouble.textContent = error.message;
    }
  }
}
