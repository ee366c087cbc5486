// <bad-days></bad-days>: several faults at once, as a day has them.
//   show(badDays)
// Says "begin-day" (detail: { id, title }).

import { h } from "../../lib/dom.js";

export class BadDays extends HTMLElement {
  show(days) {
    this.hidden = days.length === 0;
    this.replaceChildren(
      h("h2", { id: "days-title" }, "Start from a bad day"),
      h("ul", { "aria-labelledby": "days-title" }, days.map((day) =>
        h("li", {}, h("button", { class: "recipe", type: "button", onclick: () => this.#begin(day) }, h("b", {}, day.title), h("span", {}, day.story))))));
  }

  #begin({ id, title }) {
    this.dispatchEvent(new CustomEvent("begin-day", { detail: { id, title } }));
  }
}

export const registerBadDays = () => customElements.define("bad-days", BadDays);
