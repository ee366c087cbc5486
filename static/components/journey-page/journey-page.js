// The page's controller: data goes down into the elements as nouns, their wishes come up as events.

import { call } from "../../lib/http.js";
import { listen } from "../../lib/events.js";
import { hopOfKey } from "../../lib/layers.js";
import { tracksOf } from "../../logic/instances.js";
import { lineOf, readTrip, slowestHop, succeeded } from "../../logic/trip.js";
import { standing } from "../../logic/upstreams.js";
import { Breaking } from "./breaking.js";
import { copyLink, exportJson } from "./keepsakes.js";
import { PolicySetting } from "./policy-setting.js";
import { arrival, drawEmptyTitle, drawFirstTitle, drawLostTitle, drawTitle, drawUnderWayTitle } from "./titles.js";
import { wayOut } from "./way-out.js";

const HISTORY_MAX = 50;

// How the page sends by itself once the owner has come in: the first request on offer, the whole way.
const FIRST_REQUEST = { connection: "fresh", caches: "use", count: 1 };

export class JourneyPage {
  #trip = null;
  #was_us = null;
  #lot = null;
  #hop = "client";
  #history = [];
  // Null until it was heard of; the restaurant is what is drawn meanwhile.
  #stack = null;
  // What the title is about: "empty", "first", "lost" or "trip".
  #mood = "empty";
  #sending = false;
  // Opening is asynchronous: only the latest wish may change the page.
  #wish = 0;

