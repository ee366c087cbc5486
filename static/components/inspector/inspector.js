// <station-inspector></station-inspector>: one station's facts, all from the trace.
//   show({ trip, hop, policy })   trip null: the station and its line, nothing measured yet
//   `policy` is null or { value, choices, state }: the balancer's setting and how its last change went
// Says "policy" (detail: the value wished for).

import { h } from "../../lib/dom.js";
import { withUs } from "../../lib/format.js";
import { layerOf } from "../../lib/layers.js";
import { factsOf } from "../../logic/facts/index.js";
import { POLICY_NAMES } from "../../logic/facts/balancer.js";
import { partOf } from "../../logic/trip.js";
import { bullet } from "../waterfall/draw-rows.js";
import { drawSection } from "./draw-sections.js";

export class StationInspector extends HTMLElement {
  #shown = null;

  show({ trip, hop, policy }) {
    // An inspector that already shows this stays as it is: open details and scroll places survive.
    const same = this.#shown?.trip === trip && this.#shown.hop === hop && this.#shown.policy === policy;
    if (same) return;
    const refocus = this.querySelector("[name=policy]:focus") !== null;
    this.#shown = { trip, hop, policy };
    this.replaceChildren(this.#body(trip, hop, policy));
    if (refocus) this.querySelector("[name=policy]:checked")?.focus();
  }

  #body(trip, hop, policy) {
    const { name, line } = layerOf(hop);
    const { sections, more } = trip ? factsOf(trip, hop) : { sections: [], more: null };
    return h("div", { class: "ins", "data-layer": hop },
      h("div", { class: "ins-head" }, bullet(hop, "xl"), h("h2", {}, name), h("span", { class: "t" }, timeOf(trip, hop))),
      h("p", { class: "say" }, line),
      hop === "balancer" && policy && this.#policy(policy),
      sections.map(drawSection),
      more && h("details", {}, h("summary", {}, "More"), drawSection(more)));
  }

  #policy({ value, choices, state }) {
    const inputs = choices.map((choice) => h("label", {},
      h("input", { type: "radio", name: "policy", value: choice, checked: choice === value, disabled: state.busy, onchange: () => this.#wish(choice) }),
      POLICY_SHORT[choice] ?? POLICY_NAMES[choice] ?? choice));
    return h("fieldset", { class: "field policy" },
      h("legend", {}, "Policy for the next requests"),
      h("div", { class: "seg s" }, inputs),
      h("p", { class: state.failed ? "err-text" : "small muted", role: "status" }, state.say));
  }

  #wish(value) {
    this.dispatchEvent(new CustomEvent("policy", { detail: value, bubbles: true }));
  }
}

// The whole sentence stands among the facts; a choice needs a name.
const POLICY_SHORT = { p2c_peak_ewma: "Less busy of two", round_robin: "Each in turn" };

function timeOf(trip, hop) {
  if (!trip) return "";
  return partOf(trip, hop) === "ran" ? withUs(trip.journey.hops[hop].us) : "—";
}

export const registerInspector = () => customElements.define("station-inspector", StationInspector);
