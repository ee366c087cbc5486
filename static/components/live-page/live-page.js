// The Live page's controller: reads the figures each second, and carries wishes to the server.

import { call, Problem } from "../../lib/http.js";
import { clockTime, count } from "../../lib/format.js";
import { listen } from "../../lib/events.js";
import { FaultTable } from "../../lib/fault-table.js";
import { toast } from "../../lib/toast.js";
import { aimedAlso, endsIn, isAimedAt, isOn } from "../../logic/faults.js";
import { isUnderWay, rolloutSays } from "../../logic/instances.js";
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
const WORKERS = "service.kitchen.workers";

export class LivePage {
  #window = 300;
  #frozen = false;
  #events = [];
  #figures = [];
  // False before somebody's own service: the instances are theirs.
  #restaurant = false;
  #instances = null;
  #rollout = null;
  #faults = new FaultTable(() => this.#showInstances());
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
    this.workers = find("kitchen-workers");
    this.rollOut = find("roll-out");
    this.autoscaler = find("autoscaler-log");
    this.ours = [find("#instances"), find("#autoscaler")];
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
    this.workers.addEventListener("change-setting", ({ detail: { key, value } }) =>
      this.#wish(async () => {
        this.#showWorkers(await call("PATCH", "/api/settings", { [key]: value }));
        return `Each instance cooks ${count(value, "ticket")} at the same time.`;
      }, this.workers.refuse.bind(this.workers)));
    this.rollOut.addEventListener("rollout-begin", ({ detail }) =>
      this.#wish(async () => {
        await call("POST", "/api/rollouts", detail);
        return detail.kind === "restart" ? "The instances are restarted one after another." : `${detail.version} takes over, one instance after another.`;
      }, this.rollOut.say.bind(this.rollOut)));
    this.rollOut.addEventListener("rollout-call-back", () =>
      this.#wish(async () => {
        await call("DELETE", "/api/rollouts/current");
        return "It is called back.";
      }, this.rollOut.say.bind(this.rollOut)));
    this.load.addEventListener("load-start", ({ detail }) => this.#load(() => call("POST", "/api/load", detail)));
    this.load.addEventListener("load-stop", () => this.#load(() => call("DELETE", "/api/load")));
    listen("happening", (event) => this.#happened([event]));
    await this.#attempt(async () => this.#happened((await call("GET", "/api/happenings?limit=200")).events));
    await this.#attempt(async () => this.#begin(await call("GET", "/api/stack")));
    this.#follow();
  }

  // ---- what the server tells ----

  async #begin({ restaurant }) {
    this.#restaurant = restaurant;
    for (const section of this.ours) section.hidden = !restaurant;
    if (!restaurant) return;
    await this.#faults.start();
    this.#showWorkers(await call("GET", "/api/settings"));
  }

  async #follow() {
    if (!document.hidden && !this.#frozen) await this.#read();
    setTimeout(() => this.#follow(), EVERY_MS);
  }

  /** Each part by itself: what one is refused does not keep the others from being shown. */
  async #read() {
    const refused = [];
    const part = (exchange) => this.#attempt(exchange, (problem) => refused.push(all(problem)));
    await part(() => this.#readFigures());
    await part(() => this.#readLog());
    if (this.#turn % SELDOM === 0) {
      await part(() => this.#readInstances());
      await part(() => this.#readLoad());
    }
    this.#turn += 1;
    this.#say(refused[0] ?? "");
  }

  async #readFigures() {
    const window = this.#window;
    const live = await call("GET", `/api/live?window=${window}`);
    // Somebody may have asked for another window meanwhile, or have frozen this one.
    if (!this.#frozen && window === this.#window) this.#show(live);
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
    this.saturation.show(live.saturation);
    this.chart.show(live, this.#events, WINDOWS.find(({ seconds }) => seconds === this.#window));
    this.#figures = live.instances;
    this.#showInstances();
    this.age.textContent = `${clockTime(new Date(live.now_ms).toISOString()).slice(0, 8)}, refreshed every second`;
    this.sampling.textContent = live.sampling === null ? "" : `Sampled: ${live.sampling}.`;
  }

  async #readInstances() {
    if (!this.#restaurant) return;
    const { instances, autoscaler, rollout, version } = await call("GET", "/api/instances");
    this.#instances = instances;
    this.autoscaler.show(autoscaler);
    this.rollOut.show(rollout, version);
    if (isUnderWay(this.#rollout) && !isUnderWay(rollout)) toast(rolloutSays(rollout, version));
    this.#rollout = rollout;
    this.#showInstances();
  }

  async #readLoad() {
    this.load.show(await call("GET", "/api/load"));
  }

  #showWorkers({ settings }) {
    this.workers.show(settings.find(({ key }) => key === WORKERS));
  }

  #fault(key) {
    return this.#faults.rows.find((row) => row.key === key);
  }

  #showInstances() {
    if (this.#instances === null || this.#faults.rows.length === 0) return;
    const aimed = (key) => new Set(this.#instances.filter((each) => isAimedAt(this.#fault(key), each)).map(({ id }) => id));
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
      case "remove": {
        await call("DELETE", path);
        return `${id} is removed; what it had in its hands has ended.`;
      }
      case "slow": {
        const slow = await this.#aim(SLOW, id, true);
        return `${id} takes ${slow.value.strength} ms longer for each request; it ${endsIn(slow, Date.now())}.`;
      }
      case "unslow": {
        await this.#aim(SLOW, id, false);
        return `${id} is as quick as before.`;
      }
      case "kill": return `${id} is dead; it ${endsIn(await this.#aim(KILL, id, true), Date.now())}, or when you say so.`;
      default: {
        await this.#aim(KILL, id, false);
        return `${id} is started again.`;
      }
    }
  }

  /** Adds an instance to those that a fault strikes, or takes it out; answers with how the fault is then. */
  async #aim(key, id, on) {
    const fault = this.#fault(key);
    const change = aimedAlso(fault, this.#instances, id, on);
    const strength = key === SLOW && !isOn(fault) ? { strength: SLOW_BY_MS } : {};
    await this.#faults.change({ key, change: change && { ...strength, ...change } });
    return this.#fault(key);
  }

  #wish(act, say = this.instances.say.bind(this.instances)) {
    say("");
    return this.#attempt(
      async () => {
        toast(await act());
        await this.#readInstances();
      },
      (problem) => say(all(problem)));
  }

  #load(act) {
    return this.#attempt(
      async () => {
        await act();
        await this.#readLoad();
      },
      (problem) => this.load.refuse(all(problem)));
  }

  /** Said again only when it is something else: it is an alert. */
  #say(trouble) {
    if (this.trouble.textContent !== trouble) this.trouble.textContent = trouble;
  }

  /** One exchange with the server. Whoever is signed out meanwhile is sent to sign in. */
  async #attempt(exchange, refused = (problem) => this.#say(all(problem))) {
    try {
      await exchange();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) location.assign("/sign-in?next=/live");
      else refused(error);
    }
  }
}

const all = (problem) => [problem.message, ...(problem.problem.errors ?? []).map(({ detail }) => detail)].join(" ");
