// Which browser and which system a visitor has, as far as the user agent string tells, and what each
// of them calls the way past an unknown certificate. Wording as of Chrome 142, Firefox 145, Safari 26.

/** In the order in which they must be asked: Edge also says Chrome, and both also say Safari. */
const BROWSER_SIGNS = [
  ["edge", /\bEdg(?:A|iOS)?\//],
  ["firefox", /\b(?:Firefox|FxiOS)\//],
  ["chrome", /(?:Chrome|Chromium|CriOS)\//],
  ["safari", /\bSafari\//],
];

const SYSTEM_SIGNS = [
  ["windows", /\bWindows\b/],
  ["macos", /\bMacintosh\b/],
  ["linux", /\b(?:Linux|X11|CrOS)\b/],
];

const named = (signs, agent) => signs.find(([, sign]) => sign.test(agent))?.[0] ?? null;

/** "edge", "firefox", "chrome", "safari", or null. */
export const browserOf = (agent) => named(BROWSER_SIGNS, agent);

/** "windows", "macos", "linux", or null. */
export const systemOf = (agent) => named(SYSTEM_SIGNS, agent);

/** Each browser's warning, and what to press in it, for an address at `host`. */
export const warnings = (host) => [
  {
    id: "chrome",
    name: "Chrome or Chromium",
    title: "Your connection is not private",
    presses: ["Advanced", `Proceed to ${host} (unsafe)`],
  },
  {
    id: "edge",
    name: "Edge",
    title: "Your connection isn’t private",
    presses: ["Advanced", `Continue to ${host} (unsafe)`],
  },
  {
    id: "firefox",
    name: "Firefox",
    title: "Warning: Potential Security Risk Ahead",
    presses: ["Advanced", "Accept the Risk and Continue"],
  },
  {
    id: "safari",
    name: "Safari",
    title: "This Connection Is Not Private",
    presses: ["Show Details", "visit this website", "Visit Website"],
  },
];

const AUTHORITY = "Roundtrip local CA";

/** How each system takes an authority by hand, for the signed-in user where it can, and how it forgets it. */
export const SYSTEMS = [
  {
    id: "linux",
    name: "Linux",
    take: "certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n roundtrip -i roundtrip-ca.pem",
    forget: "certutil -d sql:$HOME/.pki/nssdb -D -n roundtrip",
    note: "For Chrome and Chromium. certutil comes with the package libnss3-tools or nss-tools.",
  },
  {
    id: "macos",
    name: "macOS",
    take: "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db roundtrip-ca.pem",
    forget: `security delete-certificate -t -c "${AUTHORITY}"`,
    note: "For Safari, Chrome and Edge.",
  },
  {
    id: "windows",
    name: "Windows",
    take: "certutil -user -addstore Root roundtrip-ca.pem",
    forget: `certutil -user -delstore Root "${AUTHORITY}"`,
    note: "For Chrome and Edge.",
  },
];

/** The entries with the visitor's own first: {own, others}. Unknown visitors get all as others. */
export function ownFirst(entries, id) {
  return { own: entries.find((entry) => entry.id === id) ?? null, others: entries.filter((entry) => entry.id !== id) };
}
