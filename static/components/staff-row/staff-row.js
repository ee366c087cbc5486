// <staff-row>: one member of the restaurant's staff, with a form to set their password.
//
//   row.member = {name, role, has_password}
//   row.addEventListener("password-set", ({detail: {name}}) => …)   // bubbles

import { h } from "../../lib/dom.js";
import { onSubmit } from "../../lib/form.js";
import { Problem, call } from "../../lib/http.js";
import { PASSWORD_CHARS_MIN, passwordErrors } from "../../gate/passwords.js";

export class StaffRow extends HTMLElement {
  #name = h("h3");
  #role = h("span", { class: "muted" });
  #state = h("p", { class: "soft" });
  #open = h("button", { class: "btn", type: "button", "aria-expanded": "false", onclick: () => this.#toggle() });
  #form = null;
  #member = null;

  set member(member) {
    this.#member = member;
    if (this.#form === null) this.#build(member.name);
    this.#name.textContent = member.name;
    this.#role.textContent = member.role === member.name ? "" : member.role;
    this.#state.textContent = member.has_password ? "Has a password" : "No password: nobody can sign in";
    this.#open.textContent = member.has_password ? "Set another password" : "Set a password";
    this.#open.setAttribute("aria-label", `${this.#open.textContent} for ${member.name}`);
  }

  #build(name) {
    const attributes = { class: "gate-fields", id: `form-${name}`, method: "post", hidden: true, novalidate: true };
    this.#form = h("form", attributes,
      h("p", { class: "err-text", role: "alert" }),
      ...fields(name),
      h("p", { class: "gate-act" },
        h("button", { class: "btn go", type: "submit" }, "Set the password"),
        h("button", { class: "btn", type: "button", onclick: () => this.#close() }, "Leave it as it is")));
    onSubmit(this.#form, () => this.#send());
    this.#open.setAttribute("aria-controls", this.#form.id);
    this.append(h("div", { class: "staff-who" }, this.#name, this.#role), this.#state, this.#open, this.#form);
  }

  get #password() {
    return this.#form.querySelector("[data-pointer]");
  }

  #toggle() {
    if (!this.#form.hidden) return this.#close();
    this.#form.hidden = false;
    this.#open.setAttribute("aria-expanded", "true");
    this.#password.focus();
  }

  #close() {
    this.#form.reset();
    this.#form.querySelector("password-field").shown = false;
    this.#form.hidden = true;
    this.#open.setAttribute("aria-expanded", "false");
    this.#open.focus();
  }

  async #send() {
    const password = this.#password.value;
    const errors = passwordErrors(password);
    if (errors.length > 0) throw new Problem(422, { detail: "The password is not set.", errors });
    const { name } = this.#member;
    await call("PUT", `/api/staff/${encodeURIComponent(name)}/password`, { password });
    this.#close();
    this.dispatchEvent(new CustomEvent("password-set", { bubbles: true, detail: { name } }));
  }
}

function fields(name) {
  const id = `password-${name}`;
  const password = {
    class: "in",
    id,
    name: "password",
    type: "password",
    autocomplete: "new-password",
    required: true,
    "data-pointer": "/password",
    "aria-describedby": `${id}-hint ${id}-error`,
  };
  // Unseen, but password managers need a name to save the password under.
  const username = {
    class: "vh",
    name: "username",
    value: name,
    autocomplete: "username",
    readonly: true,
    tabindex: "-1",
    "aria-hidden": "true",
  };
  return [
    h("input", username),
    h("div", { class: "field" },
      h("label", { for: id }, `New password for ${name}`),
      h("password-field", {}, h("input", password)),
      h("p", { class: "err-text", id: `${id}-error` }),
      h("p", { class: "small muted", id: `${id}-hint` }, `At least ${PASSWORD_CHARS_MIN} characters.`)),
  ];
}

export const registerStaffRow = () => customElements.define("staff-row", StaffRow);
