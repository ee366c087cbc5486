// <fault-switch></fault-switch>: broken outright while it is on; some have a number, which says how much.
//   show(fault, instance)   `instance` null, or { id, version }: the one that this switch is for   tick(now_ms)   refuse(say)
// Says "change-fault" (detail: { key, change, later }) and "open-fault" (detail: key); both bubble.

import { h } from "../../lib/dom.js";
import { aimedAlso, aimSays, endsIn, isAimedAt, isOn } from "../../logic/faults.js";
import { readNumber } from "../../logic/settings.js";
import { errorOf, moreButton, wish } from "../fault-line/parts.js";

export class FaultSwitch extends HTMLElement {
  #fault = null;
  #instance = null;
  #instances = [];
  #box = h("input", { type: "checkbox", role: "switch", onchange: () => this.#turn() });
  #number = null;
  #note = h("span", { class: "fx-note tnum" });
  #error = null;

  show(fault, { instance = null, instances = [], draft = {} } = {}) {
    this.#instance = instance;
    this.#instances = instances;
    if (this.#fault === null) this.#build(fault);
    this.#fault = fault;
    this.#box.checked = this.#isOn;
    this.classList.toggle("on", this.#isOn);
    if (this.#number !== null && this.#number !== document.activeElement) this.#number.value = fault.value.strength ?? draft.strength ?? fault.strength.default;
    this.tick(Date.now());
  }

  tick(now_ms) {
    this.#note.textContent = this.#isOn ? [aimSays(this.#fault), endsIn(this.#fault, now_ms)].filter(Boolean).join(" · ") : "";
  }

  refuse(say) {
    this.#box.checked = this.#isOn;
    this.#error.say(say);
  }

  get #isOn() {
    return this.#instance === null ? isOn(this.#fault) : isAimedAt(this.#fault, this.#instance);
  }

  #build({ key, title, help, strength }) {
    const id = this.#instance === null ? key : `${key}-${this.#instance.id}`;
    const words = this.#instance === null ? title : `${title} ${this.#instance.id}`;
    this.#box.id = id;
    this.#note.id = `${id}-note`;
    this.#error = errorOf(id, this.#box, this.#note.id);
    if (strength !== null) this.#number = this.#numberFor(words, strength);
    this.replaceChildren(...[
      h("label", { class: "sw fault", title: help }, this.#box, h("span", {}, words)),
      this.#number && h("span", { class: "fx-amount" }, this.#number, strength.unit),
      // The dead are all aimed at from one row of the table: one opener is enough.
      (this.#instance === null || this.#instance.id === this.#instances.at(-1).id) && moreButton(this, key, title),
      this.#note, this.#error.element,
    ].filter(Boolean));
  }

  #numberFor(words, { min, max, unit }) {
    return h("input", { class: "in tnum", type: "number", inputmode: "numeric", min, max, step: 1, "aria-label": `${words}, ${unit}`, onchange: () => this.#measure() });
  }

  #turn() {
    this.#error.say("");
    const { key } = this.#fault;
    const change = this.#instance === null ? this.#box.checked : aimedAlso(this.#fault, this.#instances, this.#instance.id, this.#box.checked);
    wish(this, "change-fault", { key, change });
  }

  #measure() {
    const { value, error } = readNumber(this.#fault.strength, this.#number.value);
    this.#error.say(error ?? "");
    if (error === undefined) wish(this, "change-fault", { key: this.#fault.key, change: { strength: value }, later: true });
  }
}

export const registerFaultSwitch = () => customElements.define("fault-switch", FaultSwitch);
