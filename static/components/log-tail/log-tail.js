// <log-tail></log-tail>: the latest lines of the log, newest first, by station and word.
//   add(lines)   oldest first: { seq, at, level, hop, status, text, trace_id, instance, us, one_in, kept }
//   say(trouble)

import { h, keyed } from "../../lib/dom.js";
import { clockTime, whole } from "../../lib/format.js";
import { cross } from "../../lib/glyphs.js";
import { WHOLE_LINE } from "../../lib/layers.js";
import { bullet } from "../waterfall/draw-rows.js";

const KEPT_MAX = 1000;
const SHOWN_MAX = 200;

export class LogTail extends HTMLElement {
  #lines = [];
  #hops = new Set(WHOLE_LINE.hops);
  #filter = h("input", { class: "in logf", id: "log-filter", type: "search", placeholder: "Word, status or trace", autocomplete: "off", oninput: () => this.#draw() });
  #count = h("span", { class: "end muted small tnum" });
  #list = h("ol", { class: "log", tabindex: 0, "aria-label": "Log lines, newest first" });
  #none = h("p", { class: "none muted" });

  connectedCallback() {
    const picks = WHOLE_LINE.layers.map((layer) =>
      h("label", { class: "lp", "data-layer": layer.id, title: layer.name },
        h("input", { type: "checkbox", checked: true, "aria-label": layer.name, onchange: (event) => this.#pick(layer.id, event.target.checked) }),
        bullet(layer)));
    this.replaceChildren(
      h("div", { class: "head" }, h("h2", { id: "log-title" }, "Log"),
        h("div", {}, h("label", { class: "vh", for: "log-filter" }, "Filter the log"), this.#filter),
        h("fieldset", { class: "layer-pick" }, h("legend", { class: "vh" }, "Stations shown"), picks),
        this.#count),
      this.#none, this.#list);
    this.#draw();
  }

  add(lines) {
    const last = this.#lines.at(-1)?.seq ?? -1;
    const fresh = lines.filter(({ seq }) => seq > last);
    if (fresh.length === 0) return;
    this.#lines = [...this.#lines, ...fresh].slice(-KEPT_MAX);
    this.#draw();
  }

  say(trouble) {
    this.#none.textContent = trouble;
    this.#none.hidden = trouble === "";
  }

  #pick(hop, on) {
    if (on) this.#hops.add(hop);
    else this.#hops.delete(hop);
    this.#draw();
  }

  #draw() {
    const word = this.#filter.value.trim().toLowerCase();
    // A line of no station is of the program itself: it goes only when every station does.
    const picked = ({ hop }) => (hop === null ? this.#hops.size > 0 : this.#hops.has(hop));
    const fits = (line) => word === "" || [line.text, line.status, line.trace_id, line.instance, line.level].join(" ").toLowerCase().includes(word);
    const lines = this.#lines.filter((line) => picked(line) && fits(line));
    this.#count.textContent = this.#lines.length === 0 ? "" : `${whole(lines.length)} of ${whole(this.#lines.length)} lines${sampled(lines)}`;
    this.say(lines.length > 0 ? "" : this.#lines.length === 0 ? "Nothing has been logged yet." : "No line matches.");
    keyed(this.#list, lines.slice(-SHOWN_MAX).reverse(), ({ seq }) => seq, draw);
  }
}

/** At a high rate one line stands for many requests. */
function sampled(lines) {
  const most = Math.max(1, ...lines.map(({ one_in }) => one_in));
  return most > 1 ? `, of requests down to 1 in ${whole(most)}` : "";
}

function draw({ at, level, hop, status, text, trace_id, instance, us, one_in, kept }) {
  const layer = hop === null ? null : WHOLE_LINE.of(hop);
  const bad = level === "error" || status >= 500;
  const words = [text, one_in > 1 && h("span", { class: "lo" }, ` 1 in ${whole(one_in)}`)];
  return h("li", { class: bad ? "lg bad" : "lg", "data-layer": hop },
    h("span", { class: "lt" }, clockTime(at)),
    layer ? bullet(layer) : h("span"),
    h("span", { class: "ll" }, layer ? layer.name.toLowerCase() : ""),
    h("span", { class: "ls" }, bad && !status ? [cross(10), h("span", { class: "vh" }, "error")] : status ?? ""),
    // Only what was kept can be looked at.
    kept ? h("a", { class: "lm", href: `/journeys/${trace_id}`, title: text }, words) : h("span", { class: "lm", title: text }, words),
    h("span", { class: "li" }, instance ?? ""),
    h("span", { class: "lu" }, us === null ? "" : `${whole(us)} µs`));
}

export const registerLogTail = () => customElements.define("log-tail", LogTail);
