// <upstream-row></upstream-row>: one upstream, how it stands, its weight, and whether it is emptied.
//   show(instance)   refuse(control, say)   control: "weight" or "draining"
// Says "change-upstream" (detail: { id, control, body }, the body of PATCH /api/upstreams/{id}); bubbles.

import { h } from "../../lib/dom.js";
import { withUs, whole } from "../../lib/format.js";
import { isCut } from "../../logic/instances.js";
import { breakerSays, lookOf, stateSays, weightError, WEIGHT_MAX } from "../../logic/upstreams.js";

export class UpstreamRow extends HTMLElement {
  #instance = null;
  #name = h("h4", { class: "mono" });
  #target = h("p", { class: "mono small soft up-target" });
  #state = h("p", { class: "up-state" });
  #reason = h("p", { class: "small soft up-reason" });
  #breaker = h("span");
  #inFlight = h("span", { class: "tnum" });
  #lately = h("span", { class: "tnum" });
  #weight = h("input", { class: "in tnum", type: "number", inputmode: "numeric", min: 0, max: WEIGHT_MAX, step: 1, onchange: () => this.#wishWeight() });
  #draining = h("input", { type: "checkbox", role: "switch", onchange: () => this.#wish("draining", { draining: this.#draining.checked }) });
  #errors = { weight: h("p", { class: "err-text" }), draining: h("p", { class: "err-text" }) };

  show(instance) {
    if (this.#instance === null) this.#build(instance);
    const before = this.#instance;
    this.#instance = instance;
    const look = lookOf(instance);
    this.className = `up ${look}`;
    this.#state.textContent = stateSays(instance);
    this.#state.classList.toggle("bad", look === "down" && !isCut(instance));
    this.#reason.textContent = instance.reason ?? "";
    this.#breaker.textContent = breakerSays(instance.breaker);
    this.#breaker.classList.toggle("bad", isCut(instance));
    this.#inFlight.textContent = whole(instance.in_flight);
    this.#lately.textContent = instance.ewma_us === null ? "—" : withUs(instance.ewma_us);
    this.#draining.checked = instance.draining;
    // What somebody is typing is theirs until they have finished.
    const typing = this.#weight === document.activeElement && this.#weight.value !== String(before?.weight);
    if (!typing && this.#errors.weight.textContent === "") this.#weight.value = instance.weight;
  }

  refuse(control, say) {
    this.#errors[control].textContent = say;
    if (control === "draining") this.#draining.checked = this.#instance.draining;
    else this.#weight.setAttribute("aria-invalid", "true");
  }

  #build({ id, target }) {
    this.dataset.layer = "balancer";
    this.#name.textContent = id;
    this.#name.id = `up-${id}`;
    this.#target.textContent = target;
    this.setAttribute("role", "group");
    this.setAttribute("aria-labelledby", this.#name.id);
    for (const [control, input] of [["weight", this.#weight], ["draining", this.#draining]]) {
      input.id = `${control}-${id}`;
      this.#errors[control].id = `${control}-${id}-error`;
      input.setAttribute("aria-describedby", this.#errors[control].id);
    }
    this.replaceChildren(
      h("div", { class: "rail", "aria-hidden": "true" }, h("i"), h("span")),
      h("div", { class: "up-who" }, this.#name, this.#target),
      h("div", { class: "up-how" }, this.#state, this.#reason),
      figure("Breaker", this.#breaker),
      figure("In flight", this.#inFlight),
      figure("Lately", this.#lately),
      h("div", { class: "field up-weight" }, h("label", { for: this.#weight.id }, "Weight"), this.#weight, this.#errors.weight),
      h("div", { class: "up-drain" }, h("label", { class: "sw" }, this.#draining, "Send it nothing new"), this.#errors.draining));
  }

  #wishWeight() {
    const error = weightError(this.#weight.value);
    if (error) this.refuse("weight", error);
    else this.#wish("weight", { weight: Number(this.#weight.value) });
  }

  #wish(control, body) {
    this.#errors[control].textContent = "";
    this.#weight.removeAttribute("aria-invalid");
    this.dispatchEvent(new CustomEvent("change-upstream", { bubbles: true, detail: { id: this.#instance.id, control, body } }));
  }
}

const figure = (label, value) => h("div", { class: "up-figure" }, h("span", { class: "lab" }, label), value);

export const registerUpstreamRow = () => customElements.define("upstream-row", UpstreamRow);
