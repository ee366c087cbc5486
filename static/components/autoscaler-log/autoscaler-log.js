// <autoscaler-log></autoscaler-log>: whether the autoscaler runs, what it did and why.
//   show(autoscaler)   of GET /api/instances
// Says "autoscaler-switch" (detail: { on }); bubbles.

import { h } from "../../lib/dom.js";
import { clockTime } from "../../lib/format.js";

const LINES_MAX = 6;

export class AutoscalerLog extends HTMLElement {
  #on = h("input", { type: "checkbox", role: "switch", onchange: () => this.#switch() });
  #list = h("ol", { class: "auto" });
  #next = h("p", { class: "small muted tnum" });

  connectedCallback() {
    this.replaceChildren(h("label", { class: "sw" }, this.#on, "Add and remove instances by load"), this.#list, this.#next);
  }

  show({ on, min, max, log, next_look_s, cooling_s }) {
    this.#on.checked = on;
    const lines = log.slice(-LINES_MAX).reverse();
    this.#list.replaceChildren(...lines.map(({ at, change, why }) =>
      h("li", {}, h("span", { class: "tnum muted" }, clockTime(at).slice(0, 8)), h("b", { class: "tnum" }, change), h("span", {}, why))));
    const cooling = cooling_s > 0 ? ` Cools down for ${Math.ceil(cooling_s)} s more.` : "";
    this.#next.textContent = on ? `Between ${min} and ${max}. Next look in ${Math.ceil(next_look_s ?? 0)} s.${cooling}` : `Off: there are as many as somebody started. It would keep them between ${min} and ${max}.`;
  }

  #switch() {
    this.dispatchEvent(new CustomEvent("autoscaler-switch", { bubbles: true, detail: { on: this.#on.checked } }));
  }
}

export const registerAutoscalerLog = () => customElements.define("autoscaler-log", AutoscalerLog);
