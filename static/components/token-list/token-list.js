// <token-list></token-list>: the API tokens there are, a form that makes one, and for each a way to revoke it. It talks
// to the server by itself, as whoever reads the page.
//   refresh()

import { h, keyed } from "../../lib/dom.js";
import { onSubmit } from "../../lib/form.js";
import { call, Problem } from "../../lib/http.js";
import { DAYS, DAYS_DEFAULT, SCOPES, tokenSays } from "../../logic/tokens.js";

export class TokenList extends HTMLElement {
  #none = h("p", { class: "soft" }, "There is no token yet.");
  #list = h("ul", { class: "tokens" });
  #said = h("p", { class: "small", role: "status" });
  #trouble = h("p", { class: "err-text", role: "alert" });
  #name = h("input", { class: "in", id: "token-name", autocomplete: "off", required: true, "data-pointer": "/name", "aria-describedby": "token-name-error" });
  #days = h("select", { class: "in", id: "token-days", "data-pointer": "/days", "aria-describedby": "token-days-error" },
    DAYS.map(([value, words]) => h("option", { value, selected: value === DAYS_DEFAULT }, words)));
  #scopes = SCOPES.map(([value]) => h("input", { type: "checkbox", value, checked: value === "read", "aria-describedby": "token-scopes-error" }));
  #password = h("input", { class: "in", id: "token-password", type: "password", autocomplete: "current-password", required: true, "data-pointer": "/password", "aria-describedby": "token-password-error" });
  #made = h("div", { class: "token-made", hidden: true });
  #form = this.#buildForm();

  connectedCallback() {
    onSubmit(this.#form, () => this.#create());
    this.replaceChildren(this.#made, this.#said, this.#trouble, this.#none, this.#list, this.#form);
  }

  async refresh() {
    const { tokens } = await call("GET", "/api/tokens");
    this.#none.hidden = tokens.length > 0;
    const now = Date.now();
    keyed(this.#list, tokens, ({ id }) => id, (token) => this.#row(token), (row, token) => (row.querySelector("p").textContent = tokenSays(token, now)));
  }

  #buildForm() {
    const fieldset = h("fieldset", { class: "field token-scopes", id: "token-scopes", "data-pointer": "/scopes" }, h("legend", {}, "May"),
      SCOPES.map(([, name, what], index) => h("label", {}, this.#scopes[index], h("span", {}, h("b", {}, `${name}: `), h("span", { class: "muted" }, what)))),
      h("p", { class: "err-text", id: "token-scopes-error" }));
    return h("form", { class: "gate-fields token-form", method: "post", novalidate: true },
      h("h3", {}, "Make a token"),
      h("p", { class: "err-text", role: "alert" }),
      h("div", { class: "field" }, h("label", { for: "token-name" }, "For what, or for whom"), this.#name, h("p", { class: "err-text", id: "token-name-error" })),
      fieldset,
      h("div", { class: "field" }, h("label", { for: "token-days" }, "Good for"), this.#days, h("p", { class: "err-text", id: "token-days-error" })),
      h("div", { class: "field" }, h("label", { for: "token-password" }, "Your own password, once more"), h("password-field", {}, this.#password), h("p", { class: "err-text", id: "token-password-error" })),
      h("p", { class: "gate-act" }, h("button", { class: "btn go", type: "submit" }, "Make the token")));
  }

  async #create() {
    const scopes = this.#scopes.filter((box) => box.checked).map((box) => box.value);
    const errors = [
      this.#name.value.trim() === "" && { pointer: "/name", detail: "Give it a name, so that you know later which one it is." },
      scopes.length === 0 && { pointer: "/scopes", detail: "Choose what it may do." },
      this.#password.value === "" && { pointer: "/password", detail: "Type the password that you sign in with." },
    ].filter(Boolean);
    if (errors.length > 0) throw new Problem(422, { detail: "No token was made.", errors });
    const { name, token } = await call("POST", "/api/tokens", { name: this.#name.value.trim(), scopes, days: Number(this.#days.value), password: this.#password.value });
    this.#form.reset();
    this.#showSecret(name, token);
    await this.refresh();
  }

  /** The server keeps a fingerprint only: this is the one time that anybody sees it. */
  #showSecret(name, token) {
    const copy = h("button", { class: "btn go", type: "button", onclick: () => this.#copy(token) }, "Copy");
    this.#made.replaceChildren(
      h("p", {}, h("b", {}, `The token ${name}, shown this once:`)),
      h("p", { class: "token-secret" }, h("code", { class: "mono" }, token), copy,
        h("button", { class: "btn", type: "button", onclick: () => this.#hideSecret() }, "I have it")),
      h("p", { class: "small soft" }, "Send it with each request as ", h("code", { class: "mono" }, "Authorization: Bearer …"), ". Whoever has it may do what it may do."));
    this.#made.hidden = false;
    this.#said.textContent = `The token ${name} is made. Copy it now.`;
    copy.focus();
  }

  #hideSecret() {
    this.#made.replaceChildren();
    this.#made.hidden = true;
    this.#said.textContent = "";
    this.#name.focus();
  }

  async #copy(token) {
    try {
      await navigator.clipboard.writeText(token);
      this.#said.textContent = "Copied.";
    } catch {
      // The browser may refuse the clipboard: then it is marked, to be copied by hand.
      getSelection().selectAllChildren(this.#made.querySelector("code"));
      this.#said.textContent = "The browser does not let the page copy. It is marked: copy it yourself.";
    }
  }

  #row({ id, name }) {
    return h("li", {},
      h("div", {}, h("h3", {}, name), h("p", { class: "soft small" })),
      h("button", { class: "btn tiny harm", type: "button", "aria-label": `Revoke ${name}`, onclick: () => this.#revoke(id, name) }, "Revoke"));
  }

  async #revoke(id, name) {
    this.#trouble.textContent = "";
    try {
      await call("DELETE", `/api/tokens/${encodeURIComponent(id)}`);
      this.#said.textContent = `${name} is revoked: it opens nothing any more.`;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#trouble.textContent = error.message;
    }
    await this.refresh();
    // The pressed button went with its row.
    if (document.activeElement === document.body) this.#name.focus();
  }
}

export const registerTokenList = () => customElements.define("token-list", TokenList);
