// <setting-row></setting-row>: one setting, with the control that fits it.
//   show(row)   refuse(say)
// Says "change-setting" (detail: { key, value }); bubbles.

import { h } from "../../lib/dom.js";
import { choiceSays, isChanged, rangeSays, readNumber, valueSays } from "../../logic/settings.js";

export class SettingRow extends HTMLElement {
  #row = null;
  #control = null;
  #mark = h("span", { class: "set-mark" });
  #back = h("button", { class: "btn tiny", type: "button", onclick: () => this.#backToDefault() }, "Back to default");
  #error = h("p", { class: "err-text" });

  show(row) {
    if (this.#row === null) this.#build(row);
    const before = this.#row;
    this.#row = row;
    const typing = this.#control === document.activeElement && this.#control.value !== String(before?.value);
    if (!typing && this.#error.textContent === "") this.#put(row.value);
    const changed = isChanged(row);
    this.classList.toggle("changed", changed);
    this.#mark.textContent = changed ? `Changed. Default: ${valueSays(row, row.default)}` : "Default";
    this.#back.hidden = !changed;
  }

  refuse(say) {
    this.#error.textContent = say;
    this.#control.setAttribute("aria-invalid", "true");
    // A switch or a list shows what holds; what was typed stays, to be put right.
    if (!["number", "text"].includes(this.#row.type)) this.#put(this.#row.value);
  }

  #build(row) {
    const { key, help, hop } = row;
    this.#control = CONTROLS[row.type](row);
    this.#control.addEventListener("change", () => this.#read());
    this.#control.id = key;
    this.#error.id = `${key}-error`;
    this.#control.setAttribute("aria-describedby", `${key}-help ${key}-note ${key}-error`);
    this.#back.setAttribute("aria-label", `Back to default: ${key}`);
    const control = row.type === "flag" ? h("span", { class: "sw" }, this.#control) : this.#control;
    this.replaceChildren(
      // The key is what the command line and the API call it; its station stands above the group.
      h("label", { class: "mono", for: key }, h("span", { class: "muted" }, `${hop}.`), breakable(key.slice(hop.length + 1))),
      h("p", { class: "small soft set-help", id: `${key}-help` }, help),
      h("div", { class: "set-value" }, control, row.unit && h("span", { class: "soft" }, row.unit), this.#error),
      h("div", { class: "set-note small" },
        h("p", { id: `${key}-note` }, this.#mark, rangeSays(row) && h("span", { class: "muted tnum" }, `, takes ${rangeSays(row)}`)),
        this.#back));
  }

  #put(value) {
    if (this.#row.type === "flag") this.#control.checked = value;
    else this.#control.value = value;
  }

  #read() {
    const { type } = this.#row;
    if (type !== "number") return this.#wish(type === "flag" ? this.#control.checked : this.#control.value);
    const { value, error } = readNumber(this.#row, this.#control.value);
    if (error) return this.refuse(error);
    this.#wish(value);
  }

  #backToDefault() {
    // The button goes once it has worked: the focus belongs to the control.
    this.#control.focus();
    this.#put(this.#row.default);
    this.#wish(this.#row.default);
  }

  #wish(value) {
    this.#error.textContent = "";
    this.#control.removeAttribute("aria-invalid");
    this.dispatchEvent(new CustomEvent("change-setting", { bubbles: true, detail: { key: this.#row.key, value } }));
  }
}

/** A long key breaks after a dot or an underscore. */
const breakable = (key) => key.split(/(?<=[._])/).flatMap((part) => [part, h("wbr")]);

const CONTROLS = {
  flag: () => h("input", { type: "checkbox", role: "switch" }),
  choice: ({ key, choices }) => h("select", { class: "in" }, choices.map((choice) => h("option", { value: choice }, choiceSays(key, choice)))),
  text: () => h("input", { class: "in mono", autocomplete: "off", spellcheck: "false" }),
  number: ({ min, max }) => h("input", { class: "in tnum", type: "number", inputmode: "numeric", min, max, step: 1 }),
};

export const registerSettingRow = () => customElements.define("setting-row", SettingRow);
