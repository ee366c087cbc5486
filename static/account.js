// The account page: who is signed in, and the passwords of the restaurant's staff.

import { registerPasswordField } from "./components/password-field/password-field.js";
import { registerStaffRow } from "./components/staff-row/staff-row.js";
import { registerTopBar } from "./components/top-bar/top-bar.js";
import { h, keyed } from "./lib/dom.js";
import { Problem, call } from "./lib/http.js";

registerTopBar();
registerPasswordField();
registerStaffRow();

const find = (id) => document.getElementById(id);

const ROLES = { owner: "Owner: may look at every request and change every setting." };

/** Runs one exchange with the server; whoever is signed out in the meantime is sent to sign in again. */
async function attempt(exchange) {
  find("account-error").textContent = "";
  try {
    await exchange();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) location.assign("/sign-in?next=/account");
    else find("account-error").textContent = error.message;
  }
}

async function showSession() {
  const { name, role } = await call("GET", "/api/session");
  find("who").textContent = name;
  find("role").textContent = ROLES[role] ?? role;
}

async function showStaff() {
  const { staff } = await call("GET", "/api/staff");
  keyed(
    find("staff"),
    staff,
    (member) => member.name,
    () => h("li", {}, h("staff-row")),
    (item, member) => (item.firstElementChild.member = member),
  );
}

async function signOut() {
  await call("DELETE", "/api/session");
  location.replace("/sign-in");
}

find("staff").addEventListener("password-set", (event) => {
  find("staff-said").textContent = `${event.detail.name} can now sign in to the restaurant’s app with the new password.`;
  attempt(showStaff);
});
find("sign-out").addEventListener("click", () => attempt(signOut));
attempt(showSession);
attempt(showStaff);
