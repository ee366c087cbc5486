// <upstream-list></upstream-list>: the upstreams, pool by pool.
//   show(stack)   refuse(id, control, say)   one upstream's control was refused

import { h, keyed } from "../../lib/dom.js";
import { count } from "../../lib/format.js";
import { policyName } from "../../logic/policies.js";
import { isServing } from "../../logic/instances.js";
import { poolsOf } from "../../logic/upstreams.js";

export class UpstreamList extends HTMLElement {
  show(stack) {
    keyed(this, poolsOf(stack), (pool) => pool.name, createPool, showPool);
  }

  refuse(id, control, say) {
    this.querySelector(`upstream-row[data-key="${CSS.escape(id)}"]`)?.refuse(control, say);
  }
}

function createPool({ name }) {
  return h("section", { class: "pool", "aria-label": `Pool ${name}` },
    h("div", { class: "pool-head" }, h("h3", {}, name), h("p", { class: "soft small tnum" })),
    h("div", { class: "pool-rows" }));
}

function showPool(section, { policy, waiting, instances }) {
  const serving = instances.filter(isServing).length;
  section.querySelector(".pool-head p").textContent = [
    `${serving} of ${instances.length} serving`, policyName(policy), waiting > 0 ? `${count(waiting, "request")} waiting` : null,
  ].filter(Boolean).join(" · ");
  keyed(section.querySelector(".pool-rows"), instances, (each) => each.id, () => document.createElement("upstream-row"), (row, each) => row.show(each));
}

export const registerUpstreamList = () => customElements.define("upstream-list", UpstreamList);
