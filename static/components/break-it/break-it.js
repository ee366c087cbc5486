// <break-it></break-it>: what can be broken at the station that is looked at.
//   show({ row, faults, instances })   `row` of logic/faults.js   tick(now_ms)   refuse(key, say)
// Its controls say "change-fault" (detail: { key, change, later }); it bubbles.

import { h, keyed } from "../../lib/dom.js";
import { triangle } from "../../lib/glyphs.js";
import { isOn } from "../../logic/faults.js";

export class BreakIt extends HTMLElement {
  #title = h("summary");
  #line = h("div");
  #all = h("a", {});
  #details = h("details", {}, this.#title, this.#line, h("p", { class: "small" }, this.#all));

  connectedCallback() {
    this.replaceChildren(this.#details);
  }

  show({ row, faults, instances }) {
    const { layer, delay, failing, outright } = row;
    const here = [...delay, ...failing, ...outright];
    this.hidden = here.length === 0;
    const on = here.filter(isOn).length;
    this.#title.replaceChildren("Break it", ...(on > 0 ? [h("span", { class: "tag bad" }, triangle(11), `${on} on`)] : []));
    this.#all.href = `/break#${layer.id}`;
    this.#all.textContent = `${layer.name} on the Break page`;
    // Another station has other controls: nothing of the one before is kept.
    keyed(this.#line, [layer.id], (id) => id, () => Object.assign(document.createElement("fault-line"), { className: "compact" }),
      (line) => line.show({ row, faults, instances }));
  }

  tick(now_ms) {
    if (this.#details.open) this.#line.firstElementChild?.tick(now_ms);
  }

  refuse(key, say) {
    this.#line.firstElementChild?.refuse(key, say);
  }
}

export const registerBreakIt = () => customElements.define("break-it", BreakIt);
