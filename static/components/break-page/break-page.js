// The break page's controller: data goes down into the elements as nouns, their wishes come up as events.

import { keyed } from "../../lib/dom.js";
import { listen } from "../../lib/events.js";
import { FaultTable, restoreEverything } from "../../lib/fault-table.js";
import { count } from "../../lib/format.js";
import { call, Problem } from "../../lib/http.js";
import { LINE_TO_YOUR_SERVICE, WHOLE_LINE } from "../../lib/layers.js";
import { place } from "../../lib/pointer.js";
import { toast } from "../../lib/toast.js";
import { breakable, clock, isOn, lineOfFaults, onSince_ms } from "../../logic/faults.js";
import { EffectFigures } from "./effect-figures.js";

const TICK_MS = 1000;

export class BreakPage {
  #faults = new FaultTable(() => this.#draw());
  #stack = null;
  #effect;

  constructor(document) {
    const find = (selector) => document.querySelector(selector);
    this.trouble = find("#trouble");
    this.count = find("#on-count");
    this.since = find("#on-since");
    this.restore = find("#restore");
    this.days = find("bad-days");
    this.vary = find("#vary");
    this.lines = find("#lines");
    this.#effect = new EffectFigures(find("effect-strip"), (exchange, refused) => this.#attempt(exchange, refused));
  }

  async start() {
    this.#wire();
    listen("stack", (stack) => this.#hear(stack));
    const effect = this.#effect.start();
    const faults = this.#attempt(() => this.#faults.start());
    await Promise.all([
      this.#attempt(async () => this.#hear(await call("GET", "/api/stack"))),
      this.#attempt(async () => this.days.show((await call("GET", "/api/bad-days")).bad_days)),
      effect, faults,
    ]);
    this.#goToAim();
    setInterval(() => this.#tick(), TICK_MS);
  }

  #wire() {
    this.lines.addEventListener("change-fault", ({ detail }) => this.#change(detail));
    this.days.addEventListener("begin-day", ({ detail: { id } }) =>
      this.#attempt(async () => {
        await this.#faults.begin(id);
        this.days.began(id);
      }));
    this.vary.addEventListener("change", ({ target }) => this.#attempt(() => this.#faults.varyBy(Number(target.value))));
    this.restore.addEventListener("click", () => this.#faults.rows.some(isOn) && this.#attempt(async () => toast(await restoreEverything())));
    addEventListener("hashchange", () => this.#goToAim());
  }

  #hear(stack) {
    const before = this.#stack;
    this.#stack = stack;
    this.#effect.target = stack.restaurant ? "menu" : "front";
    if (!document.hidden) this.#effect.readSupplier();
    const named = ({ instances, restaurant }) => JSON.stringify([restaurant, instances.map(({ id, version }) => [id, version])]);
    if (before === null || named(before) !== named(stack)) this.#draw();
  }

  #change(wish) {
    return this.#attempt(() => this.#faults.change(wish), (problem) => {
      const say = place([`/${wish.key}`], problem.problem.errors ?? []).placed.get(`/${wish.key}`) ?? problem.message;
      for (const line of this.lines.children) line.refuse(wish.key, say);
    });
  }

  /** /break#dns, as the Journey page links to it. */
  #goToAim() {
    const wanted = location.hash.slice(1);
    for (const line of this.lines.children) line.classList.toggle("aim", line.id === wanted);
    this.lines.querySelector(".aim")?.scrollIntoView({ block: "center" });
  }

  // ---- drawing ----

  #draw() {
    if (this.#stack === null || this.#faults.rows.length === 0) return;
    const { restaurant, instances } = this.#stack;
    const faults = breakable(this.#faults.rows, restaurant);
    const rows = lineOfFaults(faults, restaurant ? WHOLE_LINE : LINE_TO_YOUR_SERVICE, instances);
    keyed(this.lines, rows, ({ layer }) => layer.id, ({ layer }) => Object.assign(document.createElement("fault-line"), { id: layer.id, className: "fx-row" }),
      (line, row) => line.show({ row, faults: this.#faults, instances }));
    const on = this.#faults.rows.filter(isOn).length;
    this.count.textContent = on === 0 ? "All as built" : `${count(on, "fault")} on`;
    this.count.classList.toggle("bad", on > 0);
    // Not disabled, which would take the focus from whoever has just pressed it.
    this.restore.setAttribute("aria-disabled", String(on === 0));
    if (on === 0) this.days.ended();
    this.#effect.since(onSince_ms(this.#faults.rows));
    this.#tick();
  }

  #tick() {
    const now_ms = Date.now();
    const since_ms = onSince_ms(this.#faults.rows);
    this.since.textContent = since_ms === null ? "" : `for ${clock(now_ms - since_ms)}`;
    for (const line of this.lines.children) line.tick(now_ms);
  }

  /** One exchange with the server. Whoever is signed out meanwhile is sent to sign in; `refused` says it where it belongs. */
  async #attempt(exchange, refused = (problem) => (this.trouble.textContent = problem.message)) {
    try {
      await exchange();
      this.trouble.textContent = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) location.assign("/sign-in?next=/break");
      else refused(error);
    }
  }
}
