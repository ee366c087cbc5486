// <backup-list></backup-list>: the backups there are, a way to make one, and for each a way to check it and to go back.
//   show(backups)   busy(say)   said(say)   fail(say)
// Says "create-backup", "verify-backup" and "restore-backup" (detail: { name }).

import { h, keyed } from "../../lib/dom.js";
import { count, mebibytes } from "../../lib/format.js";
import { ageOf, checkedOf, reasonOf } from "../../logic/backups.js";

export class BackupList extends HTMLElement {
  #make = h("button", { class: "btn", type: "button", onclick: () => this.#wish("create-backup") }, "Back up now");
  #said = h("p", { class: "small", role: "status" });
  #trouble = h("p", { class: "err-text", role: "alert" });
  #none = h("p", { class: "soft" }, "There is no backup yet.");
  #list = h("ul", { class: "backups" });
  #busy = false;
  #asked = null;

  connectedCallback() {
    this.replaceChildren(h("p", { class: "act" }, this.#make), this.#said, this.#trouble, this.#none, this.#list);
  }

  show(backups) {
    this.#none.hidden = backups.length > 0;
    const now = Date.now();
    keyed(this.#list, backups, ({ name }) => name, (backup) => this.#row(backup), (row, backup) => this.#paint(row, backup, now));
  }

  /** While the server is at work nothing else is asked of it. */
  busy(say) {
    this.#set(true, say, "");
  }

  said(say) {
    this.#set(false, say, "");
  }

  fail(say) {
    this.#set(false, "", say);
  }

  #row({ name }) {
    const button = (text, act, more = {}) => h("button", { class: "btn tiny", type: "button", onclick: act, ...more }, text);
    const restore = button("Restore…", () => this.#ask(name), { "data-act": "ask", "aria-label": `Restore ${name}` });
    return h("li", {},
      h("div", { class: "bk-what" }, h("h3", { class: "mono" }, name), h("p", { class: "soft small" }), h("p", { class: "small" })),
      h("div", { class: "bk-acts" },
        button("Verify", () => this.#wish("verify-backup", name), { "data-act": "verify", "aria-label": `Verify ${name}` }), restore),
      h("div", { class: "bk-sure", hidden: true },
        h("p", { class: "small" }, "The restaurant’s data goes back to that moment. What is there now is kept as a backup, too."),
        h("div", { class: "bk-acts" },
          button("Restore it", () => this.#restore(name), { class: "btn tiny harm", "data-act": "restore" }),
          button("Leave it", () => this.#ask(null), { "data-act": "leave" }))));
  }

  #paint(row, backup, now) {
    const [facts, checked] = row.querySelectorAll(".bk-what p");
    const orders = backup.orders === null ? "orders unread" : count(backup.orders, "order");
    facts.textContent = `${reasonOf(backup.reason)}, ${ageOf(backup.created_at, now)} · ${mebibytes(backup.bytes)} · ${orders}`;
    const { say, bad } = checkedOf(backup.verified, now);
    checked.textContent = say;
    checked.classList.toggle("bad", bad);
  }

  /** Asks whether it is meant; null: it was not. */
  #ask(name) {
    const before = this.#asked;
    this.#asked = name;
    for (const row of this.#list.children) row.querySelector(".bk-sure").hidden = row.dataset.key !== name;
    const row = [...this.#list.children].find(({ dataset }) => dataset.key === (name ?? before));
    row?.querySelector(name === null ? "[data-act=ask]" : "[data-act=restore]").focus();
  }

  #restore(name) {
    if (this.#busy) return;
    this.#ask(null);
    this.#wish("restore-backup", name);
  }

  #wish(what, name) {
    if (!this.#busy) this.dispatchEvent(new CustomEvent(what, { detail: { name } }));
  }

  #set(busy, said, trouble) {
    this.#busy = busy;
    for (const button of this.querySelectorAll("button")) button.setAttribute("aria-disabled", String(busy));
    this.#said.textContent = said;
    this.#trouble.textContent = trouble;
  }
}

export const registerBackupList = () => customElements.define("backup-list", BackupList);
