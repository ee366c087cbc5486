// Breaking from the Journey page: the faults of the station that is looked at, kept true while it is.

import { FaultTable } from "../../lib/fault-table.js";
import { place } from "../../lib/pointer.js";
import { breakable, lineOfFaults, titleOf } from "../../logic/faults.js";

const TICK_MS = 1000;

export class Breaking {
  #element;
  #table;

  /** `changed` is called whenever what is on may be another. */
  constructor(element, changed) {
    this.#element = element;
    this.#table = new FaultTable(changed);
    element.addEventListener("change-fault", ({ detail }) => this.#change(detail));
    setInterval(() => element.tick(Date.now()), TICK_MS);
  }

  async start() {
    try {
      await this.#table.start();
    } catch {
      // Without the settings nothing is offered that could not work; the composer says what is wrong.
    }
  }

  show({ line, hop, stack }) {
    const instances = stack?.instances ?? [];
    const rows = lineOfFaults(breakable(this.#table.rows, stack?.restaurant ?? true), line, instances);
    const row = rows.find(({ layer }) => layer.id === hop);
    if (row) this.#element.show({ row, faults: this.#table, instances });
  }

  /** What those that struck a journey are called: [{ hop, title }]. */
  named(keys) {
    return keys.map((key) => ({ hop: this.#table.rows.find((row) => row.key === key)?.hop ?? null, title: titleOf(this.#table.rows, key) }));
  }

  async #change(wish) {
    try {
      await this.#table.change(wish);
    } catch (problem) {
      this.#element.refuse(wish.key, place([`/${wish.key}`], problem.problem?.errors ?? []).placed.get(`/${wish.key}`) ?? problem.message);
    }
  }
}
