// Sign-in to the console.

import { registerHairpinLine } from "./components/hairpin-line/hairpin-line.js";
import { registerPasswordField } from "./components/password-field/password-field.js";
import { onSubmit } from "./lib/form.js";
import { Problem, call } from "./lib/http.js";
import { restoreTheme } from "./lib/theme.js";
import { afterSignIn } from "./gate/addresses.js";
import { credentialErrors } from "./gate/passwords.js";

restoreTheme();
registerHairpinLine();
registerPasswordField();

const form = document.getElementById("sign-in");
const name = document.getElementById("name");
const password = document.getElementById("password");

async function signIn() {
  const credentials = { name: name.value.trim(), password: password.value };
  const errors = credentialErrors(credentials);
  if (errors.length > 0) throw new Problem(422, { detail: "Both are needed to sign in.", errors });
  try {
    await call("POST", "/api/session", credentials);
  } catch (error) {
    if (error instanceof Problem && error.status === 401) retype();
    if (error instanceof Problem && error.status === 429) throw withWait(error);
    throw error;
  }
  location.replace(afterSignIn(new URLSearchParams(location.search).get("next"), location.origin));
}

/** The server does not say which of the two was wrong; most often it is the one that nobody could read. */
function retype() {
  password.focus();
  password.select();
}

/** The same refusal with the seconds to wait in its words, unless the server's own words have them. */
function withWait(error) {
  const { problem, retry_after_s } = error;
  if (retry_after_s === null || /\d/.test(error.message)) return error;
  const detail = `${error.message} Try again in ${retry_after_s} s.`;
  return new Problem(error.status, { ...problem, detail }, retry_after_s);
}

onSubmit(form, signIn);
