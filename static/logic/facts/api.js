import { count } from "../../lib/format.js";
import { bad, code, facts, table } from "./sections.js";

const SESSIONS = { none: "no session cookie", guest: "a guest's session", staff: "a session of the staff" };

/** Shape, identity, permission: what stands between a request and the recipe. */
export function apiFacts(reader, journey) {
  const role = reader.take("enduser.role");
  const id = reader.take("enduser.id");
  const session = reader.take("roundtrip.api.session");
  const granted = reader.take("roundtrip.api.granted");
  const permission = reader.take("roundtrip.api.permission");
  const route = reader.take("http.route");
  const validation = reader.take("roundtrip.api.validation");
  const mistakes = Array.isArray(validation) ? validation : [];
  return [
    facts(null, [
      ["Route", route && code(`${journey.method} ${route}`)],
      ["Shape", mistakes.length > 0 ? bad(mistakesCount(mistakes.length)) : validation === "ok" ? "valid" : undefined],
      ["You are", role && [role, id].filter(Boolean).join(", ")],
      ["Known by", session && (SESSIONS[session] ?? session)],
      ["Right needed", permission && code(permission)],
      ["Granted", granted === undefined ? undefined : granted ? "yes" : bad("No. The work itself never began.")],
    ]),
    table("What is wrong with the body", [{ label: "Where" }, { label: "What" }], mistakes.map(({ pointer, detail }) => ({
      cells: [code(pointer), detail],
    }))),
    table("Who may do this", [{ label: "Role" }, { label: "May", number: true }], (reader.take("roundtrip.api.roles") ?? []).map((each) => ({
      marked: each.role === role,
      cells: [each.role === role ? `${each.role} (you)` : each.role, each.may ? "yes" : "no"],
    }))),
  ];
}

const mistakesCount = (number) => `not valid: ${count(number, "mistake")}`;
