// <fault-details></fault-details>: how one fault strikes, at whom, and for how long.
//   show(fault, { instances, draft, vary })   `draft` is what was chosen while it is off
// Says "change-fault" (detail: { key, change, later }); bubbles. What is off only keeps it in mind.

import { h } from "../../lib/dom.js";
import { amountChange, amountOf, DURATIONS, durationOf, FOR_DEFAULT_S, isOn, isPerInstance } from "../../logic/faults.js";
import { readNumber } from "../../logic/settings.js";
import { wish } from "../fault-line/parts.js";

const ROLES = ["guest", "waiter", "chef", "manager"];
const PERCENT = { min: 1, max: 100, unit: "%" };
const VARY = { min: 0, max: 100, unit: "%" };

export class FaultDetails extends HTMLElement {
  #fault = null;
  #fields = [];
  #of = "";

  show(fault, { instances, draft, vary }) {
    this.#fault = fault;
    const of = `${fault.key} ${instances.map(({ id }) => id)}`;
    if (of !== this.#of) this.#build(fault, instances);
    this.#of = of;
    const value = isOn(fault) ? { ...fault.value, for_s: durationOf(fault) } : { probability: 100, vary, instances: [], route: "", role: "", for_s: FOR_DEFAULT_S, ...draft };
    for (const { put, control } of this.#fields) if (!control.contains(document.activeElement)) put(value);
  }

  #build(fault, instances) {
    const { key, title, help, strength, effect, probable, narrows } = fault;
    const slides = effect !== "outright";
    const wants = [
      slides && this.#number("amount", effect === "delay" ? "Exactly" : "Of the requests", effect === "delay" ? { ...strength, min: 0 } : { ...PERCENT, min: 0 },
        () => String(amountOf(this.#fault)), (amount) => wish(this, "change-fault", { key, change: amountChange(this.#fault, amount) })),
      probable && effect !== "failing" && this.#number("probability", "Of the requests", PERCENT),
      effect === "delay" && this.#number("vary", "Varies by ±", VARY),
      narrows.includes("instances") && !isPerInstance(fault) && this.#instances(instances),
      narrows.includes("route") && this.#route(),
      narrows.includes("role") && this.#choice("role", "Only for", [["", "everybody"], ...ROLES.map((role) => [role, role])], (role) => role || null),
      this.#choice("for_s", "Lasts", DURATIONS, Number),
    ];
    this.#fields = wants.filter(Boolean);
    this.replaceChildren(
      h("p", { class: "fx-help" }, h("b", {}, `${title}. `), help, " ", h("code", { class: "muted" }, key)),
      h("div", { class: "fx-fields" }, this.#fields.map(({ control }) => control)));
  }

  #id(name) {
    return `${this.#fault.key}-${name}`;
  }

  #change(change) {
    wish(this, "change-fault", { key: this.#fault.key, change, later: true });
  }

  #field(name, title, input, unit, error) {
    return h("div", { class: "field" }, h("label", { for: this.#id(name) }, title), h("span", { class: "fx-amount" }, input, unit), error);
  }

  #number(name, title, bounds, take = (value) => String(value[name]), send = (number) => this.#change({ [name]: number })) {
    const error = h("p", { class: "err-text", id: `${this.#id(name)}-error`, role: "alert" });
    const input = h("input", { class: "in tnum", id: this.#id(name), type: "number", inputmode: "numeric", min: bounds.min, max: bounds.max, step: 1, "aria-describedby": error.id });
    input.addEventListener("change", () => {
      const read = readNumber(bounds, input.value);
      error.textContent = read.error ?? "";
      if (read.error === undefined) send(read.value);
    });
    return { control: this.#field(name, title, input, bounds.unit, error), put: (value) => (input.value = take(value)) };
  }

  #choice(name, title, choices, read) {
    const select = h("select", { class: "in", id: this.#id(name), onchange: () => this.#change({ [name]: read(select.value) }) },
      choices.map(([value, words]) => h("option", { value }, words)));
    const put = (value) => {
      const wanted = String(value[name] ?? "");
      // Something else may have been chosen with a command.
      if (![...select.options].some((option) => option.value === wanted)) select.append(h("option", { value: wanted }, `${wanted} seconds`));
      select.value = wanted;
    };
    return { control: this.#field(name, title, select), put };
  }

  #route() {
    const input = h("input", { class: "in mono", id: this.#id("route"), placeholder: "/api/v1/menu", autocomplete: "off", spellcheck: "false",
      onchange: () => this.#change({ route: input.value.trim() || null }) });
    return { control: this.#field("route", "Only paths that begin with", input), put: (value) => (input.value = value.route ?? "") };
  }

  #instances(instances) {
    const boxes = instances.map(({ id }) => h("input", { type: "checkbox", value: id, onchange: () => this.#change({ instances: boxes.filter((box) => box.checked).map((box) => box.value) }) }));
    const control = h("fieldset", { class: "field" }, h("legend", {}, "Only at (none chosen: all)"),
      h("div", { class: "fx-picks" }, boxes.map((box) => h("label", {}, box, box.value))));
    return { control, put: (value) => boxes.forEach((box) => (box.checked = value.instances.includes(box.value))) };
  }
}

export const registerFaultDetails = () => customElements.define("fault-details", FaultDetails);
