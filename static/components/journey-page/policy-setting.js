// The balancer's policy as a setting: read once, changed from the inspector, kept true by the stack's news.

import { call } from "../../lib/http.js";

const KEY = "balancer.policy";
const QUIET = { busy: false, failed: false, say: "" };

export class PolicySetting {
  #changed;
  /** What the inspector shows: null until the server has said which choices there are. */
  shown = null;

  constructor(changed) {
    this.#changed = changed;
  }

  async read() {
    try {
      const { settings } = await call("GET", "/api/settings");
      this.#take(settings);
    } catch {
      // Without the settings the balancer's facts stand alone; nothing is offered that could not work.
    }
  }

  async change(value) {
    const before = this.shown;
    this.#show({ ...before, value, state: { busy: true, failed: false, say: "Changing…" } });
    try {
      await call("PATCH", "/api/settings", { [KEY]: value });
      this.#show({ ...before, value, state: { ...QUIET, say: "Changed. It holds from the next request on." } });
    } catch (problem) {
      this.#show({ ...before, state: { busy: false, failed: true, say: `Not changed: ${problem.message}` } });
    }
  }

  hear(policy) {
    if (this.shown === null || this.shown.state.busy || this.shown.value === policy || policy === undefined) return;
    this.#show({ ...this.shown, value: policy, state: QUIET });
  }

  #take(settings) {
    const setting = settings.find((each) => each.key === KEY);
    if (setting) this.#show({ value: setting.value, choices: setting.choices, state: QUIET });
  }

  #show(shown) {
    this.shown = shown;
    this.#changed();
  }
}
