// <fault-line></fault-line>: everything that can be broken at one station.
//   show({ row, faults, instances })   `row` of logic/faults.js, `faults` the FaultTable   tick(now_ms)   refuse(key, say)
// Its controls say "change-fault" (detail: { key, change, later }); it bubbles.

import { h, keyed } from "../../lib/dom.js";
import { cross, triangle } from "../../lib/glyphs.js";
import { isPerInstance, STATE_SAYS } from "../../logic/faults.js";

const CONTROLS = "fault-slider, fault-switch";

export class FaultLine extends HTMLElement {
  #open = null;
  #faults = null;
  #instances = [];
  #state = h("p", { class: "fx-state" });
  #delay = h("div", { class: "fx-col" });
  #failing = h("div", { class: "fx-col" });
  #outright = h("div", { class: "fx-hard", role: "group" });
  #details = null;

  show({ row, faults, instances }) {
    const { layer, state, dark } = row;
    if (this.#details === null) this.#build(layer);
    this.#faults = faults;
    this.#instances = instances;
    this.classList.toggle("cut", state === "cut");
    this.classList.toggle("hurt", state === "hurt");
    this.classList.toggle("dark", dark);
    this.#state.replaceChildren(...stateSays(state, dark));
    for (const [column, list] of [[this.#delay, row.delay], [this.#failing, row.failing]]) {
      keyed(column, list, ({ key }) => key, () => document.createElement("fault-slider"), (slider, fault) => slider.show(fault));
      column.hidden = list.length === 0;
    }
    keyed(this.#outright, switchesOf(row.outright, instances), ({ key }) => key, () => document.createElement("fault-switch"),
      (element, { fault, instance }) => element.show(fault, { instance, instances, draft: faults.draftOf(fault.key) }));
    this.#outright.hidden = row.outright.length === 0;
    this.#showDetails();
  }

  tick(now_ms) {
    for (const control of this.querySelectorAll(CONTROLS)) control.tick(now_ms);
  }

  refuse(key, say) {
    [...this.querySelectorAll(CONTROLS)].find(({ dataset }) => dataset.key === key || dataset.key.startsWith(`${key} `))?.refuse(say);
  }

  #build({ id: hop, number, name }) {
    this.#details = h("fault-details", { id: `details-${hop}`, role: "group", hidden: true });
    this.dataset.layer = hop;
    this.setAttribute("role", "region");
    this.setAttribute("aria-labelledby", `h-${hop}`);
    this.#outright.setAttribute("aria-label", `${name}: break it outright`);
    this.replaceChildren(
      h("div", { class: "fx-rail", "aria-hidden": "true" }, h("i"), h("span", { class: String(number).length > 1 && "several" }, String(number))),
      h("div", { class: "fx-name" }, h("h2", { id: `h-${hop}` }, name), this.#state),
      this.#delay, this.#failing, this.#outright, this.#details);
    this.addEventListener("open-fault", ({ detail }) => this.#toggle(detail));
    this.addEventListener("keydown", (event) => event.key === "Escape" && this.#open !== null && this.#close());
  }

  #toggle(key) {
    this.#open = this.#open === key ? null : key;
    this.#showDetails();
  }

  #close() {
    const button = this.querySelector(`[data-more="${CSS.escape(this.#open)}"]`);
    this.#toggle(this.#open);
    button?.focus();
  }

  #showDetails() {
    const fault = this.#faults.rows.find(({ key }) => key === this.#open);
    this.#details.hidden = fault === undefined;
    for (const button of this.querySelectorAll(".fx-more")) {
      button.setAttribute("aria-expanded", String(button.dataset.more === this.#open));
      button.setAttribute("aria-controls", this.#details.id);
    }
    if (fault === undefined) return;
    this.#details.setAttribute("aria-label", fault.title);
    this.#details.show(fault, { instances: this.#instances, draft: this.#faults.draftOf(fault.key), vary: fault.effect === "delay" ? this.#faults.vary : 0 });
  }
}

/** One switch a fault; of those that kill, one an instance. */
const switchesOf = (faults, instances) => faults.flatMap((fault) =>
  isPerInstance(fault) ? instances.map((instance) => ({ key: `${fault.key} ${instance.id}`, fault, instance })) : [{ key: fault.key, fault, instance: null }]);

function stateSays(state, dark) {
  const quiet = (words) => h("span", { class: "small muted" }, words);
  const unreached = dark ? [quiet("no request gets here")] : [];
  if (state === "") return dark ? unreached : [quiet(STATE_SAYS[state])];
  return [h("span", { class: "tag bad" }, state === "cut" ? cross(11) : triangle(11), STATE_SAYS[state]), ...unreached];
}

export const registerFaultLine = () => customElements.define("fault-line", FaultLine);
