// A hexdump like the ones of the manuals: offset, eight bytes, and the letters among them.

const PER_LINE = 8;

/** From a plain hex string; anything else comes back unchanged, since it is the server's word. */
export function hexdump(hex) {
  if (!/^([0-9a-f]{2})+$/i.test(hex)) return hex;
  const values = hex.match(/../g).map((pair) => parseInt(pair, 16));
  const lines = [];
  for (let offset = 0; offset < values.length; offset += PER_LINE) {
    const line = values.slice(offset, offset + PER_LINE);
    const pairs = line.map((value) => value.toString(16).padStart(2, "0")).join(" ").padEnd(PER_LINE * 3);
    const letters = line.map((value) => (value > 31 && value < 127 ? String.fromCharCode(value) : ".")).join("");
    lines.push(`${offset.toString(16).padStart(4, "0")}  ${pairs} ${letters}`);
  }
  return lines.join("\n");
}
