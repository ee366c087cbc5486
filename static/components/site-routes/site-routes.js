// <site-routes></site-routes>: what the edge answers to, and its routes in the order in which they are asked.
//   show(site)

import { h, keyed } from "../../lib/dom.js";
import { routeFacts, routeKey, routeSummary, routeTitle } from "../../logic/routes.js";

export class SiteRoutes extends HTMLElement {
  #hosts = h("p", { class: "small soft" });
  #routes = h("ol", { class: "routes" });

  connectedCallback() {
    this.replaceChildren(
      h("p", { class: "small muted" }, "A request takes the first that its host and path fit. Routes are written in roundtrip.toml."),
      this.#routes, this.#hosts);
  }

  show({ hosts, trusted_proxies, routes }) {
    const trusted = trusted_proxies.length === 0 ? "" : ` Proxies at ${trusted_proxies.join(", ")} are believed.`;
    this.#hosts.textContent = `Answers to ${hosts.join(", ")}.${trusted}`;
    keyed(this.#routes, routes, routeKey, createRoute, showRoute);
  }
}

const createRoute = () =>
  h("li", {}, h("details", {}, h("summary", {}, h("span", { class: "mono" }), h("span", { class: "small soft" })), h("dl", { class: "facts" })));

function showRoute(item, route) {
  const [title, summary] = item.querySelectorAll("summary span");
  title.textContent = routeTitle(route);
  summary.textContent = routeSummary(route);
  item.querySelector("dl").replaceChildren(...routeFacts(route).flatMap(([label, words]) => [h("dt", {}, label), h("dd", {}, words)]));
}

export const registerSiteRoutes = () => customElements.define("site-routes", SiteRoutes);
