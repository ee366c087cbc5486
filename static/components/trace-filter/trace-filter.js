// <trace-filter></trace-filter>: by what traces are looked for.
//   show(filters, { faults })   faults: [{ key, title }]
// Says "filter" (detail: filters as logic/traces.js has them) at each change.

import { h } from "../../lib/dom.js";
import { WHOLE_LINE } from "../../lib/layers.js";
import { microseconds, milliseconds } from "../../logic/traces.js";

const STATUSES = [["", "any"], ["2xx", "2xx"], ["3xx", "3xx"], ["4xx", "4xx"], ["5xx", "5xx"], ["0", "no answer"]];
const PEOPLE = [["", "anybody"], ["guest", "guest"], ["waiter", "waiter"], ["chef", "chef"], ["manager", "manager"]];
const REASONS = [["", "any reason"], ["probe", "sent to look at"], ["error", "failures"], ["fault", "faults"], ["refused", "refusals"], ["slow", "slowest"], ["sample", "sample"]];

export class TraceFilter extends HTMLElement {
  #faults = "";
  #fields = {
    hop: select("hop", [["", "any station"], ...WHOLE_LINE.layers.map(({ id, number, name }) => [id, `${number} ${name}`])]),
    route: h("input", { class: "in mono", id: "f-route", type: "search", placeholder: "/api/v1/orders", autocomplete: "off" }),
    status: select("status", STATUSES),
    min_us: time("min_us", "from"),
    max_us: time("max_us", "to"),
    fault: select("fault", [["", "any or none"]]),
    as: select("as", PEOPLE),
    kept: select("kept", REASONS),
  };

  connectedCallback() {
    const titles = { hop: "Station", route: "Path begins with", status: "Status", fault: "Fault", as: "Sent by", kept: "Kept because" };
    const field = (name) => h("div", { class: `field f-${name}` }, h("label", { for: `f-${name}` }, titles[name]), this.#fields[name]);
    this.replaceChildren(h("form", { class: "trace-filter", role: "search", onsubmit: (event) => event.preventDefault(), onchange: () => this.#say(), oninput: (event) => event.target.type === "search" && this.#say() },
      field("route"), field("status"), field("hop"), field("fault"),
      h("fieldset", { class: "field f-time" }, h("legend", {}, "Took, ms"), h("div", {}, this.#fields.min_us, this.#fields.max_us)),
      field("as"), field("kept"),
      h("button", { class: "btn", type: "button", onclick: () => this.#clear() }, "Clear")));
  }

  show(filters, { faults }) {
    const keys = faults.map(({ key }) => key).join();
    if (keys !== this.#faults) {
      this.#faults = keys;
      this.#fields.fault.replaceChildren(...[["", "any or none"], ...faults.map(({ key, title }) => [key, `${key.replace("fault.", "")}: ${title}`])].map(option));
    }
    for (const [name, field] of Object.entries(this.#fields)) {
      // What somebody is typing is theirs.
      if (field !== document.activeElement) field.value = name.endsWith("_us") ? milliseconds(filters[name]) : filters[name] ?? "";
    }
  }

  #clear() {
    for (const field of Object.values(this.#fields)) field.value = "";
    this.#say();
  }

  #say() {
    const filters = {};
    for (const [name, field] of Object.entries(this.#fields)) {
      const value = name.endsWith("_us") ? microseconds(field.value) : field.value.trim();
      field.setAttribute("aria-invalid", String(value === null));
      if (value) filters[name] = value;
    }
    this.dispatchEvent(new CustomEvent("filter", { detail: filters }));
  }
}

const option = ([value, title]) => h("option", { value }, title);

const select = (name, options) => h("select", { class: "in", id: `f-${name}` }, options.map(option));

const time = (name, word) => h("input", { class: "in tnum", id: `f-${name}`, type: "text", inputmode: "decimal", placeholder: word, "aria-label": `Milliseconds ${word}`, autocomplete: "off" });

export const registerTraceFilter = () => customElements.define("trace-filter", TraceFilter);
