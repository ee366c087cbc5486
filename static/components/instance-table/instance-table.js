// <instance-table></instance-table>: each instance, what it does, and what can be done to it.
//   show(instances, figures, faults)   instances: GET /api/instances; figures: those of GET /api/live; faults: ids that are { killed, slowed }
// Says "instance-wish" (detail: { id, wish: "drain" | "undrain" | "slow" | "unslow" | "kill" | "revive" | "remove" }); bubbles.

import { h, keyed } from "../../lib/dom.js";
import { cross, triangle } from "../../lib/glyphs.js";
import { whole } from "../../lib/format.js";
import { ms } from "../../logic/live.js";
import { isServing, stateWord } from "../../logic/instances.js";

export class InstanceTable extends HTMLElement {
  #body = h("tbody");
  #trouble = h("p", { class: "err-text", role: "alert" });

  connectedCallback() {
    const column = (title, number = false) => h("th", { scope: "col", class: number && "n" }, title);
    this.replaceChildren(
      h("div", { class: "scroll-x", tabindex: 0, role: "region", "aria-label": "Instances, table" },
        h("table", { class: "inst" },
          h("thead", {}, h("tr", {}, column("Instance"), column("/s", true), column("p50 ms", true), h("th", { scope: "col" }, h("span", { class: "vh" }, "Actions")))),
          this.#body)),
      this.#trouble);
  }

  show(instances, figures, faults) {
    const of = new Map(figures.map((figure) => [figure.id, figure]));
    keyed(this.#body, instances, ({ id }) => id, (instance) => this.#row(instance), (row, instance) => fill(row, instance, of.get(instance.id), faults));
  }

  say(trouble) {
    this.#trouble.textContent = trouble;
  }

  #row({ id }) {
    const button = (name, kind = "") => h("button", { class: `btn tiny ${kind}`, type: "button", "data-wish": name, onclick: (event) => this.#wish(id, event.currentTarget.dataset.wish) });
    return h("tr", {},
      h("td", {}, h("b", {}, id), " ", h("span", { class: "muted mono" }), h("br"), h("span", { class: "inst-state small" })),
      h("td", { class: "n" }), h("td", { class: "n" }),
      h("td", { class: "inst-act" }, h("div", {}, button("drain"), button("slow"), button("kill", "harm"), this.#remover(id))));
  }

  /** Removing can't be taken back: it is pressed twice. */
  #remover(id) {
    const button = h("button", { class: "btn tiny", type: "button", onclick: () => press(), onblur: () => ask(false) });
    const ask = (sure) => {
      button.dataset.sure = sure ? "yes" : "";
      button.textContent = sure ? "Really?" : "Remove";
      button.classList.toggle("harm", sure);
      button.setAttribute("aria-label", sure ? `Really remove ${id}? Press again` : `Remove ${id}`);
    };
    const press = () => {
      const sure = button.dataset.sure !== "";
      ask(!sure);
      if (sure) this.#wish(id, "remove");
    };
    ask(false);
    return button;
  }

  #wish(id, wish) {
    this.dispatchEvent(new CustomEvent("instance-wish", { bubbles: true, detail: { id, wish } }));
  }
}

function fill(row, instance, figure, { killed, slowed }) {
  const { id, state, address, draining, version } = instance;
  const [who, rate, half, act] = row.children;
  who.querySelector(".mono").textContent = address === null ? "" : `:${address.split(":").at(-1)}`;
  const said = who.querySelector(".inst-state");
  const dead = killed.has(id);
  const trouble = dead || !(isServing(instance) || draining || state === "starting");
  const words = [dead ? "killed" : draining ? "draining" : isServing(instance) ? "serving" : stateWord(state), slowed.has(id) && !dead && "slowed", version !== "v1" && version].filter(Boolean);
  said.className = trouble || slowed.has(id) ? "inst-state tag bad" : "inst-state small muted";
  said.replaceChildren(...(trouble ? [cross(11)] : slowed.has(id) ? [triangle(11)] : []), ` ${words.join(", ")}`);
  rate.textContent = figure === undefined ? "—" : whole(figure.rate);
  half.textContent = figure === undefined ? "—" : ms(figure.p50_ms);
  const [drain, slowly, kill] = act.querySelectorAll("[data-wish]");
  name(drain, draining ? "undrain" : "drain", "Drain", id, draining);
  name(slowly, slowed.has(id) ? "unslow" : "slow", "Slow", id, slowed.has(id));
  name(kill, dead ? "revive" : "kill", "Kill", id, dead);
  drain.disabled = dead;
  slowly.disabled = dead;
}

/** Each is a switch: pressed, it can be taken back. */
function name(button, wish, title, id, pressed) {
  button.dataset.wish = wish;
  if (button.textContent !== title) button.textContent = title;
  button.setAttribute("aria-label", `${title} ${id}`);
  button.setAttribute("aria-pressed", String(pressed));
}

export const registerInstanceTable = () => customElements.define("instance-table", InstanceTable);
