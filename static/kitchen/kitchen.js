// The chef's page: the kitchen's queue as it is, and what the chef decides about it.

import { followStaff } from "../bistro/staff.js";
import { registerPasswordField } from "../components/password-field/password-field.js";
import { Problem, call } from "../lib/http.js";
import { showAges, showLanes } from "./lanes.js";
import { NOTHING, aheadOf, heard, span } from "./queue.js";
import { follow } from "./stream.js";

const KITCHEN = "/api/v1/kitchen";
/** Who may direct; the server decides, this only spares buttons that it would refuse. */
const DIRECTS = ["chef", "manager"];

const find = (id) => document.getElementById(id);
const page = { queue: NOTHING, ahead_ms: 0, role: "guest", connection: "", heardAt: 0, stop: null };

const now = () => Date.now() + page.ahead_ms;

function show() {
  const { queue, role } = page;
  const staff = role !== "guest";
  find("guest").hidden = staff;
  find("lanes").hidden = !staff;
  find("pause").hidden = !DIRECTS.includes(role) || queue === NOTHING;
  find("pause").textContent = queue.paused ? "Let the kitchen go on" : "Pause the kitchen";
  find("paused").hidden = !queue.paused;
  showLanes(queue, DIRECTS.includes(role), direct);
  showAges(queue, now());
}

/** Says what is true of the figures: live, or how old. Once a second at most the text changes. */
function showConnection() {
  const age = page.heardAt === 0 ? "" : `; this is from ${span(Date.now() - page.heardAt)} ago`;
  const words = {
    "": "",
    connecting: "Connecting",
    live: "Live",
    lost: `The connection is lost and being made again${age}.`,
  }[page.connection];
  if (find("connection").textContent !== words) find("connection").textContent = words;
  find("connection").classList.toggle("bad", page.connection === "lost");
}

function hear(event) {
  page.queue = heard(page.queue, event);
  page.ahead_ms = aheadOf(event.at, Date.now());
  page.heardAt = Date.now();
  show();
}

function setConnection(state) {
  // Live again without a change: what is shown is what is.
  if (state !== "live" && page.connection === "live") page.heardAt = Date.now();
  page.connection = state;
  showConnection();
}

/** Whether the session still lets us in. */
async function stillStaff() {
  try {
    const session = await call("GET", "/api/v1/session");
    if (session.name !== null) return true;
    location.reload();
    return false;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return true;
  }
}

function changed({ role, name }) {
  page.stop?.();
  page.stop = null;
  page.role = name === null ? "guest" : role;
  page.queue = NOTHING;
  page.heardAt = 0;
  find("problem").textContent = "";
  if (name === null) setConnection("");
  else page.stop = follow({ heard: hear, state: setConnection, refused: stillStaff });
  show();
}

/** Sends what the chef decided; the queue itself says what came of it. */
async function decide(path, said) {
  find("problem").textContent = "";
  try {
    await call("POST", `${KITCHEN}/${path}`, {});
    find("said").textContent = said;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    find("problem").textContent = error.message;
  }
}

const SAID = { first: "goes first", last: "goes last", requeue: "is queued again" };
const direct = ({ id }, to) => decide(`tickets/${id}/${to}`, `Ticket ${id} ${SAID[to]}`);

find("pause").addEventListener("click", () =>
  page.queue.paused ? decide("resume", "The kitchen goes on") : decide("pause", "The kitchen is paused"));
registerPasswordField();
setInterval(() => {
  showAges(page.queue, now());
  showConnection();
}, 1000);
followStaff(changed).catch((error) => {
  if (!(error instanceof Problem)) throw error;
  find("problem").textContent = error.message;
});
