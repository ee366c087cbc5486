// The edge page's controller: data goes down into the elements as nouns, their wishes come up as events.

import { call, Problem } from "../../lib/http.js";
import { listen } from "../../lib/events.js";
import { place } from "../../lib/pointer.js";
import { standing } from "../../logic/upstreams.js";

const POLICY = "balancer.policy";
const CACHE_BYTES = "http.cache.bytes";

export class EdgePage {
  #stack = null;
  #settings = [];

  constructor(document) {
    const find = (selector) => document.querySelector(selector);
    this.trouble = find("#trouble");
    this.upstreams = find("upstream-list");
    this.events = find("upstream-events");
    this.cache = find("shared-cache");
    this.sides = find("side-stations");
    this.configuration = find("configuration-panel");
    this.routes = find("site-routes");
    this.settings = find("settings-list");
  }

  async start() {
    this.upstreams.addEventListener("change-upstream", ({ detail }) => this.#changeUpstream(detail));
    this.cache.addEventListener("purge", ({ detail }) => this.#purge(detail));
    this.configuration.addEventListener("reload", () => this.#reload());
    this.settings.addEventListener("change-setting", ({ detail }) => this.#changeSetting(detail));
    await this.#readSettings();
    await this.#attempt(async () => this.#hear(await call("GET", "/api/stack")));
    listen("stack", (stack) => this.#hear(stack));
  }

  // ---- what the server tells ----

  #hear(stack) {
    const before = this.#stack;
    this.#stack = stack;
    this.upstreams.show(stack);
    this.configuration.show(stack);
    if (before === null || standing(before) !== standing(stack)) this.#readEvents();
    // Somebody may have loaded another configuration elsewhere.
    if (before?.configuration_loads !== stack.configuration_loads) this.#readRoutes();
    if (!document.hidden) {
      this.#readCache();
      this.#readSides();
    }
    // Somebody may have chosen another policy on another page.
    const known = this.#setting(POLICY);
    if (known !== undefined && known !== stack.policy) this.#readSettings();
  }

  #setting(wanted) {
    return this.#settings.find(({ key }) => key === wanted)?.value;
  }

  #readEvents() {
    return this.#attempt(async () => this.events.show((await call("GET", "/api/upstreams/events")).events));
  }

  #readRoutes() {
    return this.#attempt(async () => this.routes.show(await call("GET", "/api/site")));
  }

  #readCache() {
    return this.#attempt(async () => {
      const figures = await call("GET", "/api/cache");
      this.cache.show(figures, { origin: this.#stack.app_url, bytes_max: this.#setting(CACHE_BYTES) });
    });
  }

  #readSides() {
    return this.#attempt(async () => this.sides.show(await call("GET", "/api/stack/sides")));
  }

  #readSettings() {
    return this.#attempt(async () => this.#take(await call("GET", "/api/settings")));
  }

  #take({ settings }) {
    this.#settings = settings;
    this.settings.show(settings);
  }

  // ---- what the reader wishes ----

  #changeUpstream({ id, control, body }) {
    return this.#attempt(
      async () => {
        const changed = await call("PATCH", `/api/upstreams/${encodeURIComponent(id)}`, body);
        const instances = this.#stack.instances.map((each) => (each.id === id ? { ...each, ...changed } : each));
        this.#hear({ ...this.#stack, instances });
      },
      (problem) => this.upstreams.refuse(id, control, all(problem)));
  }

  async #purge(what) {
    this.cache.busy(true);
    await this.#attempt(
      async () => {
        this.cache.purged((await call("POST", "/api/cache/purge", what)).purged);
        await this.#readCache();
      },
      (problem) => {
        const { placed } = place(["/url", "/prefix"], problem.problem.errors ?? []);
        const [[pointer, say] = [null, all(problem)]] = placed;
        this.cache.fail(say, pointer);
      });
    this.cache.busy(false);
  }

  #reload() {
    this.configuration.busy();
    return this.#attempt(
      async () => {
        this.configuration.loaded(await call("POST", "/api/configuration/reload", {}));
        this.#hear(await call("GET", "/api/stack"));
      },
      (problem) => this.configuration.fail(all(problem)));
  }

  #changeSetting({ key, value }) {
    return this.#attempt(
      async () => {
        this.#take(await call("PATCH", "/api/settings", { [key]: value }));
        this.#readRoutes();
        this.settings.say(`Changed ${key}.`);
      },
      (problem) => this.settings.refuse(key, place([`/${key}`], problem.problem.errors ?? []).placed.get(`/${key}`) ?? problem.message));
  }

  /** One exchange with the server. Whoever is signed out meanwhile is sent to sign in; `refused` says it where it belongs. */
  async #attempt(exchange, refused = (problem) => (this.trouble.textContent = all(problem))) {
    try {
      await exchange();
      this.trouble.textContent = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) location.assign("/sign-in?next=/edge");
      else refused(error);
    }
  }
}

const all = (problem) => [problem.message, ...(problem.problem.errors ?? []).map(({ detail }) => detail)].join(" ");
