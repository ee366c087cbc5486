// A station: ring or pill, number, name, time, share and the teacher's word for it.

import { svg } from "../../lib/dom.js";
import { percent, us } from "../../lib/format.js";
import { partOf } from "../../logic/trip.js";
import { slowAt, span, text } from "./marks.js";

// Below this width the first station's share would run into the second station's name.
const ROOM_FOR_FIRST_SHARE_PX = 1340;

/** `trip` is null on the empty line; then there are names and no figures. */
export function drawStation(layout, layer, { trip, selected, choose }) {
  const { id: hop, name, number, role } = layer;
  const part = trip ? partOf(trip, hop) : "";
  const pass = part === "ran" ? "" : "pass";
  const station = svg("g", {
    class: `stn ${pass}`, "data-layer": hop, role: "button", tabindex: selected ? 0 : -1,
    "aria-pressed": String(selected), "aria-label": `${number}, ${name}, ${role}${spoken(trip, hop, part)}`, onclick: choose,
  }, hitArea(layout, hop), shape(layout, hop));
  const { x, y } = layout.stations[hop];
  const label = svg("g", { class: `lab ${pass}`, "data-layer": hop, "aria-hidden": "true" },
    isStruck(trip, hop) && slowAt(x + 14, y - 14),
    text(x, y + 4.7, String(number).length > 1 ? "num several" : "num", null, String(number)),
    layout.wide ? wordsAcross(layout, layer, trip, part) : wordsUpright(layout, layer, trip, part));
  return [station, label];
}

function spoken(trip, hop, part) {
  if (!trip) return "";
  if (part !== "ran") return `: ${part}`;
  const { us: time_us } = trip.journey.hops[hop];
  return `: ${us(time_us)} microseconds, ${percent(time_us, trip.total_us)}${isStruck(trip, hop) ? ", broken on purpose" : ""}`;
}

const isStruck = (trip, hop) => trip?.journey.spans.some((each) => each.hop === hop && each.fault) ?? false;

function timeParts(trip, hop, part, withShare) {
  if (!trip) return [];
  if (part !== "ran") return [span("st-share", part)];
  const { us: time_us } = trip.journey.hops[hop];
  const figure = svg("tspan", { "data-time": hop }, us(time_us));
  const share = withShare && svg("tspan", { class: "st-share after", dx: 3 }, ` ${percent(time_us, trip.total_us)}`);
  return [figure, "\u202fµs", share];
}

function wordsAcross({ stations, width }, { id: hop, name, role }, trip, part) {
  const { labelX, labelY, anchor } = stations[hop];
  const withShare = hop !== "client" || width >= ROOM_FOR_FIRST_SHARE_PX;
  return [
    text(labelX, labelY, "st-name halo", anchor, name),
    text(labelX, labelY + 18, "st-time halo", anchor, ...timeParts(trip, hop, part, withShare)),
    text(labelX, labelY + 37, "st-role halo", anchor, role),
  ];
}

function wordsUpright({ stations, width }, { id: hop, name, role }, trip, part) {
  const { labelX, labelY } = stations[hop];
  return [
    text(labelX, labelY, "st-name", "start", name),
    text(width - 2, labelY, "st-time", "end", ...timeParts(trip, hop, part, true)),
    text(labelX, labelY + 18, "st-role", "start", role),
  ];
}

/** What a pill spans across the tracks. */
function extent({ stations, tracks, wide }, hop) {
  const { x, y, pill } = stations[hop];
  if (!pill) return { x: x - 15, y: y - 15, width: 30, height: 30 };
  const length = tracks.at(-1) - tracks[0] + 32;
  return wide ? { x: x - 15, y: tracks[0] - 16, width: 30, height: length } : { x: tracks[0] - 16, y: y - 15, width: length, height: 30 };
}

function shape(layout, hop) {
  const box = extent(layout, hop);
  const { x, y, pill } = layout.stations[hop];
  const others = pill ? layout.tracks.filter((at) => at !== (layout.wide ? y : x)) : [];
  return [
    svg("rect", { class: "sel", x: box.x - 7, y: box.y - 7, width: box.width + 14, height: box.height + 14, rx: 22 }),
    svg("rect", { class: "ring", ...box, rx: 15 }),
    others.map((at) => svg("circle", { class: "stop", cx: layout.wide ? x : at, cy: layout.wide ? at : y, r: 3.5 })),
  ];
}

/** Larger than the drawing: a fingertip's worth, with the words under it. */
function hitArea({ stations, tracks, wide, width }, hop) {
  const { x, y, pill } = stations[hop];
  if (!wide) return svg("rect", { class: "hit", x: 0, y: y - 26, width: width - 10, height: 52 });
  const top = pill ? tracks[0] - 20 : y - 20;
  return svg("rect", { class: "hit", x: x - 44, y: top, width: 88, height: pill ? tracks.at(-1) - tracks[0] + 108 : 100 });
}
