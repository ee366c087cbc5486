// <station-inspector></station-inspector>: one station's facts, all from the trace.
//   show({ line, trip, hop, policy, ownPolicy })   trip null: the station and its line, nothing measured yet
//   `policy` is null or { value, choices, state }: the balancer's setting and how its last change went;
//   `ownPolicy` null or { pool, policy } where the pool of this trip has one that the setting does not change
// Says "policy" (detail: the value wished for).

import { h } from "../../lib/dom.js";
import { withUs } from "../../lib/format.js";
import { factsOf } from "../../logic/facts/index.js";
import { POLICIES, policyName } from "../../logic/policies.js";
import { partOf } from "../../logic/trip.js";
import { bullet } from "../waterfall/draw-rows.js";
import { drawSection } from "./draw-sections.js";

export class StationInspector extends HTMLElement {
  #shown = null;

  show({ line, trip, hop, policy, ownPolicy }) {
    // An inspector that already shows this stays as it is: open details and scroll places survive.
    const same = this.#shown?.trip === trip && this.#shown.line === line && this.#shown.hop === hop && this.#shown.policy === policy && this.#shown.ownPolicy?.policy === ownPolicy?.policy;
    if (same) return;
    const refocus = this.querySelector("#policy:focus") !== null;
    this.#shown = { line, trip, hop, policy, ownPolicy };
    this.replaceChildren(this.#body(line.of(hop), trip, policy, ownPolicy));
    if (refocus) this.querySelector("#policy")?.focus();
  }

  #body(layer, trip, policy, ownPolicy) {
    const { id: hop, name, line } = layer;
    const { sections, more } = trip ? factsOf(trip, hop) : { sections: [], more: null };
    return h("div", { class: "ins", "data-layer": hop },
      h("div", { class: "ins-head" }, bullet(layer, "xl"), h("h2", {}, name), h("span", { class: "t" }, timeOf(trip, hop))),
      h("p", { class: "say" }, line),
      hop === "balancer" && policy && this.#policy(policy, ownPolicy),
      sections.map(drawSection),
      more && h("details", {}, h("summary", {}, "More"), drawSection(more)));
  }

  #policy({ value, choices, state }, ownPolicy) {
    const options = choices.map((choice) => h("option", { value: choice, selected: choice === value }, policyName(choice)));
    // Not disabled while it changes: that would take the focus away from somebody who walks the list with the arrows.
    return h("div", { class: "field policy" },
      h("label", { for: "policy" }, "Policy for the next requests"),
      h("select", { class: "in", id: "policy", "aria-describedby": "policy-say", onchange: (event) => this.#wish(event.target.value) }, options),
      h("p", { class: "small soft", id: "policy-say" }, POLICIES[value]?.say ?? ""),
      ownPolicy && h("p", { class: "small soft" }, `Not for the pool ${ownPolicy.pool}: its own is “${policyName(ownPolicy.policy)}”, as roundtrip.toml says.`),
      h("p", { class: state.failed ? "err-text" : "small muted", role: "status" }, state.say));
  }

  #wish(value) {
    this.dispatchEvent(new CustomEvent("policy", { detail: value, bubbles: true }));
  }
}

function timeOf(trip, hop) {
  if (!trip) return "";
  return partOf(trip, hop) === "ran" ? withUs(trip.journey.hops[hop].us) : "—";
}

export const registerInspector = () => customElements.define("station-inspector", StationInspector);
