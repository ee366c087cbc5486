// <trip-player></trip-player>: the one clock that dot, counters and waterfall follow, true to scale.
//   load(total_us)   a trip of that length is at hand        clear()  none is
//   play(), finish()
// Says "start", "tick" (detail: µs into the trip) and "finish". With reduced motion it goes straight to "finish".

import { h } from "../../lib/dom.js";
import { whole, withUs } from "../../lib/format.js";
import { pause, play } from "../../lib/glyphs.js";

const SLOWDOWNS = [3000, 1000, 300];
const USUAL = 1000;

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class TripPlayer extends HTMLElement {
  #total_us = null;
  #slowdown = USUAL;
  #frame = 0;
  #playing = false;
  #clock = h("p", { class: "clock tnum", "aria-hidden": "true" });
  #button = h("button", { class: "btn tiny", type: "button", onclick: () => (this.#playing ? this.finish() : this.play()) });

  connectedCallback() {
    const options = SLOWDOWNS.map((times) =>
      h("option", { value: times, selected: times === USUAL }, `slowed ${whole(times)} times`));
    this.replaceChildren(this.#clock, this.#button,
      h("div", {},
        h("label", { for: "slowdown", class: "vh" }, "Slow-down"),
        h("select", { class: "in tiny-in", id: "slowdown", onchange: (event) => (this.#slowdown = Number(event.target.value)) }, options)));
    this.#paint();
  }

  load(total_us) {
    this.#stop();
    this.#total_us = total_us;
    this.#paint();
  }

  clear() {
    this.load(null);
  }

  play() {
    this.#stop();
    if (calm.matches) {
      this.finish();
      return;
    }
    this.#playing = true;
    this.#paint();
    this.dispatchEvent(new CustomEvent("start"));
    let before = null;
    let at_us = 0;
    const frame = (now) => {
      // Each frame adds its own share, so that another slow-down takes hold at once.
      at_us += before === null ? 0 : ((now - before) * 1000) / this.#slowdown;
      before = now;
      if (at_us >= this.#total_us) {
        this.finish();
        return;
      }
      this.#clock.textContent = withUs(Math.round(at_us));
      this.dispatchEvent(new CustomEvent("tick", { detail: at_us }));
      this.#frame = requestAnimationFrame(frame);
    };
    this.#frame = requestAnimationFrame(frame);
  }

  finish() {
    this.#stop();
    this.dispatchEvent(new CustomEvent("finish"));
  }

  #stop() {
    cancelAnimationFrame(this.#frame);
    this.#playing = false;
    this.#clock.textContent = "";
    this.#paint();
  }

  #paint() {
    this.hidden = this.#total_us === null;
    this.#button.replaceChildren(this.#playing ? pause() : play(), this.#playing ? "Stop" : "Replay");
  }
}

export const registerTripPlayer = () => customElements.define("trip-player", TripPlayer);
