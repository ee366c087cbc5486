// What the controls of a fault have in common.

import { h } from "../../lib/dom.js";
import { opener } from "../../lib/glyphs.js";

export const wish = (element, name, detail) => element.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));

/** The button that opens a fault's details, which stand at the end of its station's row. */
export const moreButton = (element, key, title) =>
  h("button", { class: "fx-more", type: "button", "data-more": key, "aria-expanded": "false", "aria-label": `${title}: how, at whom, for how long`,
    onclick: () => wish(element, "open-fault", key) }, opener(11));

/** What the server refused, said at the control. */
export function errorOf(id, control, ...describedBy) {
  const element = h("p", { class: "err-text", id: `${id}-error`, role: "alert" });
  control.setAttribute("aria-describedby", [...describedBy, element.id].join(" "));
  const say = (words) => {
    element.textContent = words;
    control.setAttribute("aria-invalid", String(words !== ""));
  };
  return { element, say };
}
