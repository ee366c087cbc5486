// <top-bar current="Journey"></top-bar>: brand, the pages that exist, what stands behind and how much of it serves,
// how many faults are on and a way to end them, theme, account.

import { h } from "../../lib/dom.js";
import { restoreEverything } from "../../lib/fault-table.js";
import { call, Problem } from "../../lib/http.js";
import { listen } from "../../lib/events.js";
import { count } from "../../lib/format.js";
import { brand, triangle } from "../../lib/glyphs.js";
import { isServing } from "../../logic/instances.js";
import { onSystemTheme, restoreTheme, switchTheme, theme } from "../../lib/theme.js";
import { toast } from "../../lib/toast.js";

const PAGES = [
  { title: "Journey", path: "/" },
  { title: "Break", path: "/break" },
  { title: "Live", path: "/live" },
  { title: "Traces", path: "/traces" },
  { title: "Edge & balancer", path: "/edge" },
  { title: "Docs", path: "/docs" },
];

// The server says how the stack is each 2 s; three silent turns, and the figure is called old.
const OLD_AFTER_MS = 6000;

export class TopBar extends HTMLElement {
  #serving = h("span", { class: "opt-hide tnum" });
  #theme = h("button", { class: "btn tiny", type: "button", onclick: () => this.#switchTheme() });
  #app = h("a", { class: "opt-hide", hidden: true });
  #account = h("a", { href: "/account" }, "Account");
  #broken = h("span", { role: "status" });
  #restore = h("button", { class: "btn tiny", type: "button", hidden: true, onclick: () => this.#restoreAll() }, "Restore");
  #stack = null;
  #heardAt = 0;
  #timer = 0;

  connectedCallback() {
    restoreTheme();
    const current = this.getAttribute("current");
    const links = PAGES.map(({ title, path }) =>
      h("a", { href: path, "aria-current": title === current && "page" }, title));
    this.replaceChildren(h("header", {},
      h("a", { class: "skip", href: "#main" }, "Skip to content"),
      h("div", { class: "bar" },
        h("a", { class: "brand", href: "/" }, brand(), "Roundtrip"),
        h("nav", { "aria-label": "Main" }, links),
        h("div", { class: "side" }, h("span", { class: "bar-faults" }, this.#broken, this.#restore), this.#serving, this.#app, this.#theme, this.#account))));
    onSystemTheme(() => this.#paintTheme());
    this.#paintTheme();
    this.#follow();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
  }

  #switchTheme() {
    switchTheme();
    this.#paintTheme();
  }

  #paintTheme() {
    const other = theme() === "dark" ? "Light" : "Dark";
    this.#theme.textContent = other;
    this.#theme.setAttribute("aria-label", `${other}: switch to the ${other.toLowerCase()} theme`);
  }

  async #follow() {
    listen("stack", (stack) => this.#hear(stack));
    listen("faults", ({ on }) => this.#showFaults(on.length));
    this.#timer = setInterval(() => this.#paintServing(), OLD_AFTER_MS / 2);
    const [session, stack] = await Promise.allSettled([call("GET", "/api/session"), call("GET", "/api/stack")]);
    if (session.status === "fulfilled") {
      this.#account.textContent = session.value.name;
      this.#account.setAttribute("aria-label", `${session.value.name}: account`);
    }
    if (stack.status === "fulfilled") this.#hear(stack.value);
  }

  #hear(stack) {
    this.#stack = stack;
    this.#heardAt = Date.now();
    this.#app.href = stack.app_url;
    this.#app.textContent = stack.restaurant ? "Open the restaurant" : "Open your service";
    this.#app.hidden = false;
    this.#paintServing();
  }

  /** Whatever a page shows, it may be so because something is broken on purpose. */
  #showFaults(on) {
    const link = h("a", { class: "tag bad", href: "/break" }, triangle(11), `${count(on, "fault")} on`);
    this.#broken.replaceChildren(...(on === 0 ? [] : [link]));
    // Whoever pressed the button that goes now is not left without a place.
    if (on === 0 && this.#restore === document.activeElement) document.querySelector("#main")?.focus();
    // The break page has a larger button for it.
    this.#restore.hidden = on === 0 || this.getAttribute("current") === "Break";
  }

  async #restoreAll() {
    try {
      toast(await restoreEverything());
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      toast(`Not restored: ${error.message}`);
    }
  }

  #paintServing() {
    if (this.#stack === null) return;
    const { instances, restaurant } = this.#stack;
    const serving = instances.filter(isServing).length;
    const age_ms = Date.now() - this.#heardAt;
    const old = age_ms > OLD_AFTER_MS ? `, ${Math.round(age_ms / 1000)} s ago` : "";
    const behind = restaurant ? count(instances.length, "instance") : count(instances.length, "upstream");
    const where = restaurant ? "" : `Your service${instances.length === 1 ? ` at ${instances[0].target}` : ""}: `;
    this.#serving.textContent = `${where}${serving} of ${behind} serving${old}`;
    this.#serving.classList.toggle("bad", serving === 0);
  }
}

export const registerTopBar = () => customElements.define("top-bar", TopBar);
