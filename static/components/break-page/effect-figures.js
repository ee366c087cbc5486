// The figures of the effect strip: asked for once, then a point a second from the stream.

import { call } from "../../lib/http.js";
import { listen } from "../../lib/events.js";
import { extended, figuresBefore, pointsOf, supplierOf, WINDOW_S, windowTo } from "../../logic/effect.js";

const MARKS_MAX = 64;

const SOME_TRAFFIC = { rate: 20, duration_s: 60, arrivals: "poisson", connections: 8 };

export class EffectFigures {
  /** What the traffic that is sent from here asks for. */
  target = "menu";
  #strip;
  #attempt;
  #points = [];
  #before = null;
  #since_ms = null;
  #marks = [];
  #breaker = null;
  #sampling = null;
  #failed = false;

  /** `attempt` runs an exchange with the server, and says at the second function's place what came of it. */
  constructor(strip, attempt) {
    this.#strip = strip;
    this.#attempt = attempt;
  }

  async start() {
    listen("live", (live) => this.#extend(live));
    listen("happening", (happening) => this.#mark([happening]));
    this.#strip.addEventListener("send-traffic", () => this.#send());
    await Promise.all([
      this.#attempt(async () => this.#extend(await call("GET", `/api/live?window=${WINDOW_S}`)), (problem) => this.#fail(problem)),
      this.#attempt(async () => this.#mark((await call("GET", "/api/happenings?limit=200")).events), () => {}),
      this.readSupplier(),
    ]);
  }

  /** When the first of the faults that are on began; null: none is. */
  since(since_ms) {
    const same = since_ms === this.#since_ms || (since_ms !== null && this.#since_ms !== null && since_ms >= this.#since_ms);
    if (same) return;
    this.#since_ms = since_ms;
    this.#before = null;
    if (since_ms === null) this.#draw();
    else this.#readBefore(since_ms);
  }

  readSupplier() {
    return this.#attempt(async () => {
      this.#breaker = supplierOf((await call("GET", "/api/stack/sides")).buyers);
      this.#draw();
    }, () => {});
  }

  #readBefore(since_ms) {
    return this.#attempt(async () => {
      this.#before = figuresBefore(pointsOf(await call("GET", `/api/live?window=${windowTo(since_ms, Date.now())}`)), since_ms);
      this.#draw();
    }, () => {});
  }

  #extend(live) {
    this.#failed = false;
    this.#sampling = live.sampling ?? null;
    this.#points = extended(this.#points, pointsOf(live));
    this.#draw();
  }

  #mark(happenings) {
    const fresh = happenings.filter(({ kind }) => kind === "fault-on" || kind === "fault-off").map(({ at_ms, kind }) => ({ at_ms, began: kind === "fault-on" }));
    this.#marks = [...this.#marks, ...fresh].slice(-MARKS_MAX);
    this.#draw();
  }

  #send() {
    return this.#attempt(async () => {
      await call("POST", "/api/load", { target: this.target, ...SOME_TRAFFIC });
      this.#strip.refuse("");
    }, (problem) => this.#strip.refuse(problem.message));
  }

  #fail(problem) {
    this.#failed = true;
    this.#strip.fail(`There are no figures of the last minute: ${problem.message}`);
  }

  #draw() {
    if (this.#failed || this.#points.length === 0 || document.hidden) return;
    this.#strip.show({ points: this.#points, before: this.#before, marks: this.#marks, breaker: this.#breaker, sampling: this.#sampling });
  }
}
