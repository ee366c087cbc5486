// <sent-several></sent-several>: several requests as dots on one axis; one of them is shown.
//   show({ lot, current })   lot: summaries or null; current: the trace id on show
// Says "open" (detail: trace id).

import { h, svg } from "../../lib/dom.js";
import { us, whole } from "../../lib/format.js";
import { spreadOf } from "../../logic/several.js";

const WIDTH_MAX_PX = 560;
const EDGE_PX = 10;

export class SentSeveral extends HTMLElement {
  show({ lot, current }) {
    this.hidden = lot === null || lot.length < 2 || !lot.some((each) => each.trace_id === current);
    if (this.hidden) return;
    const refocus = this.contains(document.activeElement);
    const spread = spreadOf(lot);
    this.replaceChildren(
      h("span", {}, h("b", {}, `${whole(lot.length)} sent.`), ` Half within ${us(spread.middle_us)} µs, slowest ${us(spread.high_us)} µs.`,
        spread.refused > 0 && h("span", { class: "bad" }, ` ${whole(spread.refused)} not answered with success.`)),
      this.#axis(spread, current),
      h("span", { class: "seg s", role: "group", "aria-label": "Which one to show" }, spread.choices.map(({ title, summary }) =>
        h("label", {},
          h("input", { type: "radio", name: "which", checked: summary.trace_id === current, onchange: () => this.#open(summary.trace_id) }),
          title))));
    if (refocus) this.querySelector("[name=which]:checked")?.focus();
  }

  #axis({ dots }, current) {
    const width = Math.min(WIDTH_MAX_PX, this.clientWidth || WIDTH_MAX_PX);
    const x = (at) => EDGE_PX + at * (width - 2 * EDGE_PX);
    // The one on show is drawn last, so that its neighbours do not hide it.
    const ordered = [...dots].sort((a, b) => Number(a.id === current) - Number(b.id === current));
    return svg("svg", { width, height: 26, viewBox: `0 0 ${width} 26`, "aria-hidden": "true" },
      svg("path", { class: "axis", d: `M4 13H${width - 4}` }),
      ordered.map(({ id, at }) => svg("circle", { class: id === current ? "dot here" : "dot", cx: x(at), cy: 13, r: id === current ? 7 : 5 })));
  }

  #open(id) {
    this.dispatchEvent(new CustomEvent("open", { detail: id }));
  }
}

export const registerSeveral = () => customElements.define("sent-several", SentSeveral);
