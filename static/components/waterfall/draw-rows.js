// One row of the waterfall, its axis and the bar that sums it up.

import { h } from "../../lib/dom.js";
import { percent, us } from "../../lib/format.js";
import { triangle } from "../../lib/glyphs.js";

export const bullet = ({ id, number }, size = "") =>
  h("span", { class: ["b", size, String(number).length > 1 && "several"].filter(Boolean).join(" "), "data-layer": id, "aria-hidden": "true" }, String(number));

export function drawAxis(axis, ticks, later) {
  const labels = ticks.map(({ at_us, left }, index) =>
    h("span", { style: { left: `${left}%` } }, `${later && index === 0 ? "+" : ""}${us(at_us)}${index === ticks.length - 1 ? "\u202fµs" : ""}`));
  axis.replaceChildren(h("span"), h("div", { class: "ticks" }, labels), h("span"));
}

export function drawSummary(row, title, segments, { low_us, high_us }, line) {
  const total_us = high_us - low_us;
  const parts = segments.map(({ hop, back, duration_us }) =>
    h("i", { "data-layer": hop, class: hop === null ? "lost" : back ? "back" : "", style: { flex: `${duration_us} 0 0` } }));
  row.replaceChildren(
    h("span", { class: "wf-name" }, h("span", {}, title)),
    h("span", { class: "wf-track bar-all", role: "img", "aria-label": inWords(segments, total_us, line) }, parts),
    h("span", { class: "wf-dur" }, us(total_us)));
}

/** The bar as a sentence: the share of each station. */
function inWords(segments, total_us, line) {
  const shares = new Map();
  for (const { hop, duration_us } of segments) shares.set(hop, (shares.get(hop) ?? 0) + duration_us);
  const words = [...shares].map(([hop, part_us]) => `${hop === null ? "unaccounted for" : line.of(hop).name} ${percent(part_us, total_us)}`);
  return `Share of the time: ${words.join(", ")}`;
}

const SPOKEN = { after: ", after the answer left", error: ", failed", back: ", coming back" };

export function drawRow(button, row, selected, line) {
  button.className = ["wf-row", row.depth === 0 && "top", `is-${row.mark}`].filter(Boolean).join(" ");
  button.style.setProperty("--d", row.depth);
  if (row.hop) button.dataset.layer = row.hop;
  button.title = row.name;
  button.setAttribute("aria-pressed", String(selected));
  if (row.fold) button.setAttribute("aria-expanded", String(row.fold === "open"));
  else button.removeAttribute("aria-expanded");
  const bars = row.drawn.map(({ bar, place }) => h("i", {
    class: `wf-bar ${row.mark}`,
    "data-start": bar.start_us,
    "data-end": bar.start_us + bar.duration_us,
    style: { left: `${place.left}%`, width: `${place.width}%` },
  }));
  const spoken = row.mark === "skipped" ? " not called" : ` microseconds${SPOKEN[row.mark] ?? ""}`;
  button.replaceChildren(
    h("span", { class: "wf-name" },
      row.hop && bullet(line.of(row.hop)), row.hop && h("span", { class: "vh" }, `${line.of(row.hop).name}: `),
      row.fold && h("span", { class: "fold", "aria-hidden": "true" }, row.fold === "open" ? "−" : "+"),
      row.struck && h("span", { class: "bad struck" }, triangle(11), h("span", { class: "vh" }, "broken on purpose: ")),
      h("span", { class: "wf-text" }, row.name)),
    h("span", { class: "wf-track" }, bars),
    h("span", { class: "wf-dur" }, row.mark === "skipped" ? "—" : us(row.duration_us), h("span", { class: "vh" }, spoken)));
}
