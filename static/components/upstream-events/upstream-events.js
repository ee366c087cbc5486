// <upstream-events></upstream-events>: changes of the upstreams, newest first.
//   show(events)   newest last, as the server lists them

import { h, keyed } from "../../lib/dom.js";
import { clockTime } from "../../lib/format.js";

export class UpstreamEvents extends HTMLElement {
  #list = h("ol", { class: "events", tabindex: 0, "aria-labelledby": "events-title" });
  #none = h("p", { class: "muted" }, "Nothing yet: they are as they were at the start.");

  connectedCallback() {
    this.replaceChildren(this.#none, this.#list);
  }

  show(events) {
    this.#none.hidden = events.length > 0;
    this.#list.hidden = events.length === 0;
    // Two changes of one upstream in the same instant are told apart by their order.
    const numbered = events.map((event, index) => ({ ...event, key: `${event.at} ${event.upstream} ${event.to} ${seenBefore(events, index)}` }));
    keyed(this.#list, numbered.reverse(), (event) => event.key, draw);
  }
}

const seenBefore = (events, index) =>
  events.slice(0, index).filter(({ at, upstream, to }) => at === events[index].at && upstream === events[index].upstream && to === events[index].to).length;

const draw = ({ at, upstream, from, to, reason }) => h("li", {},
  h("span", { class: "tnum muted" }, clockTime(at)),
  h("b", { class: "mono" }, upstream),
  h("span", { class: "ev-what" }, `${words(from)} → ${words(to)}`),
  h("span", { class: "soft ev-why" }, reason));

const words = (state) => state.replace("_", " ");

export const registerUpstreamEvents = () => customElements.define("upstream-events", UpstreamEvents);
