// Where the line runs. One model, two layouts: across for wide pages, upright below 760 px.
// Both answer with the same shape, laid out for the real width so that text keeps its size:
// { wide, width, height, stations, tracks, trackOf(k), out[1..], back: [{ hop, d }] }

export const NARROW_BELOW = 760;

/** Stations that every instance passes through: drawn as one pill across all tracks. */
const isPill = (hop) => hop === "api" || hop === "service";

/**
 * `plan` says what must fit: { line, tracks, chosen, turn, stops, notes }: the stations, the number of instance tracks
 * (1 to 3), the index of the one taken, where the request turned and the hops the answer passed on its way home;
 * `notes` is how many lines more than usual stand under HTTP.
 */
export const layoutOf = (width, short, plan) =>
  width >= NARROW_BELOW ? across(width, short, plan) : upright(width, plan);

// Where stations stand across the page, by how many there are.
const FRACTIONS = { 8: [0, 0.124, 0.233, 0.342, 0.457, 0.655, 0.815, 1], 6: [0, 0.15, 0.29, 0.43, 0.58, 1] };
const BEND = 28;
const TIGHT_BEND = 14;
const RING = 17;
const REACH = 48;
const REACH_MIN = 8;
// Half of the widest words under a station, and the line's own half.
const WORDS_HALF = 51;

/** Track positions symmetric about the trunk. */
const spread = (count, centre, gap) => Array.from({ length: count }, (_, k) => centre + (k - (count - 1) / 2) * gap);

function across(width, short, plan) {
  const left = 46;
  const right = width - 108;
  const trunk = short ? 134 : 148;
  const tracks = spread(plan.tracks, trunk, short ? 42 : 46);
  const home = short ? 278 : 304;
  const bottom = tracks.at(-1);
  const stations = {};
  const { hops } = plan.line;
  hops.forEach((hop, index) => {
    const pill = isPill(hop);
    const x = left + FRACTIONS[hops.length][index] * (right - left);
    // Beside the balancer the tracks fan out: the way home goes down close to it, and its words step aside.
    const turnsHere = hop === "balancer" && hop === plan.turn && plan.stops.length > 0;
    stations[hop] = {
      x,
      y: pill ? tracks[plan.chosen] : trunk,
      pill,
      labelX: hop === "client" ? x + 13 : turnsHere ? x + 12 : x,
      labelY: (pill ? bottom : trunk) + (short ? 36 : 38),
      anchor: hop === "client" ? "start" : turnsHere ? "end" : "middle",
    };
  });
  const { balancer, api, service, data } = stations;
  const slope = (k) => Math.abs(tracks[k] - trunk);
  const first = api ?? service;
  const legs = [(k) => `M${balancer.x} ${trunk}H${balancer.x + 26}L${balancer.x + 26 + slope(k)} ${tracks[k]}H${first.x}`];
  if (data) {
    legs.push((k) => `M${api.x} ${tracks[k]}H${service.x}`);
    legs.push((k) => `M${service.x} ${tracks[k]}H${data.x - 54 - slope(k)}L${data.x - 54} ${trunk}H${data.x}`);
  }
  return {
    wide: true, short, width, height: short ? 318 : 352, stations, tracks, trunk, home, trackOf: whole(legs),
    out: outward((a, b) => `M${stations[a].x} ${trunk}H${stations[b].x}`, plan, legs),
    back: homeward(plan, stations, acrossTurn(stations, plan, home), (x) => `H${x}`, "x",
      `H${stations.client.x + BEND}a${BEND} ${BEND} 0 0 1 ${-BEND} ${-BEND}V${trunk + RING}`, (at) => `M${at} ${home}`),
  };
}

/** How far the line goes on before it bends down: past the station's own words, if the next one's leave the room. */
const reachBefore = (gap) => Math.min(REACH, Math.max(REACH_MIN, gap - WORDS_HALF - TIGHT_BEND));

