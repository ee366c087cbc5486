// The account page: who is signed in, the passwords of the restaurant's staff, the API tokens, and the backups.

import { registerBackupList } from "./components/backup-list/backup-list.js";
import { registerPasswordField } from "./components/password-field/password-field.js";
import { registerStaffRow } from "./components/staff-row/staff-row.js";
import { registerTokenList } from "./components/token-list/token-list.js";
import { registerTopBar } from "./components/top-bar/top-bar.js";
import { h, keyed } from "./lib/dom.js";
import { count } from "./lib/format.js";
import { Problem, call } from "./lib/http.js";

registerTopBar();
registerPasswordField();
registerStaffRow();
registerBackupList();
registerTokenList();

const find = (id) => document.getElementById(id);

const backups = document.querySelector("backup-list");

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

async function showBackups() {
  backups.show((await call("GET", "/api/backups")).backups);
}

/** Has the server do something with a backup; what came of it is said beside the list. */
async function withBackup(busy, path, body, say) {
  backups.busy(busy);
  try {
    const done = await call("POST", path, body);
    backups.said(say(done));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    backups.fail(error.message);
  }
  await attempt(showBackups);
}

async function signOut() {
  await call("DELETE", "/api/session");
  location.replace("/sign-in");
}

find("staff").addEventListener("password-set", (event) => {
  find("staff-said").textContent = `${event.detail.name} can now sign in to the restaurant’s app with the new password.`;
  attempt(showStaff);
});
backups.addEventListener("create-backup", () =>
  withBackup("Copying; the restaurant goes on…", "/api/backups", {}, ({ name }) => `${name} is there.`));
backups.addEventListener("verify-backup", ({ detail }) =>
  withBackup("Restoring it into a temporary place, to look at every row…", "/api/backups/verify", detail, ({ ok, orders, wrong }) =>
    ok ? `${detail.name} is sound: ${count(orders, "order")}, every rule holds.` : `${detail.name} is not sound: ${wrong[0]}.`));
backups.addEventListener("restore-backup", ({ detail }) =>
  withBackup("Checking it, then putting it in place…", "/api/backups/restore", detail, ({ orders, safety }) =>
    `Restored: ${count(orders, "order")}. ${safety === null ? "" : `What was there before is ${safety}.`}`));
find("sign-out").addEventListener("click", () => attempt(signOut));
attempt(() => document.querySelector("token-list").refresh());
attempt(showSession);
attempt(showStaff);
attempt(showBackups);
