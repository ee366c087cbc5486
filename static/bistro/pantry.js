// The pantry's page: reads the API while somebody looks.

import { registerPasswordField } from "../components/password-field/password-field.js";
import { Problem, call } from "../lib/http.js";
import { showPantry, summary } from "./pantry-view.js";
import { followStaff } from "./staff.js";

const EVERY_MS = 2000;
const find = (id) => document.getElementById(id);
let timer = null;

async function read() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const pantry = await call("GET", "/api/v1/pantry");
    showPantry(find("items"), pantry);
    find("shelf").hidden = false;
    say("", summary(pantry.items));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(error.message, "");
    if (error.status === 401 || error.status === 403) {
      // Somebody has to sign in first: that reads again.
      find("shelf").hidden = true;
      find("items").replaceChildren();
      return;
    }
  }
  clearTimeout(timer);
  timer = setTimeout(read, EVERY_MS);
}

function say(error, summed) {
  find("pantry-error").textContent = error;
  // A status that says the same again would be read aloud every time.
  if (find("summary").textContent !== summed) find("summary").textContent = summed;
}

registerPasswordField();
document.addEventListener("visibilitychange", read);
followStaff(read).catch((error) => {
  if (!(error instanceof Problem)) throw error;
  find("who").textContent = error.message;
});
