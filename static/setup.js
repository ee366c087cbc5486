// Set-up: the one form that makes the owner's account.

import { registerPasswordField } from "./components/password-field/password-field.js";
import { h } from "./lib/dom.js";
import { onSubmit } from "./lib/form.js";
import { Problem, call } from "./lib/http.js";
import { restoreTheme } from "./lib/theme.js";
import { tokenIn } from "./gate/addresses.js";
import { PASSWORD_CHARS_MIN, passwordErrors } from "./gate/passwords.js";

restoreTheme();
registerPasswordField();

const find = (id) => document.getElementById(id);
const form = find("setup");
const password = find("password");
const passwordField = password.closest("password-field");

const HINTS = {
  made: "Made for you: four words drawn at random. Let your browser save it, or write it down; it is not shown again.",
  own: `At least ${PASSWORD_CHARS_MIN} characters. Nothing else is asked of it. Let your browser save it, or write it down.`,
};

/** Held here alone: not in the address bar, not in the page, not in any storage. */
let token = null;

function takeToken() {
  const found = tokenIn(location.hash);
  if (found !== null) {
    token = found;
    history.replaceState(null, "", location.pathname);
  }
  if (token === null) refuse("This address came without its one-time token.", newLink());
  else find("refused").hidden = true;
  form.hidden = token === null;
}

const newLink = () => [
  "Open the whole link that Roundtrip printed when it started. It works once, for 15 minutes; for a new one run ",
  h("code", {}, "roundtrip owner link"),
  ".",
];

/** Puts a notice where the form was, since no field of it can mend this. */
function refuse(reason, wayOut) {
  const hadFocus = form.contains(document.activeElement);
  form.hidden = true;
  find("refused").replaceChildren(h("p", {}, h("b", {}, reason)), h("p", {}, wayOut));
  find("refused").hidden = false;
  // Hiding the form would drop the focus to the top of the page.
  if (hadFocus) find("refused").focus();
}

async function suggest() {
  try {
    const suggestion = await call("GET", "/api/setup/password");
    password.value = suggestion.password;
    describe("made");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // No suggestion is no reason to stop: the form works with a typed password too.
    typeOwn();
  }
}

function typeOwn() {
  password.value = "";
  describe("own");
}

/** Who chose the password, "made" or "own", decides whether it is in clear and what the buttons offer. */
function describe(origin) {
  passwordField.shown = origin === "made";
  password.readOnly = origin === "made";
  password.removeAttribute("aria-invalid");
  find("password-error").textContent = "";
  find("password-hint").textContent = HINTS[origin];
  find("another").textContent = origin === "made" ? "Another" : "Make one for me";
  find("own").hidden = origin === "own";
}

async function makeAccount() {
  const errors = passwordErrors(password.value);
  if (find("name").value.trim() === "") errors.unshift({ pointer: "/name", detail: "Type a name." });
  if (errors.length > 0) throw new Problem(422, { detail: "The account is not made yet.", errors });
  try {
    await call("POST", "/api/setup", { token, name: find("name").value.trim(), password: password.value });
  } catch (error) {
    if (error instanceof Problem && error.status === 403) return forgetToken(error);
    if (error instanceof Problem && error.status === 409) return refuse(error.message, signIn());
    throw error;
  }
  // Password managers save what is a password field at the moment the page goes away.
  passwordField.shown = false;
  location.replace("/?first=1");
}

function forgetToken(error) {
  token = null;
  refuse(error.message, newLink());
}

const signIn = () => ["This Roundtrip has its owner already. ", h("a", { href: "/sign-in" }, "Sign in"), "."];

find("another").addEventListener("click", suggest);
find("own").addEventListener("click", () => {
  typeOwn();
  password.focus();
});
onSubmit(form, makeAccount);
// A new link opened in the same tab changes the fragment and loads nothing.
addEventListener("hashchange", takeToken);
takeToken();
suggest();
