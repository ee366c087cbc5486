// <configuration-panel></configuration-panel>: what is served, and loading roundtrip.toml again.
//   show(stack)   busy()   loaded({ pools, routes, needs_restart })   fail(say)
// Says "reload".

import { h } from "../../lib/dom.js";
import { count } from "../../lib/format.js";
import { poolsOf } from "../../logic/upstreams.js";

export class ConfigurationPanel extends HTMLElement {
  #served = h("dl", { class: "facts" });
  #button = h("button", { class: "btn", type: "button", onclick: () => this.#wish() }, "Load roundtrip.toml again");
  #said = h("p", { role: "status" });
  #trouble = h("p", { class: "err-text", role: "alert" });

  connectedCallback() {
    this.replaceChildren(this.#served, h("p", { class: "act" }, this.#button), this.#said, this.#trouble);
  }

  show(stack) {
    const link = h("a", { href: stack.app_url }, stack.app_url);
    const lines = [["Address", link], ["Behind it", stack.restaurant ? "the restaurant" : "your service"]];
    for (const { name, instances } of poolsOf(stack)) lines.push([`Pool ${name}`, instances.map(({ id, target }) => `${id} ${target}`).join(", ")]);
    // Drawn anew only when it says something new: a link under the pointer stays.
    const text = lines.map(([label, value]) => `${label} ${value.textContent ?? value}`).join("\n");
    if (this.#served.dataset.text === text) return;
    this.#served.dataset.text = text;
    this.#served.replaceChildren(...lines.flatMap(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]));
  }

  busy() {
    this.#button.setAttribute("aria-disabled", "true");
    this.#trouble.textContent = "";
    this.#said.textContent = "Loading…";
  }

  loaded({ pools, routes, needs_restart }) {
    const later = needs_restart.length === 0 ? "" : ` From the next start on: ${needs_restart.join(", ")}.`;
    this.#end(`Loaded: ${count(pools, "pool")}, ${count(routes, "route")}. No connection was dropped.${later}`, "");
  }

  fail(say) {
    this.#end("", say);
  }

  #end(said, trouble) {
    this.#button.removeAttribute("aria-disabled");
    this.#said.textContent = said;
    this.#trouble.textContent = trouble;
  }

  #wish() {
    if (this.#button.getAttribute("aria-disabled") !== "true") this.dispatchEvent(new CustomEvent("reload"));
  }
}

export const registerConfigurationPanel = () => customElements.define("configuration-panel", ConfigurationPanel);
