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

export const HOPS = LAYERS.map((layer) => layer.id);

const BY_ID = new Map(LAYERS.map((layer) => [layer.id, layer]));

export const layerOf = (id) => BY_ID.get(id);

/** Place on the line, 0 to 7; -1 for a hop this console does not know. */
export const placeOf = (id) => HOPS.indexOf(id);
