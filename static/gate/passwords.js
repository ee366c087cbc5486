// What the console asks of a password. The server decides; this only spares a round trip.

export const PASSWORD_CHARS_MIN = 15;

/** What is wrong with the password, in the form of a problem document's `errors`. */
export function passwordErrors(password) {
  const chars = [...password].length;
  if (chars >= PASSWORD_CHARS_MIN) return [];
  const detail =
    chars === 0
      ? `Type a password of at least ${PASSWORD_CHARS_MIN} characters.`
      : `${chars} of at least ${PASSWORD_CHARS_MIN} characters. Four words joined by hyphens will do.`;
  return [{ pointer: "/password", detail }];
}

/** The same for the name and password of somebody who signs in: both must be there, no more. */
export function credentialErrors({ name, password }) {
  const errors = [];
  if (name === "") errors.push({ pointer: "/name", detail: "Type your name." });
  if (password === "") errors.push({ pointer: "/password", detail: "Type your password." });
  return errors;
}
