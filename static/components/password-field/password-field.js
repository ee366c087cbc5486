// <password-field>: an input with a button that shows or hides what was typed.
//
//   <password-field><input class="in" id="password" type="password" …></password-field>
//
// The input stays in the page's own markup, so labels, forms and password managers find it. It
// starts as type=password: managers offer to save only a field that was one.

import { h } from "../../lib/dom.js";

export class PasswordField extends HTMLElement {
  #button = h("button", { class: "btn", type: "button", onclick: () => this.#toggle() });

  connectedCallback() {
    this.append(this.#button);
    this.shown = false;
  }

  get input() {
    return this.querySelector("input");
  }

  get shown() {
    return this.input.type === "text";
  }

  set shown(shown) {
    this.input.type = shown ? "text" : "password";
    this.#button.textContent = shown ? "Hide" : "Show";
    this.#button.setAttribute("aria-label", shown ? "Hide the password" : "Show the password");
    this.#button.setAttribute("aria-controls", this.input.id);
  }

  #toggle() {
    this.shown = !this.shown;
  }
}

export const registerPasswordField = () => customElements.define("password-field", PasswordField);
