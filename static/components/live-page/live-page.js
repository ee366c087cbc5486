// The Live page's controller: reads the figures each second, and carries wishes to the server.

import { call, Problem } from "../../lib/http.js";
import { clockTime } from "../../lib/format.js";
import { listen } from "../../lib/events.js";
import { toast } from "../../lib/toast.js";
import { WINDOWS } from "../../logic/live.js";

const EVERY_MS = 1000;
// What changes seldom is looked at less often.
const SELDOM = 3;
const EVENTS_MAX = 1024;
// Lines of the log in one answer.
const LINES = 200;

const SLOW = "fault.instance.slow";
const KILL = "fault.instance.kill";
const SLOW_BY_MS = 500;

export class LivePage {
  #window = 300;
  #frozen = false;
  #events = [];
  #figures = [];
  #instances = null;
  #faults = new Map();
  #logged = null;
  #turn = 0;

  constructor(document) {
    const find = (selector) => document.querySelector(selector);
    this.trouble = find("#trouble");
    this.age = find("#age");
    this.freeze = find("#freeze");
    this.windows = find("#windows");
    this.sampling = find("#sampling");
    this.saturation = find("saturation-pipe");
    this.chart = find("live-chart");
    this.instances = find("instance-table");
    this.autoscaler = find("autoscaler-log");
    this.load = find("send-traffic");
    this.log = find("log-tail");
    this.add = find("#add");
  }

  async start() {
    this.freeze.addEventListener("click", () => this.#freeze(!this.#frozen));
    this.windows.addEventListener("change", ({ target }) => this.#look(Number(target.value)));
    this.add.addEventListener("click", () => this.#wish(async () => {
      const { id } = await call("POST", "/api/instances", {});
      return `${id} starts; it gets requests once it has answered its first check.`;
    }));
    this.instances.addEventListener("instance-wish", ({ detail }) => this.#wish(() => this.#instanceWish(detail)));
    this.autoscaler.addEventListener("autoscaler-switch", ({ detail }) =>
      this.#wish(async () => {
        await call("PATCH", "/api/settings", { "balancer.autoscaler.on": detail.on });
        return detail.on ? "The autoscaler looks each second from now on." : "The autoscaler is off.";
      }));
    this.load.addEventListener("load-start", ({ detail }) => this.#load(() => call("POST", "/api/load", detail)));
    this.load.addEventListener("load-stop", () => this.#load(() => call("DELETE", "/api/load")));
    listen("happening", (event) => this.#happened([event]));
    listen("faults", ({ on }) => {
      this.#faults = new Map(on.map(({ key, value }) => [key, value]));
      this.#showInstances();
    });
    await this.#attempt(async () => this.#happened((await call("GET", "/api/happenings?limit=200")).events));
    this.#follow();
  }

  // ---- what the server tells ----

  async #follow() {
    if (!document.hidden && !this.#frozen) await this.#read();
    setTimeout(() => this.#follow(), EVERY_MS);
  }

  async #read() {
    await this.#attempt(async () => {
      const live = await call("GET", `/api/live?window=${this.#window}`);
      if (this.#frozen) return;
      this.#show(live);
      await this.#readLog();
      if (this.#turn % SELDOM === 0) await this.#readSeldom();
      this.#turn += 1;
    });
  }

  /** What came since the last look; of more than fits into one answer the latest. */
  async #readLog() {
    const since = this.#logged === null ? "" : `&after=${this.#logged}`;
    let { lines, last } = await call("GET", `/api/log?limit=${LINES}${since}`);
    if (since !== "" && lines.length === LINES) ({ lines, last } = await call("GET", `/api/log?limit=${LINES}`));
    this.#logged = last;
    this.log.add(lines);
  }

  #show(live) {
    const { title } = WINDOWS.find(({ seconds }) => seconds === this.#window);
    this.saturation.show(live.saturation);
    this.chart.show(live, this.#events, title);
    this.#figures = live.instances;
    this.#showInstances();
    this.age.textContent = `${clockTime(new Date(live.now_ms).toISOString()).slice(0, 8)}, refreshed every second`;
    this.sampling.textContent = live.sampling === null ? "" : `Sampled: ${live.sampling}.`;
  }

  async #readSeldom() {
    this.#takeInstances(await call("GET", "/api/instances"));
    this.load.show(await call("GET", "/api/load"));
  }

  #takeInstances(answer) {
    this.#instances = answer.instances;
    this.autoscaler.show(answer.autoscaler);
    this.#showInstances();
  }

