// Who is at the table: a guest, or a member of staff who signed in.

import { onSubmit } from "../lib/form.js";
import { Problem, call } from "../lib/http.js";
import { credentialErrors } from "../gate/passwords.js";

const find = (id) => document.getElementById(id);
const SESSION = "/api/v1/session";

/** Wires sign-in and sign-out; `changed(session)` hears who is there, first of all now. */
export async function followStaff(changed) {
  const tell = (session) => {
    const staff = session.name !== null;
    find("who").textContent = staff ? `Signed in as ${session.name}` : "";
    find("staff-in").hidden = staff;
    find("staff-out").hidden = !staff;
    for (const link of document.querySelectorAll(".staff-only")) link.hidden = !staff;
    changed(session);
  };
  find("staff-in").addEventListener("click", () => find("staff-dialog").showModal());
  find("staff-close").addEventListener("click", () => find("staff-dialog").close());
  find("staff-out").addEventListener("click", () => signOut(tell));
  onSubmit(find("staff-form"), () => signIn(tell));
  tell(await call("GET", SESSION));
}

async function signIn(tell) {
  const credentials = { name: find("name").value.trim(), password: find("password").value };
  const errors = credentialErrors(credentials);
  if (errors.length > 0) throw new Problem(422, { detail: "Both are needed to sign in.", errors });
  const session = await call("POST", SESSION, credentials);
  find("staff-form").reset();
  find("staff-dialog").close();
  tell(session);
}

async function signOut(tell) {
  try {
    await call("DELETE", SESSION);
    tell({ role: "guest", name: null });
    find("staff-in").focus();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    find("who").textContent = error.message;
  }
}
