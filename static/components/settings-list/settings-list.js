// <settings-list></settings-list>: every setting, grouped by station, with a filter.
//   show(settings)   refuse(key, say)   say(words) after a change

import { h, keyed } from "../../lib/dom.js";
import { count, whole } from "../../lib/format.js";
import { bullet } from "../waterfall/draw-rows.js";
import { groupsOf, isChanged, matching } from "../../logic/settings.js";

export class SettingsList extends HTMLElement {
  #settings = [];
  #filter = h("input", { class: "in", id: "filter", type: "search", placeholder: "breaker, timeout, cache…", autocomplete: "off", oninput: () => this.#draw() });
  #only = h("input", { type: "checkbox", id: "only-changed", onchange: () => this.#draw() });
  #count = h("p", { class: "small muted tnum", role: "status" });
  #said = h("p", { class: "vh", role: "status" });
  #groups = h("div", { class: "set-groups" });

  connectedCallback() {
    this.replaceChildren(
      h("form", { class: "set-filter", role: "search", onsubmit: (event) => event.preventDefault() },
        h("div", { class: "field" }, h("label", { for: "filter" }, "Show those that speak of"), this.#filter),
        h("label", { class: "sw" }, this.#only, "Only what was changed"),
        this.#count),
      this.#groups, this.#said);
  }

  show(settings) {
    // What can be broken has a page of its own.
    this.#settings = settings.filter(({ type }) => type !== "fault");
    this.#draw();
  }

  refuse(key, say) {
    this.querySelector(`setting-row[data-key="${CSS.escape(key)}"]`)?.refuse(say);
  }

  say(words) {
    this.#said.textContent = words;
  }

  #draw() {
    const shown = matching(this.#settings, this.#filter.value).filter((row) => !this.#only.checked || isChanged(row));
    const changed = this.#settings.filter(isChanged).length;
    const all = count(this.#settings.length, "setting");
    this.#count.textContent = `${shown.length === this.#settings.length ? all : `${whole(shown.length)} of ${all}`}, ${changed === 0 ? "all as by default" : `${whole(changed)} changed`}`;
    keyed(this.#groups, groupsOf(shown), ({ layer }) => layer.id, createGroup, (group, { rows }) => {
      // Whoever looks for something sees it, even in a group that was closed.
      if (shown.length < this.#settings.length) group.open = true;
      group.querySelector("summary .muted").textContent = count(rows.length, "setting");
      keyed(group.querySelector(".set-rows"), rows, ({ key }) => key, () => document.createElement("setting-row"), (row, setting) => row.show(setting));
    });
  }
}

// There are too many settings to scroll past: a group begins closed unless something in it was changed.
const createGroup = ({ layer, rows }) => {
  const { id, number, name } = layer;
  return h("details", { class: "set-group", "data-layer": id, open: rows.some(isChanged) },
    h("summary", {},
      h("span", { class: "rail", "aria-hidden": "true" }, h("i"), h("span", {}, String(number))),
      h("h3", {}, bullet(layer), name), h("span", { class: "small muted tnum" })),
    h("div", { class: "set-rows" }));
};

export const registerSettingsList = () => customElements.define("settings-list", SettingsList);