/** The bend from the last station down to the return line: its path and where it ends. */
function acrossTurn(stations, { turn, line }, home) {
  const { x, y, pill } = stations[turn];
  const down = `V${home - BEND}a${BEND} ${BEND} 0 0 1 ${-BEND} ${BEND}`;
  if (turn === line.last) {
    return { d: `M${x} ${y}H${x + 44}a${BEND} ${BEND} 0 0 1 ${BEND} ${BEND}${down}`, end: x + 44 };
  }
  const reach = pill ? REACH : turn === "balancer" ? REACH_MIN : reachBefore(stations[line.hops[line.place(turn) + 1]].x - x);
  const bend = `a${TIGHT_BEND} ${TIGHT_BEND} 0 0 1 ${TIGHT_BEND} ${TIGHT_BEND}`;
  return { d: `M${x} ${y}H${x + reach}${bend}${down}`, end: x + reach + TIGHT_BEND - BEND };
}

const NOTE_PX = 16;

function upright(width, plan) {
  const trunk = 58;
  const tracks = spread(plan.tracks, trunk, 24);
  const home = 8;
  const { hops, last } = plan.line;
  const balancerAt = 308 + NOTE_PX * plan.notes;
  const afterBalancer = balancerAt + 72 + 20 * plan.tracks;
  const rows = [28, 98, 168, 238, balancerAt, afterBalancer, afterBalancer + 90, afterBalancer + 190];
  const stations = {};
  hops.forEach((hop, index) => {
    const pill = isPill(hop);
    stations[hop] = { x: pill ? tracks[plan.chosen] : trunk, y: rows[index], pill, labelX: 116, labelY: rows[index] - 1, anchor: "start" };
  });
  const { balancer, api, service, data } = stations;
  const slope = (k) => Math.abs(tracks[k] - trunk);
  const first = api ?? service;
  const legs = [(k) => `M${trunk} ${balancer.y}V${balancer.y + 24}L${tracks[k]} ${balancer.y + 24 + slope(k)}V${first.y}`];
  if (data) {
    legs.push((k) => `M${tracks[k]} ${api.y}V${service.y}`);
    legs.push((k) => `M${tracks[k]} ${service.y}V${data.y - 50}L${trunk} ${data.y - 50 + slope(k)}V${data.y}`);
  }
  const up = `a${TIGHT_BEND} ${TIGHT_BEND} 0 0 1 ${-TIGHT_BEND} ${-TIGHT_BEND}`;
  const { x, y } = stations[plan.turn];
  const turn = plan.turn === last
    ? { d: `M${x} ${y}V${y + 18}a${TIGHT_BEND} ${TIGHT_BEND} 0 0 1 ${-TIGHT_BEND} ${TIGHT_BEND}H${home + TIGHT_BEND}${up}`, end: y + 18 }
    : { d: `M${x} ${y}H${home + TIGHT_BEND}${up}`, end: y - TIGHT_BEND };
  return {
    wide: false, short: false, width, height: stations[last].y + 64, stations, tracks, trunk, home, trackOf: whole(legs),
    out: outward((a, b) => `M${trunk} ${stations[a].y}V${stations[b].y}`, plan, legs),
    back: homeward(plan, stations, turn, (at) => `V${at}`, "y",
      `V${stations.client.y + TIGHT_BEND}a${TIGHT_BEND} ${TIGHT_BEND} 0 0 1 ${TIGHT_BEND} ${-TIGHT_BEND}H${trunk - RING}`, (at) => `M${home} ${at}`),
  };
}

/** One instance's track from the balancer on, all its legs. */
const whole = (legs) => (k) => legs.map((leg) => leg(k)).join("");

/** Outward tracks; out[i] leads into station i: the trunk up to the balancer, then the legs of the instance taken. */
function outward(straight, { line: { hops, place }, chosen }, legs) {
  const out = [null];
  for (let index = 1; index <= place("balancer"); index++) out.push(straight(hops[index - 1], hops[index]));
  return [...out, ...legs.map((leg) => leg(chosen))];
}

/** The return line in pieces, one for each stop: the bend, straight stretches, and the way into station 1. */
function homeward(plan, stations, turn, straightTo, axis, intoClient, startAt) {
  let at = turn.end;
  return plan.stops.map((hop, index) => {
    const start = index === 0 ? turn.d : startAt(at);
    if (hop === plan.turn) return { hop, d: start };
    if (hop === "client") return { hop, d: start + intoClient };
    // A stop beside the bend lies before its end: the piece must never run backwards.
    at = Math.min(at, stations[hop][axis]);
    return { hop, d: start + straightTo(at) };
  });
}
