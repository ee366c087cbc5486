// The door: the one plain-HTTP page. It explains the warning to come and leads through it.

import { h } from "./lib/dom.js";
import { Problem, call } from "./lib/http.js";
import { continueTo, fingerprintGroups, tokenIn } from "./gate/addresses.js";
import { SYSTEMS, browserOf, ownFirst, systemOf, warnings } from "./gate/visitor.js";

/** A name that resolves at all does so at once; a resolver that asks the network may take seconds. */
const NAME_TIMEOUT_MS = 1500;

const find = (id) => document.getElementById(id);

/** Whether this browser takes *.localhost for this machine (RFC 6761, section 6.3). Safari does not. */
async function resolvesName(httpPort) {
  try {
    await fetch(`http://roundtrip.localhost:${httpPort}/here`, {
      mode: "no-cors",
      cache: "no-store",
      signal: AbortSignal.timeout(NAME_TIMEOUT_MS),
    });
    return true;
  } catch {
    return false;
  }
}

const clicks = ({ title, presses }) => [
  h("p", {}, "It says “", title, "”. Press"),
  h("ol", { class: "presses" }, presses.map((press) => h("li", {}, h("b", {}, press)))),
];

function showClicks(host) {
  const { own, others } = ownFirst(warnings(host), browserOf(navigator.userAgent));
  find("other-browsers").hidden = false;
  find("other-clicks").replaceChildren(...others.flatMap((other) => [h("h3", {}, other.name), ...clicks(other)]));
  if (own === null) return;
  find("clicks-title").textContent = `What to click in ${own.name}`;
  find("clicks").replaceChildren(...clicks(own));
}

const byHand = ({ name, take, forget, note }) => [
  h("h3", {}, name),
  h("p", { class: "small muted" }, note, " In the folder that you saved it to:"),
  h("pre", { class: "raw wrap", tabindex: "0" }, take),
  h("p", { class: "small muted" }, "To undo it:"),
  h("pre", { class: "raw wrap", tabindex: "0" }, forget),
];

function showSystems() {
  const { own, others } = ownFirst(SYSTEMS, systemOf(navigator.userAgent));
  const rest = h("details", {}, h("summary", {}, "On another system"), others.map(byHand));
  find("systems").replaceChildren(...(own === null ? [] : byHand(own)), rest);
}

function showContinue(origin, ownerExists) {
  const token = tokenIn(location.hash);
  find("continue").href = continueTo(origin, location.hash);
  find("continue").textContent = token === null && ownerExists ? "Continue and sign in" : "Continue";
  find("leads-to").replaceChildren("to ", h("span", { class: "mono" }, token === null ? `${origin}/` : `${origin}/setup`));
  // Without a token nobody can make the account: say where one comes from before the warning, not after.
  find("no-token").hidden = token !== null || ownerExists;
  find("no-token").replaceChildren(
    "There is no account yet, and this address came without its one-time token. ",
    "Open the whole link that Roundtrip printed when it started, or run ",
    h("code", {}, "roundtrip owner link"),
    " for a new one.",
  );
}

function showName(resolves, origin) {
  find("name-stop").className = resolves ? "done" : "todo";
  find("name-result").textContent = resolves
    ? "roundtrip.localhost leads to this machine, so the console is there. One warning, no more."
    : `This browser does not know roundtrip.localhost, so the console is at ${new URL(origin).host}.`;
}

async function open() {
  showSystems();
  showClicks("localhost");
  const door = await call("GET", "/api/door");
  find("fingerprint").hidden = false;
  find("fingerprint").replaceChildren(...fingerprintGroups(door.ca_sha256).flatMap((group) => [h("span", {}, group), " "]));
  const lead = (origin) => {
    showClicks(new URL(origin).hostname);
    showContinue(origin, door.owner);
  };
  // The fallback works in every browser, so Continue can be pressed while the name is being tried.
  lead(door.console_fallback);
  const resolves = await resolvesName(door.http_port);
  const origin = resolves ? door.console : door.console_fallback;
  showName(resolves, origin);
  lead(origin);
  // A second link opened in the same tab changes the fragment and loads nothing.
  addEventListener("hashchange", () => lead(origin));
}

open().catch((error) => {
  if (!(error instanceof Problem)) throw error;
  find("door-error").textContent = error.message;
});
