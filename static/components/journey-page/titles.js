// The sentence above the line, in each mood of the page. A sentence that offers something ends in a button.

import { h } from "../../lib/dom.js";
import { us, withUs } from "../../lib/format.js";
import { triangle } from "../../lib/glyphs.js";
import { WHOLE_LINE } from "../../lib/layers.js";
import { firstHeadline } from "../../logic/headline.js";
import { answerOf, slowestHop } from "../../logic/trip.js";

const asked = ({ method, path }) => h("span", { class: "mono" }, `${method} ${path}`);
const aside = (words) => h("span", { class: "aside" }, words);
const offer = (title, act) => h("button", { class: "btn tiny", type: "button", onclick: act }, title);

/** `struck` are the faults that struck it: [{ hop, title }]. */
export function drawTitle(title, journey, was_us, struck) {
  title.replaceChildren(asked(journey), aside(journey.status ? " there and back in " : " got no answer after "), withUs(journey.total_us),
    ...(was_us === null ? [] : [aside(`, was ${us(was_us)}`)]),
    ...(struck.length === 0 ? [] : [aside(". "), h("span", { class: "struck" }, triangle(12), `Broken on purpose: ${struck.map(named).join("; ")}.`)]));
}

const named = ({ hop, title }) => (hop === null ? title : `${WHOLE_LINE.of(hop).name}, ${title}`);

export const drawUnderWayTitle = (title, journey) => title.replaceChildren(asked(journey), aside(" on its way"));

export const drawFirstTitle = (title, trip, again) =>
  title.replaceChildren(`${firstHeadline(trip)} `, offer("Keep the connection open and send again", again));

export const drawEmptyTitle = (title, send) =>
  title.replaceChildren("Nothing has been sent yet. ", offer("Send the first request", send));

export const drawLostTitle = (title, send) =>
  title.replaceChildren("Only the latest journeys are kept, and this one has made room. ", offer("Send a new request", send));

/** Said when a journey has arrived, to those who do not see the dot come home. */
export const arrival = ({ journey, line }) =>
  `${answerOf(journey)} in ${us(journey.total_us)} microseconds. Slowest station: ${line.of(slowestHop(journey)).name}.${journey.faults?.length > 0 ? " Broken on purpose." : ""}`;
