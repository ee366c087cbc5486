// <request-composer></request-composer>: the ticket. What to send, as whom, how, how many.
//   offer({ requests, roles, custom_methods })   busy(count | 0)   clear()
//   fail({ say, way: { title, href } | null, errors })   errors: [{ pointer, detail }], shown at their fields
//   choose(changes)              changes choices as the reader could, and answers with all of them
// Says "send" (detail: the body of POST /api/journeys).

import { h } from "../../lib/dom.js";
import { count as counted } from "../../lib/format.js";
import { place } from "../../lib/pointer.js";

const COUNT_MAX = 50;
// The server's word for a request that is none of those on offer.
const CUSTOM = "custom";
const PATH_CHARS_MAX = 2048;

export class RequestComposer extends HTMLElement {
  #request = h("select", { class: "in mono", id: "request", disabled: true });
  #as = h("select", { class: "in", id: "as", disabled: true });
  #count = h("input", { class: "in tnum", id: "count", type: "number", min: 1, max: COUNT_MAX, value: 1, inputmode: "numeric", required: true });
  #who = h("div", { class: "field f-who" }, h("label", { for: "as" }, "Sent by"), this.#as);
  #method = h("select", { class: "in mono", id: "method" });
  #path = h("input", { class: "in mono", id: "path", type: "text", value: "/", maxlength: PATH_CHARS_MAX, autocomplete: "off", autocapitalize: "none", spellcheck: "false", "aria-describedby": "path-error" });
  #pathError = h("p", { class: "err-text", id: "path-error" });
  #own = h("div", { class: "f-own", hidden: true },
    h("div", { class: "field" }, h("label", { for: "method" }, "Method"), this.#method),
    h("div", { class: "field" }, h("label", { for: "path" }, "Path, with its query"), this.#path, this.#pathError));
  #send = h("button", { class: "btn go big", type: "submit", disabled: true }, "Send a request");
  #trouble = h("p", { class: "ticket-trouble", role: "alert" });
  #form = h("form", { class: "ticket", "aria-label": "Send a request", onsubmit: (event) => this.#submit(event) },
    h("div", { class: "field f-req" }, h("label", { for: "request" }, "Request"), this.#request),
    this.#who,
    choice("Connection", "connection", [["fresh", "Fresh"], ["kept", "Kept open"]]),
    choice("Caches", "caches", [["use", "Use"], ["bypass", "Bypass"]]),
    h("div", { class: "field f-n" }, h("label", { for: "count" }, "How many"), this.#count),
    this.#send,
    this.#own);

  connectedCallback() {
    this.replaceChildren(this.#form, this.#trouble);
    this.#count.addEventListener("input", () => this.#paint(0));
    this.#path.addEventListener("input", () => this.#blame(""));
    this.#request.addEventListener("change", () => {
      this.#showOwn();
      if (!this.#own.hidden) this.#path.focus();
    });
  }

  offer({ requests, roles, custom_methods }) {
    this.#request.replaceChildren(
      ...requests.map(({ id, method, path, title }) => h("option", { value: id }, `${method} ${path}: ${title}`)),
      h("option", { value: CUSTOM }, "a path of your own…"));
    this.#method.replaceChildren(...custom_methods.map((method) => h("option", { value: method }, method)));
    // With one role there is nothing to choose.
    this.#who.hidden = roles.length < 2;
    this.#form.classList.toggle("alone", this.#who.hidden);
    this.#as.replaceChildren(...roles.map(({ id, title }) => h("option", { value: id }, title)));
    for (const control of [this.#request, this.#as, this.#send]) control.disabled = false;
  }

  /** The choices as they stand, with some of them replaced first. */
  choose(changes = {}) {
    for (const [name, value] of Object.entries(changes)) {
      if (name === "request") this.#request.value = value;
      if (name === "as") this.#as.value = value;
      if (name === "count") this.#count.value = value;
      const radio = this.#form.querySelector(`[name=${name}][value="${value}"]`);
      if (radio) radio.checked = true;
    }
    this.#showOwn();
    this.#paint(0);
    return this.#choices();
  }

  busy(number) {
    // Not "disabled": that would throw the focus off the button someone has just pressed.
    this.#send.setAttribute("aria-disabled", String(number > 0));
    this.#form.setAttribute("aria-busy", String(number > 0));
    this.#paint(number);
  }

  fail({ say, way, errors = [] }) {
    const { placed, homeless } = place(this.#own.hidden ? [] : ["/path"], errors);
    const sayAll = [say, ...homeless].join(" ");
    this.#trouble.replaceChildren(h("span", {}, sayAll), way ? h("a", { href: way.href }, way.title) : "");
    if (!placed.has("/path")) return;
    this.#blame(placed.get("/path"));
    this.#path.focus();
  }

  /** The focus belongs on the button that sends. */
  focus() {
    this.#send.focus();
  }

  clear() {
    this.#trouble.replaceChildren();
    this.#blame("");
  }

  /** Says at the path what is wrong with it. */
  #blame(say) {
    this.#pathError.textContent = say;
    if (say) this.#path.setAttribute("aria-invalid", "true");
    else this.#path.removeAttribute("aria-invalid");
  }

  #showOwn() {
    this.#own.hidden = this.#request.value !== CUSTOM;
  }

  #choices() {
    const chosen = (name) => this.#form.querySelector(`[name=${name}]:checked`).value;
    return {
      request: this.#request.value,
      ...(this.#request.value === CUSTOM && { method: this.#method.value, path: this.#path.value }),
      as: this.#as.value,
      connection: chosen("connection"),
      caches: chosen("caches"),
      count: Math.min(COUNT_MAX, Math.max(1, Math.round(Number(this.#count.value)) || 1)),
    };
  }

  #submit(event) {
    event.preventDefault();
    this.dispatchEvent(new CustomEvent("send", { detail: this.#choices() }));
  }

  /** The button names its effect; while sending, it says what is under way. */
  #paint(sending) {
    const number = this.#choices().count;
    if (sending > 0) this.#send.textContent = sending === 1 ? "Sending…" : `Sending ${sending}…`;
    else this.#send.textContent = number === 1 ? "Send a request" : `Send ${counted(number, "request")}`;
  }
}

const choice = (legend, name, values) => h("fieldset", { class: "field" },
  h("legend", {}, legend),
  h("div", { class: "seg" }, values.map(([value, title], index) =>
    h("label", {}, h("input", { type: "radio", name, value, checked: index === 0 }), title))));

export const registerComposer = () => customElements.define("request-composer", RequestComposer);
