// <shared-cache></shared-cache>: what the edge keeps, and a way to forget it.
//   show(figures, { origin, bytes_max })   origin: where the edge answers, as the beginning of an address
//   busy(flag)   purged(number)   fail(say, pointer)   pointer: the field it is about, or null
// Says "purge" (detail: the body of POST /api/cache/purge).

import { h } from "../../lib/dom.js";
import { count, mebibytes, percent, whole } from "../../lib/format.js";

const WAYS = [["url", "One address"], ["prefix", "All that begin with"], ["all", "Everything"]];

export class SharedCache extends HTMLElement {
  #figures = h("dl", { class: "figures" });
  #address = h("input", { class: "in mono", id: "purge-address", type: "url", autocomplete: "off", spellcheck: "false", "aria-describedby": "purge-error" });
  #error = h("p", { class: "err-text", id: "purge-error" });
  #field = h("div", { class: "field" }, h("label", { for: "purge-address" }, "Address"), this.#address, this.#error);
  #button = h("button", { class: "btn", type: "submit" }, "Forget it");
  #said = h("p", { class: "small", role: "status" });
  #trouble = h("p", { class: "err-text", role: "alert" });
  #form = h("form", { class: "purge", novalidate: true, "aria-label": "Forget what is kept", onsubmit: (event) => this.#submit(event) },
    h("fieldset", { class: "field" },
      h("legend", {}, "Forget"),
      h("div", { class: "seg" }, WAYS.map(([value, title], index) =>
        h("label", {}, h("input", { type: "radio", name: "purge", value, checked: index === 0, onchange: () => this.#paint() }), title)))),
    this.#field, this.#button);

  connectedCallback() {
    this.replaceChildren(this.#figures, this.#form, this.#said, this.#trouble);
    this.#address.addEventListener("input", () => this.#clear());
  }

  show(figures, { origin, bytes_max }) {
    this.#address.placeholder = `${origin}/path`;
    this.#figures.replaceChildren(...figuresOf(figures, bytes_max).map(([label, value, note]) =>
      h("div", {}, h("dt", {}, label), h("dd", { class: "tnum" }, value, note && h("span", { class: "muted" }, ` ${note}`)))));
  }

  busy(flag) {
    this.#button.setAttribute("aria-disabled", String(flag));
  }

  purged(number) {
    this.#said.textContent = number === 0 ? "Nothing of that was kept." : `Forgot ${count(number, "answer")}.`;
  }

  fail(say, pointer) {
    if (pointer === null) {
      this.#trouble.textContent = say;
      return;
    }
    this.#error.textContent = say;
    this.#address.setAttribute("aria-invalid", "true");
    this.#address.focus();
  }

  get #way() {
    return this.#form.querySelector("[name=purge]:checked").value;
  }

  #paint() {
    this.#field.hidden = this.#way === "all";
    this.#button.textContent = { url: "Forget it", prefix: "Forget them", all: "Forget everything" }[this.#way];
    this.#clear();
  }

  #clear() {
    for (const line of [this.#error, this.#trouble, this.#said]) line.textContent = "";
    this.#address.removeAttribute("aria-invalid");
  }

  #submit(event) {
    event.preventDefault();
    if (this.#button.getAttribute("aria-disabled") === "true") return;
    this.#clear();
    const way = this.#way;
    this.dispatchEvent(new CustomEvent("purge", { detail: way === "all" ? { all: true } : { [way]: this.#address.value.trim() } }));
  }
}

function figuresOf({ entries, bytes, hits, misses, stale_hits, collapsed, evictions }, bytes_max) {
  const asked = hits + misses;
  return [
    ["Answers kept", whole(entries)],
    ["Space", mebibytes(bytes), bytes_max === undefined ? null : `of ${mebibytes(bytes_max)}`],
    ["Hits", whole(hits), asked > 0 ? percent(hits, asked) : null],
    ["Misses", whole(misses)],
    ["Stale hits", whole(stale_hits)],
    ["Waited for one fetch", whole(collapsed)],
    ["Put out to make room", whole(evictions)],
  ];
}

export const registerSharedCache = () => customElements.define("shared-cache", SharedCache);
