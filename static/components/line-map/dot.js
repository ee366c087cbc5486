// The request under way: a dot that rides the drawn tracks, uncovers them, and waits where time is spent.

import { svg } from "../../lib/dom.js";
import { moveAt } from "../../logic/moves.js";

// The share of a station's time in which the dot is seen to arrive; the rest it waits there, ring filling.
const ARRIVING = 0.38;
const TAIL_MS = 150;
// How finely the tail follows a bend, as a share of one track.
const TAIL_STEP = 0.02;
const RING_RADIUS = 22;
const RING_LENGTH = 2 * Math.PI * RING_RADIUS;
// Shorter stays flash by; a ring would only flicker.
const RING_FROM_US = 20;

export class MovingDot {
  #layout;
  #moves;
  #runs = new Map();
  #tail = [];
  #last = { move: 0, ridden: 0 };
  #ring = svg("circle", { class: "dwell", r: RING_RADIUS, visibility: "hidden" });
  #trail = svg("path", { class: "tail" });
  #dot = svg("circle", { class: "head-dot", r: 9 });

  constructor(drawing, layout, moves) {
    this.#layout = layout;
    this.#moves = moves;
    for (const path of drawing.querySelectorAll("[data-run]")) {
      const length = path.getTotalLength();
      path.style.setProperty("stroke-dasharray", `0 ${length}`);
      this.#runs.set(path.dataset.run, { path, length });
    }
    drawing.append(this.#ring, this.#trail, this.#dot);
  }

  moveTo(at_us) {
    const now = performance.now();
    const index = moveAt(this.#moves, at_us);
    const move = this.#moves[index];
    const progress = Math.min(1, Math.max(0, (at_us - move.start_us) / Math.max(move.duration_us, 0.001)));
    const ridden = Math.min(1, progress / ARRIVING) * move.path.length;
    this.#follow(index, ridden, now);
    const point = this.#pointOn(move, ridden);
    this.#dot.setAttribute("cx", point.x);
    this.#dot.setAttribute("cy", point.y);
    this.#drawTail(point, now);
    this.#drawRing(point, ridden >= move.path.length && move.duration_us > RING_FROM_US ? progress : null);
  }

  /** Uncovers everything ridden since the last frame, however many stations lie between. */
  #follow(index, ridden, now) {
    for (let at = this.#last.move; at <= index; at++) {
      const move = this.#moves[at];
      const until = at === index ? ridden : move.path.length;
      move.path.forEach((step, k) => this.#uncover(step, Math.min(1, until - k)));
      const from = at === this.#last.move ? this.#last.ridden : 0;
      for (let ride = from; ride < until; ride += TAIL_STEP) this.#tail.push({ ...this.#pointOn(move, ride), now });
    }
    this.#last = { move: index, ridden };
  }

  #uncover({ track, index }, share) {
    if (track === "undo" || share <= 0) return;
    const names = track === "back" ? [`back${index}`, `hollow${index}`] : [`out${index}`];
    for (const name of names) {
      const run = this.#runs.get(name);
      run?.path.style.setProperty("stroke-dasharray", share >= 1 ? "none" : `${share * run.length} ${run.length}`);
    }
  }

  #pointOn(move, ridden) {
    const step = move.path[Math.min(move.path.length - 1, Math.floor(ridden))];
    const run = step && this.#runs.get(`${step.track === "back" ? "back" : "out"}${step.index}`);
    if (!run) return this.#stay(move);
    const share = Math.min(1, ridden - Math.min(move.path.length - 1, Math.floor(ridden)));
    const { x, y } = run.path.getPointAtLength(run.length * (step.track === "undo" ? 1 - share : share));
    return { x, y };
  }

  /** A move without a path stays at its station. */
  #stay(move) {
    const { x, y } = this.#layout.stations[move.hop];
    return { x, y };
  }

  #drawTail(point, now) {
    this.#tail.push({ ...point, now });
    this.#tail = this.#tail.filter((each) => now - each.now < TAIL_MS);
    this.#trail.setAttribute("d", `M${this.#tail.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`);
  }

  #drawRing({ x, y }, filled) {
    this.#ring.setAttribute("visibility", filled === null ? "hidden" : "visible");
    if (filled === null) return;
    this.#ring.setAttribute("cx", x);
    this.#ring.setAttribute("cy", y);
    this.#ring.setAttribute("transform", `rotate(-90 ${x} ${y})`);
    this.#ring.setAttribute("stroke-dasharray", `${RING_LENGTH * filled} ${2 * RING_LENGTH}`);
  }
}
