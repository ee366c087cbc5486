// <send-traffic></send-traffic>: the load generator: what to send, how much of it, and how it goes.
//   show(load)   GET /api/load: { running, figures, last }   refuse(say)
// Says "load-start" (detail: the body of POST /api/load) and "load-stop"; both bubble.

import { h } from "../../lib/dom.js";
import { whole } from "../../lib/format.js";
import { ms } from "../../logic/live.js";

const MIXES = [["reads", "Reads: menu and dishes"], ["mixed", "Mixed: 9 reads to 1 order"], ["orders", "Orders"]];
const RATE_MAX = 20_000;
const SECONDS_MAX = 3600;

export class SendTraffic extends HTMLElement {
  #mix = h("select", { class: "in", id: "load-mix" }, MIXES.map(([value, title]) => h("option", { value }, title)));
  #rate = number("load-rate", 50, RATE_MAX);
  #seconds = number("load-seconds", 60, SECONDS_MAX);
  #poisson = h("input", { type: "checkbox", role: "switch", checked: true });
  #start = h("button", { class: "btn go", type: "submit" }, "Send traffic");
  #stop = h("button", { class: "btn", type: "button", hidden: true, onclick: () => this.#say("load-stop") }, "Stop");
  #trouble = h("p", { class: "err-text", role: "alert" });
  #how = h("p", { class: "small tnum", role: "status" });
  #form = h("form", { class: "load-form", "aria-label": "Send traffic", onsubmit: (event) => this.#submit(event) },
    field("What", this.#mix), field("A second", this.#rate), field("Seconds", this.#seconds),
    h("label", { class: "sw" }, this.#poisson, "As people come: at random"),
    h("div", { class: "load-act" }, this.#start, this.#stop));

  connectedCallback() {
    this.replaceChildren(this.#form, this.#trouble, this.#how);
  }

  show({ running, figures, last }) {
    this.#start.disabled = Boolean(running);
    this.#stop.hidden = !running;
    const shown = figures ?? last;
    this.#how.textContent = shown ? words(shown, Boolean(running)) : "Nothing sent yet. Every request goes the whole way, as if from outside.";
  }

  refuse(say) {
    this.#trouble.textContent = say;
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

const number = (id, value, max) => h("input", { class: "in tnum", id, type: "number", inputmode: "numeric", min: 1, max, step: 1, value, required: true });

const field = (title, input) => h("div", { class: "field" }, h("label", { for: input.id }, title), input);

/** How it goes, or went: only what was measured. */
function words({ sent, answered, errors, rate, latency_ms, lag_ms }, running) {
  const parts = [`${running ? "Sending" : "Sent"}: ${whole(sent)} requests, ${whole(answered)} answered`];
  if (errors > 0) parts.push(`${whole(errors)} lost`);
  if (rate !== undefined) parts.push(`${whole(rate)} a second`);
  if (latency_ms?.p50 !== undefined && latency_ms.p50 !== null) parts.push(`half within ${ms(latency_ms.p50)} ms, 99 in 100 within ${ms(latency_ms.p99)} ms, counted from when each was due`);
  if (lag_ms?.p99 !== undefined && lag_ms.p99 !== null) parts.push(`sent at most ${ms(lag_ms.p99)} ms late (99 in 100)`);
  return `${parts.join("; ")}.`;
}

export const registerSendTraffic = () => customElements.define("send-traffic", SendTraffic);
