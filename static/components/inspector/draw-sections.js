// Draws the nouns of logic/facts/sections.js.

import { h } from "../../lib/dom.js";

export const drawSection = (section) => DRAW[section.kind](section);

const DRAW = {
  note: ({ text }) => h("p", { class: "muted" }, text),
  facts: ({ title, items }) => titled(title,
    h("dl", { class: "facts" }, items.map(([label, value]) => [h("dt", {}, label), h("dd", {}, drawValue(value))]))),
  raw: ({ title, text, wrap }) => titled(title,
    h("pre", { class: wrap ? "raw wrap" : "raw", tabindex: 0, role: "region", "aria-label": title }, text)),
  table: ({ title, columns, rows }) => titled(title,
    h("div", { class: "scroll-x", tabindex: 0, role: "region", "aria-label": title },
      h("table", {},
        h("thead", {}, h("tr", {}, columns.map(({ label, number }) => h("th", { scope: "col", class: number && "n" }, label)))),
        h("tbody", {}, rows.map((row) => drawRow(columns, row)))))),
};

const drawRow = (columns, { cells, marked, note }) => [
  h("tr", { class: [marked && "win", note && "noted"].filter(Boolean).join(" ") || null },
    cells.map((cell, index) => h("td", { class: columns[index].number && "n" }, drawValue(cell)))),
  note && h("tr", { class: "note" }, h("td", { colspan: columns.length }, note)),
];

const titled = (title, ...body) => [title && h("h3", {}, title), ...body];

function drawValue(value) {
  if (value === null || typeof value !== "object") return String(value);
  if ("code" in value) return h("code", {}, value.code);
  if ("bad" in value) return h("b", { class: "bad" }, value.bad);
  return h("b", {}, value.strong);
}
