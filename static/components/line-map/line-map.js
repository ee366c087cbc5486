// <line-map></line-map>: the line as the subject of the page.
//   show({ line, trip, tracks, selected })  draws it; trip null draws the empty line
//   play(), frame(at_us), rest()      follow the player's clock; rest() is also how it starts
// Says "station" (detail: hop) when one is chosen. One tab stop; arrows, Home and End move along the line.

import { svg } from "../../lib/dom.js";
import { us } from "../../lib/format.js";
import { WHOLE_LINE } from "../../lib/layers.js";
import { layoutOf } from "../../logic/layout.js";
import { timesAt } from "../../logic/trip.js";
import { MovingDot } from "./dot.js";
import { drawSides, notesUnderHttp } from "./draw-sides.js";
import { drawStation } from "./draw-stations.js";
import { drawAnswer, drawGhosts, drawTravelled } from "./draw-tracks.js";

// A window this low gets the flatter map, so that station and waterfall are seen together.
const SHORT_WINDOW_PX = 800;
const WIDTH_MIN_PX = 320;
// The way home of a line on which nothing has travelled yet.
const EMPTY_STOPS = ["service", "balancer", "http", "client"];

export class LineMap extends HTMLElement {
  #line = WHOLE_LINE;
  #trip = null;
  #tracks = [];
  #selected = "client";
  #layout = null;
  #dot = null;
  #width = 0;
  #observer = new ResizeObserver(() => this.#resized());

  connectedCallback() {
    this.#observer.observe(this);
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  disconnectedCallback() {
    this.#observer.disconnect();
  }

  show({ line, trip, tracks, selected }) {
    this.#line = line;
    this.#trip = trip;
    this.#tracks = tracks;
    this.#selected = selected;
    this.rest();
  }

  select(hop) {
    this.#selected = hop;
    for (const station of this.querySelectorAll(".stn")) {
      const here = station.dataset.layer === hop;
      station.setAttribute("aria-pressed", String(here));
      station.setAttribute("tabindex", here ? "0" : "-1");
    }
  }

  play() {
    this.classList.add("playing");
    this.#dot = new MovingDot(this.querySelector("svg"), this.#layout, this.#trip.moves);
  }

  frame(at_us) {
    this.#dot.moveTo(at_us);
    const times = timesAt(this.#trip.pieces, at_us);
    for (const label of this.querySelectorAll("[data-time]")) label.textContent = us(times[label.dataset.time] ?? 0);
    for (const side of this.querySelectorAll("[data-from]")) side.classList.toggle("wait", at_us < Number(side.dataset.from));
  }

  rest() {
    this.classList.remove("playing");
    this.#dot = null;
    this.#draw();
  }

  #resized() {
    if (Math.abs(this.clientWidth - this.#width) <= 2 || this.#tracks.length === 0) return;
    this.#draw();
    // Under way, the new drawing gets a new dot; the next frame puts it where the clock says.
    if (this.#dot) this.play();
  }

  #draw() {
    const focused = this.contains(document.activeElement);
    this.#width = this.clientWidth;
    this.#layout = layoutOf(Math.max(WIDTH_MIN_PX, Math.floor(this.#width)), innerHeight < SHORT_WINDOW_PX, this.#plan());
    const { width, height } = this.#layout;
    const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `The line: ${this.#line.hops.length} stations from client to ${this.#line.of(this.#line.last).name.toLowerCase()} and back` },
      drawGhosts(this.#layout, this.#tracks),
      this.#trip && drawTravelled(this.#layout, this.#trip),
      drawSides(this.#layout, this.#tracks, this.#trip),
      this.#trip && drawAnswer(this.#layout, this.#trip),
      this.#line.layers.map((layer) => drawStation(this.#layout, layer, {
        trip: this.#trip, selected: layer.id === this.#selected, choose: () => this.#choose(layer.id),
      })));
    this.replaceChildren(drawing);
    if (focused) this.querySelector(".stn[tabindex='0']").focus();
  }

  #plan() {
    const chosen = Math.max(0, this.#tracks.findIndex((track) => track.chosen));
    const turn = this.#trip?.turn ?? this.#line.last;
    return { line: this.#line, tracks: this.#tracks.length, chosen, turn, stops: this.#trip?.stops ?? EMPTY_STOPS, notes: notesUnderHttp(this.#trip) };
  }

  #choose(hop) {
    this.dispatchEvent(new CustomEvent("station", { detail: hop, bubbles: true }));
  }

  #key(event) {
    const { hops, place } = this.#line;
    const at = place(event.target.dataset?.layer);
    if (at < 0) return;
    if (event.key === "Enter" || event.key === " ") this.#choose(hops[at]);
    else if (!(event.key in STEPS)) return;
    event.preventDefault();
    if (!(event.key in STEPS)) return;
    const to = Math.min(hops.length - 1, Math.max(0, at + STEPS[event.key]));
    this.#choose(hops[to]);
    this.querySelector(`.stn[data-layer=${hops[to]}]`).focus();
  }
}

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };

export const registerLineMap = () => customElements.define("line-map", LineMap);
