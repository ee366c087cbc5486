// <request-composer></request-composer>: the ticket. What to send, as whom, how, how many.
//   offer({ requests, roles })   busy(count | 0)   fail({ say, way: { title, href } | null })   clear()
//   choose(changes)              changes choices as the reader could, and answers with all of them
// Says "send" (detail: the body of POST /api/journeys).

import { h } from "../../lib/dom.js";
import { count as counted } from "../../lib/format.js";

const COUNT_MAX = 50;

export class RequestComposer extends HTMLElement {
  #request = h("select", { class: "in mono", id: "request", disabled: true });
  #as = h("select", { class: "in", id: "as", disabled: true });
  #count = h("input", { class: "in tnum", id: "count", type: "number", min: 1, max: COUNT_MAX, value: 1, inputmode: "numeric", required: true });
  #send = h("button", { class: "btn go big", type: "submit", disabled: true }, "Send a request");
  #trouble = h("p", { class: "ticket-trouble", role: "alert" });
  #form = h("form", { class: "ticket", "aria-label": "Send a request", onsubmit: (event) => this.#submit(event) },
    h("div", { class: "field f-req" }, h("label", { for: "request" }, "Request"), this.#request),
    h("div", { class: "field f-who" }, h("label", { for: "as" }, "Sent by"), this.#as),
    choice("Connection", "connection", [["fresh", "Fresh"], ["kept", "Kept open"]]),
    choice("Caches", "caches", [["use", "Use"], ["bypass", "Bypass"]]),
    h("div", { class: "field f-n" }, h("label", { for: "count" }, "How many"), this.#count),
    this.#send);

  connectedCallback() {
    this.replaceChildren(this.#form, this.#trouble);
    this.#count.addEventListener("input", () => this.#paint(0));
  }

  offer({ requests, roles }) {
    this.#request.replaceChildren(...requests.map(({ id, method, path, title }) => h("option", { value: id }, `${method} ${path}: ${title}`)));
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
    this.#paint(0);
    return this.#choices();
  }

  busy(number) {
    // Not "disabled": that would throw the focus off the button someone has just pressed.
    this.#send.setAttribute("aria-disabled", String(number > 0));
    this.#form.setAttribute("aria-busy", String(number > 0));
    this.#paint(number);
  }

  fail({ say, way }) {
    this.#trouble.replaceChildren(h("span", {}, say), way ? h("a", { href: way.href }, way.title) : "");
  }

  /** The focus belongs on the button that sends. */
  focus() {
    this.#send.focus();
  }

  clear() {
    this.#trouble.replaceChildren();
  }

  #choices() {
    const chosen = (name) => this.#form.querySelector(`[name=${name}]:checked`).value;
    return {
      request: this.#request.value,
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
