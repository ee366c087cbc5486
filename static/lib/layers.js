// The eight hops of a request in travelling order. "Station" on screen, "hop" in code.
// `role` and `line` are the teacher's voice: a role never repeats a role of the bistro's staff.

export const LAYERS = [
  { id: "client", number: 1, name: "Client", role: "you", line: "The guest who wants something, and waits for it." },
  { id: "dns", number: 2, name: "DNS", role: "the phone book", line: "The phone book: a name goes in, an address comes out." },
  { id: "tls", number: 3, name: "TLS", role: "the sealed envelope", line: "The sealed envelope: nobody on the way can read the letter or swap it." },
  { id: "http", number: 4, name: "HTTP", role: "the order form", line: "The order form: a verb, an address, a few headings, perhaps a body." },
  { id: "balancer", number: 5, name: "Balancer", role: "the dispatcher", line: "The dispatcher: hands each request to the instance that is least busy." },
  { id: "api", number: 6, name: "API", role: "the front desk", line: "The front desk: asks who you are, what you want, and whether you may have it." },
  { id: "service", number: 7, name: "Service", role: "the recipe", line: "The recipe: the steps and the rules of the house, in order." },
  { id: "data", number: 8, name: "Data", role: "the storeroom", line: "The storeroom: where things are kept so that they can be found again." },
];

// Before somebody's own service the last three stations are one: what goes on inside is theirs.
const YOUR_SERVICE = { id: "service", number: "6–8", name: "Your service", role: "what you run", line: "What you run: the request goes in, the answer comes out. What happens between is yours." };

/** The stations of a journey in travelling order: `of(hop)` one of them, `place(hop)` -1 when it is not on the line. */
function line(layers) {
  const hops = layers.map((layer) => layer.id);
  const byId = new Map(layers.map((layer) => [layer.id, layer]));
  return { layers, hops, last: hops.at(-1), of: (hop) => byId.get(hop), place: (hop) => hops.indexOf(hop) };
}

export const WHOLE_LINE = line(LAYERS);
export const LINE_TO_YOUR_SERVICE = line([...LAYERS.slice(0, 5), YOUR_SERVICE]);

/** The station that a digit picks: the eight have numbers, and your service answers to three of them. */
export const hopOfKey = ({ hops }, key) => (/^[1-8]$/.test(key) ? hops[Math.min(hops.length, Number(key)) - 1] : undefined);
