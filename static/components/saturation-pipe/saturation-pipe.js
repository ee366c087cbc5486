// <saturation-pipe></saturation-pipe>: the line as a pipe, each station filled by its busiest resource.
//   show(saturation)   [{ hop, share: 0 to 1 or null, text, all: [{ resource, share, text }] }]

import { h } from "../../lib/dom.js";
import { WHOLE_LINE } from "../../lib/layers.js";
import { bullet } from "../waterfall/draw-rows.js";
import { triangle } from "../../lib/glyphs.js";
import { HOT } from "../../logic/live.js";

export class SaturationPipe extends HTMLElement {
  #parts = new Map();

  connectedCallback() {
    const items = WHOLE_LINE.layers.map((layer) => {
      const fill = h("i");
      const value = h("span", { class: "tnum sat-v" });
      const text = h("span", { class: "muted small" });
      const item = h("li", { "data-layer": layer.id },
        h("span", { class: "sat-pipe", "aria-hidden": "true" }, fill),
        h("span", { class: "sat-t" }, bullet(layer), h("b", {}, layer.name), value),
        text);
      this.#parts.set(layer.id, { item, fill, value, text });
      return item;
    });
    this.replaceChildren(h("ol", { class: "sat" }, items));
  }

  show(saturation) {
    for (const { hop, share, text, all } of saturation) {
      const part = this.#parts.get(hop);
      if (part === undefined) continue;
      const percent = share === null ? 0 : Math.min(100, 100 * share);
      const hot = share !== null && share > HOT;
      part.fill.style.setProperty("--fill", `${share === null ? 0 : Math.max(1, percent)}%`);
      part.item.classList.toggle("hot", hot);
      part.value.replaceChildren(...(hot ? [h("span", { class: "bad" }, triangle(11), h("span", { class: "vh" }, "nearly full: ")), " "] : []), share === null ? "—" : `${Math.round(percent)} %`);
      part.text.textContent = text;
      part.item.title = all.map((each) => each.text).join("\n");
    }
  }
}

export const registerSaturationPipe = () => customElements.define("saturation-pipe", SaturationPipe);
