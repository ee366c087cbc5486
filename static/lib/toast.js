// What a button has done, said for a moment at the foot of the page.

import { h } from "./dom.js";

const SAID_FOR_MS = 5000;

let said = null;
let timer = 0;

export function toast(words) {
  // One region that stays: readers announce what changes in it, not that it came.
  if (said === null) document.body.append(said = h("p", { class: "toast", role: "status" }));
  said.textContent = words;
  clearTimeout(timer);
  timer = setTimeout(() => (said.textContent = ""), SAID_FOR_MS);
}
