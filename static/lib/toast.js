// What a button has done, said for a moment at the foot of the page.

import { h } from "./dom.js";

const SAID_FOR_MS = 5000;

// There from the beginning: readers announce what changes in a region, not that it came.
const said = h("p", { class: "toast", role: "status" });
document.body.append(said);
let timer = 0;

export function toast(words) {
  said.textContent = words;
  clearTimeout(timer);
  timer = setTimeout(() => (said.textContent = ""), SAID_FOR_MS);
}
