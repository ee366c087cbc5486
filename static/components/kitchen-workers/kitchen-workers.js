// <kitchen-workers></kitchen-workers>: how many tickets each instance cooks at the same time.
//   show(row)   the row service.kitchen.workers of GET /api/settings   refuse(say)
// Says "change-setting" (detail: { key, value }); bubbles.

import { h } from "../../lib/dom.js";
import { readNumber } from "../../logic/settings.js";

export class KitchenWorkers extends HTMLElement {
  #row = null;
  #error = h("p", { class: "err-text", id: "workers-error", role: "alert" });
  #input = h("input", { class: "in tnum", id: "workers", type: "number", inputmode: "numeric", step: 1, "aria-describedby": "workers-help workers-error", onchange: () => this.#read() });
  #help = h("p", { class: "small muted", id: "workers-help" });

  connectedCallback() {
    this.replaceChildren(h("label", { for: "workers" }, "Workers in each"), this.#input, this.#help, this.#error);
  }

  show(row) {
    this.#row = row;
    this.#input.min = row.min;
    this.#input.max = row.max;
    this.#help.textContent = row.help;
    if (this.#input !== document.activeElement) this.#input.value = row.value;
  }

  refuse(say) {
    this.#error.textContent = say;
  }

  #read() {
    const { value, error } = readNumber(this.#row, this.#input.value);
    this.refuse(error ?? "");
    if (error === undefined) this.dispatchEvent(new CustomEvent("change-setting", { bubbles: true, detail: { key: this.#row.key, value } }));
  }
}

export const registerKitchenWorkers = () => customElements.define("kitchen-workers", KitchenWorkers);
