// <roll-out></roll-out>: all instances one after another, restarted or replaced by another version; how far that is.
//   show(rollout, version)   of GET /api/instances   say(trouble)
// Says "rollout-begin" (detail: the body of POST /api/rollouts) and "rollout-call-back"; both bubble.

import { h } from "../../lib/dom.js";
import { isUnderWay, rolloutSays } from "../../logic/instances.js";

export class RollOut extends HTMLElement {
  #restart = h("button", { class: "btn tiny", type: "button", onclick: () => this.#wish("rollout-begin", { kind: "restart" }) }, "Restart one after another");
  #version = h("input", { class: "in mono", id: "rollout-version", maxlength: 20, placeholder: "v2", autocomplete: "off", spellcheck: "false", required: true });
  #release = h("button", { class: "btn tiny", type: "submit" }, "Release a version");
  #back = h("button", { class: "btn tiny harm", type: "button", hidden: true, onclick: () => this.#wish("rollout-call-back") }, "Call back");
  #how = h("p", { class: "small" });
  #trouble = h("p", { class: "err-text", role: "alert" });

  connectedCallback() {
    this.replaceChildren(
      h("div", { class: "roll-acts" }, this.#restart,
        h("form", { onsubmit: (event) => this.#submit(event) },
          h("label", { class: "vh", for: this.#version.id }, "Version to release"), this.#version, this.#release)),
      h("div", { class: "roll-how" }, this.#how, this.#back), this.#trouble);
  }

  show(rollout, version) {
    const under = isUnderWay(rollout);
    this.#restart.disabled = under;
    this.#release.disabled = under;
    this.#back.hidden = !under || rollout.state === "rolling-back";
    this.#how.textContent = rolloutSays(rollout, version);
    this.#how.classList.toggle("bad", rollout !== null && rollout.why !== null);
  }

  say(trouble) {
    this.#trouble.textContent = trouble;
  }

  #submit(event) {
    event.preventDefault();
    this.#wish("rollout-begin", { kind: "release", version: this.#version.value.trim() });
  }

  #wish(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }
}

export const registerRollOut = () => customElements.define("roll-out", RollOut);