  #showInstances() {
    if (this.#instances === null) return;
    const aimed = (key) => {
      const value = this.#faults.get(key);
      if (!value) return new Set();
      return new Set(value.instances.length === 0 ? this.#instances.map(({ id }) => id) : value.instances);
    };
    this.instances.show(this.#instances, this.#figures, { killed: aimed(KILL), slowed: aimed(SLOW) });
  }

  #happened(events) {
    this.#events = [...this.#events, ...events].slice(-EVENTS_MAX);
  }

  // ---- what the reader wishes ----

  #freeze(on) {
    this.#frozen = on;
    this.freeze.textContent = on ? "Go on" : "Freeze";
    if (on) this.age.textContent = `${this.age.textContent.split(",")[0]}, frozen`;
  }

  #look(seconds) {
    this.#window = seconds;
    // A picture that was frozen shows what it was frozen for; another window is another question.
    this.#freeze(false);
    this.#read();
  }

  async #instanceWish({ id, wish }) {
    const path = `/api/instances/${encodeURIComponent(id)}`;
    switch (wish) {
      case "drain": {
        await call("POST", `${path}/drain`, {});
        return `${id} gets no new requests; what it has in its hands ends.`;
      }
      case "undrain": {
        await call("POST", `${path}/undrain`, {});
        return `${id} takes requests again.`;
      }
      case "slow": return this.#aim(SLOW, id, true, `${id} takes ${SLOW_BY_MS} ms longer for each request, for two minutes.`);
      case "unslow": return this.#aim(SLOW, id, false, `${id} is as quick as before.`);
      case "kill": return this.#aim(KILL, id, true, `${id} is dead. It is started again in two minutes, or when you say so.`);
      default: return this.#aim(KILL, id, false, `${id} is started again.`);
    }
  }

  /** Adds an instance to those that a fault strikes, or takes it out; the last one out ends the fault. */
  async #aim(key, id, on, said) {
    const now = this.#faults.get(key);
    const before = now ? (now.instances.length === 0 ? this.#instances.map((each) => each.id) : now.instances) : [];
    const instances = on ? [...new Set([...before, id])] : before.filter((each) => each !== id);
    const strength = key === SLOW ? { strength: now ? now.strength : SLOW_BY_MS } : {};
    await call("PATCH", "/api/settings", { [key]: instances.length === 0 ? false : { ...strength, instances } });
    return said;
  }

  #wish(act) {
    this.instances.say("");
    return this.#attempt(
      async () => {
        toast(await act());
        await this.#readSeldom();
      },
      (problem) => this.instances.say(all(problem)));
  }

  #load(act) {
    return this.#attempt(
      async () => {
        await act();
        this.load.show(await call("GET", "/api/load"));
      },
      (problem) => this.load.refuse(all(problem)));
  }

  /** One exchange with the server. Whoever is signed out meanwhile is sent to sign in. */
  async #attempt(exchange, refused = (problem) => (this.trouble.textContent = all(problem))) {
    try {
      await exchange();
      this.trouble.textContent = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) location.assign("/sign-in?next=/live");
      else refused(error);
    }
  }
}

const all = (problem) => [problem.message, ...(problem.problem.errors ?? []).map(({ detail }) => detail)].join(" ");
