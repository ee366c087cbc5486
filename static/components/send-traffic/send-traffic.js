// <send-traffic></send-traffic>: the load generator: what to send, how much of it, and how it goes.
//   show(load)   GET /api/load: { mixes, rate_max, duration_s_max, running, figures, last }   refuse(say)
// Says "load-start" (detail: the body of POST /api/load) and "load-stop"; both bubble.

import { h, keyed } from "../../lib/dom.js";
import { loadSays } from "../../logic/load.js";

export class SendTraffic extends HTMLElement {
  #mix = h("select", { class: "in", id: "load-mix" });
  #rate = number("load-rate", 50);
  #seconds = number("load-seconds", 60);
  #poisson = h("input", { type: "checkbox", role: "switch", checked: true });
  #start = h("button", { class: "btn go", type: "submit", disabled: true }, "Send traffic");
  #stop = h("button", { class: "btn", type: "button", hidden: true, onclick: () => this.#say("load-stop") }, "Stop");
  #trouble = h("p", { class: "err-text", role: "alert" });
  #how = h("p", { class: "small tnum" });
  #warnings = h("ul", { class: "small bad" });
  // What is announced: that it begins and ends, and not each second's figures.
  #said = h("p", { class: "vh", role: "status" });
  #running = null;
  #form = h("form", { class: "load-form", "aria-label": "Send traffic", onsubmit: (event) => this.#submit(event) },
    field("What", this.#mix), field("A second", this.#rate), field("Seconds", this.#seconds),
    h("label", { class: "sw" }, this.#poisson, "As people come: at random"),
    h("div", { class: "load-act" }, this.#start, this.#stop));

  connectedCallback() {
    this.replaceChildren(this.#form, this.#trouble, this.#how, this.#warnings, this.#said);
  }

  show({ mixes, rate_max, duration_s_max, running, figures, last }) {
    keyed(this.#mix, mixes, ({ id }) => id, ({ id, title }) => h("option", { value: id }, title));
    this.#rate.max = rate_max;
    this.#seconds.max = duration_s_max;
    this.#start.disabled = Boolean(running);
    this.#stop.hidden = !running;
    const shown = figures ?? last?.figures ?? null;
    this.#how.textContent = shown === null ? "Nothing sent yet. Every request goes the whole way, as if from outside." : loadSays(shown, Boolean(running));
    keyed(this.#warnings, shown?.warnings ?? [], (warning) => warning, (warning) => h("li", {}, warning));
    this.#announce(running?.id ?? null);
  }

  refuse(say) {
    this.#trouble.textContent = say;
  }

  #announce(running) {
    if (running === this.#running) return;
    this.#said.textContent = running === null ? `The traffic is over. ${this.#how.textContent}` : "Traffic is being sent.";
    this.#running = running;
  }

  #submit(event) {
    event.preventDefault();
    this.#trouble.textContent = "";
    const arrivals = this.#poisson.checked ? "poisson" : "constant";
    this.#say("load-start", { mix: this.#mix.value, rate: Number(this.#rate.value), duration_s: Number(this.#seconds.value), arrivals });
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }
}

const number = (id, value) => h("input", { class: "in tnum", id, type: "number", inputmode: "numeric", min: 1, step: 1, value, required: true });

const field = (title, input) => h("div", { class: "field" }, h("label", { for: input.id }, title), input);

export const registerSendTraffic = () => customElements.define("send-traffic", SendTraffic);
