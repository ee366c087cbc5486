// <fault-slider></fault-slider>: how long a delay is, or how many requests fail; nought is off.
//   show(fault)   tick(now_ms)   refuse(say)
// Says "change-fault" (detail: { key, change }) when it is let go of, and "open-fault" (detail: key); both bubble.

import { h } from "../../lib/dom.js";
import { aimSays, amountAt, amountChange, amountOf, amountSays, endsIn, isOn, POSITION_MAX, positionOf } from "../../logic/faults.js";
import { errorOf, moreButton, wish } from "../fault-line/parts.js";

// Each press of an arrow key lets go of it, and the next one follows: what counts is where it comes to rest.
const SETTLES_IN_MS = 250;

export class FaultSlider extends HTMLElement {
  #fault = null;
  #moving = false;
  #settling = 0;
  #label = h("label");
  #output = h("output", { class: "tnum" });
  #range = h("input", { type: "range", min: 0, max: POSITION_MAX, oninput: () => this.#move(), onchange: () => this.#release() });
  #note = h("p", { class: "fx-note tnum" });
  #error = null;

  show(fault) {
    if (this.#fault === null) this.#build(fault);
    this.#fault = fault;
    this.classList.toggle("on", isOn(fault));
    if (!this.#moving) this.#put(amountOf(fault));
    this.tick(Date.now());
  }

  tick(now_ms) {
    this.#note.textContent = [aimSays(this.#fault), endsIn(this.#fault, now_ms)].filter(Boolean).join(" · ");
  }

  refuse(say) {
    this.#put(amountOf(this.#fault));
    this.#error.say(say);
  }

  #build({ key, title, help, effect }) {
    this.#range.id = key;
    this.#range.step = effect === "delay" ? 1 : 5;
    this.#label.htmlFor = key;
    this.#label.title = help;
    this.#label.textContent = title;
    this.#output.htmlFor = key;
    this.#note.id = `${key}-note`;
    this.#error = errorOf(key, this.#range, this.#note.id);
    this.replaceChildren(this.#label, this.#output, moreButton(this, key, title), this.#range, this.#note, this.#error.element);
  }

  #put(amount) {
    const position = positionOf(this.#fault, amount);
    this.#range.value = position;
    this.#say(amount, position);
  }

  #say(amount, position) {
    const words = amountSays(this.#fault, amount);
    this.#output.textContent = words;
    this.#output.classList.toggle("on", amount > 0);
    this.#range.setAttribute("aria-valuetext", words);
    this.#range.style.setProperty("--v", `${(100 * position) / POSITION_MAX}%`);
  }

  /** Shows at once what it would be; nothing is broken before it is let go of. */
  #move() {
    clearTimeout(this.#settling);
    const position = Number(this.#range.value);
    this.#moving = position !== positionOf(this.#fault, amountOf(this.#fault));
    this.#say(amountAt(this.#fault, position), position);
  }

  #release() {
    this.#moving = true;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), SETTLES_IN_MS);
  }

  #settle() {
    this.#moving = false;
    this.#error.say("");
    wish(this, "change-fault", { key: this.#fault.key, change: amountChange(this.#fault, amountAt(this.#fault, Number(this.#range.value))) });
  }
}

export const registerFaultSlider = () => customElements.define("fault-slider", FaultSlider);
