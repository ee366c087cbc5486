// What the dot does: which track it takes to reach the next piece of work, and how long it stays there.

/**
 * Moves in time order: { hop, returning, start_us, duration_us, path }. A path step is { track, index }:
 * "out" rides the outward track into station `index`, "undo" rides it the other way, "back" rides piece
 * `index` of the return line. The map shows order, so the return line leaves from the last hop reached.
 */
export function movesOf(pieces, turn, line) {
  const moves = [];
  const turnPlace = line.place(turn);
  const lastOut = pieces.findLastIndex((piece) => piece.hop === turn && piece.direction !== "back");
  const lastPlaced = pieces.findLastIndex((piece) => !piece.between);
  const state = { place: 0, stop: -1 };
  let returning = false;
  pieces.forEach((piece, index) => {
    const last = moves.at(-1);
    const place = line.place(piece.hop);
    // Time between the root's steps belongs to no place on the line, unless the trip ends with it.
    const nowhere = piece.unaccounted || (piece.between && index < lastPlaced);
    // The recipe still shapes its answer after the storeroom's: that is work on the way out.
    const homeward = piece.direction === "back" || (place < turnPlace && piece.hop !== "service");
    returning ||= index > lastOut && homeward && !nowhere;
    const wrongWay = returning && last?.returning && place > line.place(last.hop);
    if (last && (nowhere || wrongWay || (last.hop === piece.hop && last.returning === returning))) {
      last.duration_us += piece.duration_us;
      return;
    }
    const { hop, start_us, duration_us } = piece;
    moves.push({ hop, returning, start_us, duration_us, path: pathTo(state, place, returning, turnPlace) });
  });
  return moves;
}

function pathTo(state, place, returning, turnPlace) {
  const path = [];
  const goal = returning ? turnPlace : place;
  if (!returning || state.stop < 0) {
    while (state.place < goal) path.push({ track: "out", index: ++state.place });
    while (state.place > goal) path.push({ track: "undo", index: state.place-- });
  }
  if (returning) path.push({ track: "back", index: ++state.stop });
  return path;
}

/** Hops along the return line, ending at home: each names the piece of line that leads to it. */
export function stopsOf(moves, turn) {
  if (turn === "client") return [];
  const stops = moves.filter((move) => move.returning).map((move) => move.hop);
  return stops.at(-1) === "client" ? stops : [...stops, "client"];
}

/** The move under way at a moment; the last one when all are done. */
export function moveAt(moves, at_us) {
  const index = moves.findIndex((move) => at_us < move.start_us + move.duration_us);
  return index < 0 ? moves.length - 1 : index;
}
