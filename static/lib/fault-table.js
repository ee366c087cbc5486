// The faults as this page knows them: read once, kept true by the stream, changed by whoever uses a control.

import { heardAt, isFault, valueToSend, varied, withOn } from "../logic/faults.js";
import { listen } from "./events.js";
import { call } from "./http.js";

export class FaultTable {
  rows = [];
  /** By how much a delay that is switched on varies, in percent. */
  vary = 0;
  // What was chosen for a fault while it is off: { key: { route, instances… } }.
  #drafts = new Map();
  // What the stream told before the rows were there.
  #told = null;
  #changed;

  constructor(changed) {
    this.#changed = changed;
  }

  /** Listens first: what the stream says when it begins must not be missed. */
  async start() {
    listen("faults", ({ on }) => {
      this.#told = { on, at_ms: Date.now() };
      if (this.rows.length > 0) this.#hear();
    });
    this.#take(await call("GET", "/api/settings"));
    if (this.#told !== null) this.#hear();
  }

  draftOf(key) {
    return this.#drafts.get(key) ?? {};
  }

  /** What is on changes at the server; what is off keeps it in mind (`later`) until it is switched on. */
  async change({ key, change, later }) {
    const fault = this.rows.find((row) => row.key === key);
    if (later && fault.value === false) {
      this.#drafts.set(key, { ...this.draftOf(key), ...change });
      this.#changed();
      return;
    }
    await this.send({ [key]: valueToSend(fault, change, { draft: this.draftOf(key), vary: this.vary }) });
    this.#drafts.delete(key);
  }

  /** All the changes, or none. */
  async send(changes) {
    this.#take(await call("PATCH", "/api/settings", changes));
  }

  async varyBy(percent) {
    this.vary = percent;
    const changes = varied(this.rows, percent, Date.now());
    if (Object.keys(changes).length > 0) await this.send(changes);
  }

  async begin(badDay) {
    this.#take(await call("POST", `/api/bad-days/${encodeURIComponent(badDay)}`, {}));
  }

  #take({ settings }) {
    this.rows = heardAt(settings.filter(isFault), Date.now());
    this.#changed();
  }

  #hear() {
    this.rows = withOn(this.rows, this.#told.on, this.#told.at_ms);
    this.#changed();
  }
}

/** Ends every fault; says how it went. */
export async function restoreEverything() {
  const { ended, ms } = await call("POST", "/api/restore", {});
  const time = ms < 10 ? ms.toFixed(1) : Math.round(ms);
  return ended.length === 0 ? "Nothing was on." : `Everything restored in ${time}\u202fms.`;
}