  constructor(document) {
    const find = (selector) => document.querySelector(selector);
    this.composer = find("request-composer");
    this.player = find("trip-player");
    this.map = find("line-map");
    this.several = find("sent-several");
    this.waterfall = find("trip-waterfall");
    this.inspector = find("station-inspector");
    this.history = find("journey-history");
    this.title = find("#map-title");
    this.announcer = find("#announce");
    this.parts = { acts: find("#acts"), time: find("#time"), before: find("#before"), copy: find("#copy"), export: find("#export") };
    this.policy = new PolicySetting(() => this.#drawInspector());
    this.breaking = new Breaking(find("break-it"), () => this.#drawBreaking());
  }

  async start() {
    this.#wire();
    const breaking = this.breaking.start();
    // First of all: what stands behind decides which stations there are.
    await this.#meetStack();
    this.#drawAll();
    listen("journey", (summary) => this.#remember([summary]));
    listen("stack", (stack) => this.#hear(stack));
    const wished = idInAddress();
    const first = new URLSearchParams(location.search).has("first");
    await Promise.all([this.#offer(), this.#recall(), this.policy.read(), breaking]);
    if (first) {
      history.replaceState(null, "", "/");
      await this.#send(this.composer.choose(FIRST_REQUEST), "first");
    } else if (wished) {
      await this.#open(wished, { push: false });
    } else if (this.#history.length > 0) {
      await this.#open(this.#history[0].trace_id, { push: false });
    }
  }

  #wire() {
    this.composer.addEventListener("send", ({ detail }) => this.#send(detail));
    for (const element of [this.history, this.several]) element.addEventListener("open", ({ detail }) => this.#open(detail, { push: true }));
    for (const element of [this.map, this.waterfall]) element.addEventListener("station", ({ detail }) => this.#select(detail));
    this.inspector.addEventListener("policy", ({ detail }) => this.policy.change(detail));
    this.player.addEventListener("start", () => this.#startMotion());
    this.player.addEventListener("tick", ({ detail }) => this.#followClock(detail));
    this.player.addEventListener("finish", () => this.#finishMotion());
    this.parts.copy.addEventListener("click", () => copyLink(this.parts.copy, this.announcer, this.#trip.journey));
    this.parts.export.addEventListener("click", () => exportJson(this.#trip.journey));
    addEventListener("popstate", () => this.#revisit());
    addEventListener("keydown", (event) => this.#key(event));
  }

  // ---- what the server tells ----

  async #offer() {
    try {
      this.composer.offer(await call("GET", "/api/presets"));
    } catch (problem) {
      this.composer.fail(wayOut(problem));
    }
  }

  async #recall() {
    try {
      const { journeys } = await call("GET", `/api/journeys?limit=${HISTORY_MAX}`);
      this.#remember(journeys);
    } catch (problem) {
      this.composer.fail(wayOut(problem));
    }
  }

  async #meetStack() {
    try {
      this.#hear(await call("GET", "/api/stack"));
    } catch {
      // The top bar says how the stack is; the empty line only misses its instance names.
    }
  }

  #hear(stack) {
    const before = this.#stack;
    this.#stack = stack;
    this.policy.hear(stack.policy);
    if (before !== null && before.restaurant !== stack.restaurant) this.#drawAll();
    else if (before === null || standing(before) !== standing(stack)) {
      if (this.#trip === null) this.#drawMap();
      this.#showBreaking();
    }
  }

  /** Newest first, each once: the stream also tells of what this page has sent. */
  #remember(summaries) {
    const known = new Map([...this.#history, ...summaries].map((each) => [each.trace_id, each]));
    this.#history = [...known.values()].sort((a, b) => b.sent_at.localeCompare(a.sent_at)).slice(0, HISTORY_MAX);
    this.#drawHistory();
  }

  // ---- what the reader wishes ----

  async #send(wish, mood = "trip") {
    if (this.#sending) return;
    this.#sending = true;
    const turn = ++this.#wish;
    this.composer.clear();
    this.composer.busy(wish.count);
    this.announcer.textContent = "Sending";
    try {
      const { journeys, journey } = await call("POST", "/api/journeys", wish);
      this.#remember(journeys);
      if (turn === this.#wish) {
        this.#show(journey, { lot: journeys.length > 1 ? journeys : null, mood, push: true, sent: true });
        this.player.play();
      }
    } catch (problem) {
      this.composer.fail(wayOut(problem));
    } finally {
      this.#sending = false;
      this.composer.busy(0);
    }
  }

  async #open(id, { push }) {
    const turn = ++this.#wish;
    try {
      const journey = await call("GET", `/api/journeys/${encodeURIComponent(id)}`);
      const lot = this.#lot?.some((each) => each.trace_id === id) ? this.#lot : null;
      if (turn === this.#wish) this.#show(journey, { lot, mood: "trip", push, sent: false });
    } catch (problem) {
      if (turn !== this.#wish) return;
      if (problem.status === 404) this.#lose();
      else this.composer.fail(wayOut(problem));
    }
  }

  #revisit() {
    const id = idInAddress();
    if (id) this.#open(id, { push: false });
    else if (this.#history.length > 0) this.#open(this.#history[0].trace_id, { push: false });
  }

  #show(journey, { lot, mood, push, sent }) {
    const before = this.#trip?.journey;
    // "Was" compares with what was on show when this one was sent; reopening an old one compares nothing.
    const alike = before && sent && before.method === journey.method && before.path === journey.path;
    this.#was_us = alike ? before.total_us : null;
    const stays = before?.turn === journey.turn && journey.hops[this.#hop].reached;
    if (!stays) this.#hop = stationOfInterest(journey);
    this.#trip = readTrip(journey, this.#hasRestaurant);
    this.#lot = lot;
    this.#mood = mood;
    const address = `/journeys/${journey.trace_id}`;
    if (push && location.pathname !== address) history.pushState(null, "", address);
    this.player.load(journey.total_us);
    this.#drawAll();
  }

  /** The ring keeps the latest journeys only; an older address finds nothing. */
  #lose() {
    this.#trip = null;
    this.#lot = null;
    this.#mood = "lost";
    this.player.clear();
    this.#drawAll();
    this.announcer.textContent = this.title.textContent;
  }

  #select(hop) {
    this.#hop = hop;
    this.map.select(hop);
    if (this.#trip) this.waterfall.select(hop);
    this.#drawInspector();
  }

  #key(event) {
    if (event.metaKey || event.ctrlKey || event.altKey || event.target.matches?.("input:not([type=radio]), select, textarea")) return;
    const hop = hopOfKey(this.#line, event.key);
    if (hop) this.#select(hop);
  }

  // ---- motion: map, waterfall and clock share the player's time ----

  #startMotion() {
    drawUnderWayTitle(this.title, this.#trip.journey);
    this.map.play();
  }

  #followClock(at_us) {
    this.map.frame(at_us);
    this.waterfall.frame(at_us);
  }

  #finishMotion() {
    this.map.rest();
    this.waterfall.rest();
    this.#drawTitle();
    this.announcer.textContent = arrival(this.#trip);
  }

  // ---- drawing ----

  get #hasRestaurant() {
    return this.#stack?.restaurant ?? true;
  }

  get #line() {
    return this.#trip?.line ?? lineOf(null, this.#hasRestaurant);
  }

  #drawAll() {
    this.parts.acts.hidden = this.#trip === null;
    this.parts.time.hidden = this.#trip === null;
    this.#drawTitle();
    this.#drawMap();
    this.several.show({ lot: this.#lot, current: this.#trip?.journey.trace_id });
    if (this.#trip) this.waterfall.show({ trip: this.#trip, selected: this.#hop });
    this.#drawInspector();
    this.#drawHistory();
  }

  #drawTitle() {
    const again = (changes) => () => {
      // The pressed button goes away with its sentence: the focus moves on to the one that stays.
      this.composer.focus();
      this.#send(this.composer.choose(changes));
    };
    if (this.#mood === "empty") drawEmptyTitle(this.title, again({}));
    else if (this.#mood === "lost") drawLostTitle(this.title, again({}));
    else if (this.#mood === "first") drawFirstTitle(this.title, this.#trip, again({ connection: "kept" }));
    else drawTitle(this.title, this.#trip.journey, this.#was_us, this.breaking.named(this.#trip.journey.faults ?? []));
  }

  #drawMap() {
    const seen = this.#trip?.journey.instances ?? [];
    this.map.show({ line: this.#line, trip: this.#trip, tracks: tracksOf(seen.length > 0 ? seen : this.#stack?.instances ?? []), selected: this.#hop });
  }

  #drawInspector() {
    this.inspector.show({ line: this.#line, trip: this.#trip, hop: this.#hop, policy: this.policy.shown, ownPolicy: this.#ownPolicy() });
    this.#showBreaking();
  }

  #showBreaking() {
    this.breaking.show({ line: this.#line, hop: this.#hop, stack: this.#stack });
  }

  /** The names of what struck are known once the faults are. */
  #drawBreaking() {
    this.#showBreaking();
    if (this.#mood === "trip" && (this.#trip?.journey.faults ?? []).length > 0) this.#drawTitle();
  }

  /** The policy that the pool of this trip has for itself, if it is another than the stack's. */
  #ownPolicy() {
    if (this.#stack === null) return null;
    const { instances, pools, policy } = this.#stack;
    const chosen = this.#trip?.journey.instances.find((each) => each.chosen)?.id;
    const pool = pools.find(({ name }) => name === instances.find(({ id }) => id === chosen)?.pool);
    return pool && pool.policy !== policy ? { pool: pool.name, policy: pool.policy } : null;
  }

  #drawHistory() {
    this.parts.before.hidden = this.#history.length === 0;
    this.history.show({ summaries: this.#history, current: this.#trip?.journey.trace_id, line: lineOf(null, this.#hasRestaurant) });
  }
}

/** Where to look first: where it was refused, else where most of the time went. */
const stationOfInterest = (journey) => (succeeded(journey) ? slowestHop(journey) : journey.turn ?? slowestHop(journey));

const idInAddress = () => /^\/journeys\/([^/]+)$/.exec(location.pathname)?.[1] ?? null;
