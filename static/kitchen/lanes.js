// Draws the three lanes.

import { h, keyed } from "../lib/dom.js";
import { LANES, choices, dishes, lane, situation } from "./queue.js";

const row = () =>
  h("li", { class: "ticket" },
    h("h3", {}, h("span", {}), h("b", {})),
    h("p", { class: "dishes" }),
    h("p", { class: "small soft tnum situation" }),
    h("p", { class: "small err-text" }),
    h("div", { class: "acts" }));

function drawTicket(element, ticket, directs, direct) {
  const say = (selector, text) => {
    element.querySelector(selector).textContent = text;
  };
  say("h3 span", `Ticket ${ticket.id}, table ${ticket.table}`);
  say("h3 b", ticket.state !== "waiting" || ticket.priority === 0 ? "" : ticket.priority > 0 ? "first" : "last");
  say(".dishes", dishes(ticket));
  say(".err-text", ticket.last_error ?? "");
  keyed(element.querySelector(".acts"), directs ? choices(ticket) : [], ({ to }) => to,
    ({ to, says }) => h("button", {
      class: "btn", type: "button", "aria-label": `${says}: ticket ${ticket.id}`, onclick: () => direct(ticket, to),
    }, says),
    // Not `disabled`: that would take the focus from whoever has just pressed it.
    (button, { done }) => button.setAttribute("aria-pressed", String(done === true)));
}

/** `direct(ticket, to)` is called where `directs`: for those who may only look, there are no buttons. */
export function showLanes(queue, directs, direct) {
  const active = document.activeElement;
  const left = LANES.find((state) => document.getElementById(state).contains(active));
  for (const state of LANES) {
    const section = document.getElementById(state);
    const tickets = lane(queue, state);
    section.querySelector("h2 span").textContent = String(queue[state]);
    section.querySelector(".none").hidden = queue[state] > 0;
    const more = queue[state] - tickets.length;
    section.querySelector(".more").textContent = more > 0 ? `and ${more} more` : "";
    keyed(section.querySelector("ol"), tickets, ({ id }) => id, row, (element, ticket) =>
      drawTicket(element, ticket, directs, direct));
  }
  // A ticket that moves takes the focus along; one that is gone leaves it at the lane it was in.
  if (left && document.activeElement !== active) {
    (active.isConnected ? active : document.getElementById(`${left}-title`)).focus();
  }
}

/** Brings the ages up to date. */
export function showAges(queue, now_ms) {
  for (const state of LANES) {
    const rows = document.querySelectorAll(`#${state} .ticket`);
    lane(queue, state).forEach((ticket, index) => {
      rows[index].querySelector(".situation").textContent = situation(ticket, now_ms);
    });
  }
}
