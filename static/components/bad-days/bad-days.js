// <bad-days></bad-days>: several faults at once, as a day has them.
//   show(badDays)   began(id): says what has begun   ended()
// Says "begin-day" (detail: { id }).

import { h } from "../../lib/dom.js";

export class BadDays extends HTMLElement {
  #days = [];
  #list = h("ul", { "aria-labelledby": "days-title", id: "days" });
  #tell = h("button", { class: "quiet small", type: "button", "aria-expanded": "false", "aria-controls": "days", onclick: () => this.#toggle() }, "What happens in them");
  #said = h("p", { class: "say", role: "status" });

  connectedCallback() {
    this.replaceChildren(h("h2", { id: "days-title" }, "Start from a bad day"), this.#list, this.#tell, this.#said);
  }

  show(days) {
    this.#days = days;
    this.hidden = days.length === 0;
    this.#list.replaceChildren(...days.map((day) =>
      h("li", {}, h("button", { class: "recipe", type: "button", onclick: () => this.#begin(day) }, day.title), h("p", { class: "small muted" }, day.story))));
  }

  began(id) {
    const { title, story } = this.#days.find((day) => day.id === id);
    this.#said.textContent = `${title}: ${story}`;
  }

  /** Nothing is on any more. */
  ended() {
    this.#said.textContent = "";
  }

  #toggle() {
    const told = this.classList.toggle("told");
    this.#tell.setAttribute("aria-expanded", String(told));
    this.#tell.textContent = told ? "Only their names" : "What happens in them";
  }

  #begin({ id }) {
    this.dispatchEvent(new CustomEvent("begin-day", { detail: { id } }));
  }
}

export const registerBadDays = () => customElements.define("bad-days", BadDays);
