// <effect-strip></effect-strip>: what those who ask feel of it, over the last minute.
//   show({ points, before, marks, breaker, sampling })   fail(say): there are no figures, and why
// Says "send-traffic".

import { h } from "../../lib/dom.js";
import { cellsOf, hasTraffic, isSparse, OF_WHAT } from "../../logic/effect.js";
import { cell, drawBreaker, drawCurve } from "./draw.js";

const BREAKER_SAYS = { forced_open: "open", half_open: "half open", disabled: "off" };

export class EffectStrip extends HTMLElement {
  #cells = h("dl", { class: "effects" });
  #send = h("button", { class: "btn", type: "button", onclick: () => this.dispatchEvent(new CustomEvent("send-traffic")) }, "Send some traffic");
  #none = h("p", { class: "soft" });
  #trouble = h("p", { class: "err-text", role: "alert" });
  #note = h("p", { class: "eff-note small muted" });

  connectedCallback() {
    this.replaceChildren(this.#cells, h("div", { class: "eff-none" }, this.#none, this.#send), this.#note, this.#trouble);
    this.#quiet("Reading the figures…", false);
  }

  show({ points, before, marks, breaker, sampling }) {
    if (!hasTraffic(points)) return this.#quiet("No request has come as far as the edge in the last minute, so there is nothing to measure.", true);
    this.#none.parentElement.hidden = !isSparse(points);
    this.#none.textContent = "Hardly anything comes as far as the edge just now.";
    this.#send.hidden = false;
    this.#cells.hidden = false;
    this.#note.textContent = sampling ? `${OF_WHAT} Measured on ${sampling} requests.` : OF_WHAT;
    this.#cells.replaceChildren(
      ...cellsOf(points, before).map((each) =>
        cell(each.title, each.now, each.bad, drawCurve(each, points, marks), each.was === null ? "" : `was ${each.was}`)),
      ...(breaker === null ? [] : [cell("Supplier breaker", BREAKER_SAYS[breaker] ?? breaker, breaker.endsWith("open"), drawBreaker(breaker), "")]));
  }

  fail(say) {
    this.#quiet(say, false);
  }

  /** What the button came to, when it came to nothing. */
  refuse(say) {
    this.#trouble.textContent = say;
  }

  #quiet(say, offer) {
    this.#cells.hidden = true;
    this.#note.textContent = "";
    this.#none.parentElement.hidden = false;
    this.#none.textContent = say;
    this.#send.hidden = !offer;
  }
}

export const registerEffectStrip = () => customElements.define("effect-strip", EffectStrip);
