// Where the sign-in page's line runs. Pure: sizes in pixels in, paths and points out.

/** Below this width there is no room for the line to go round the form; it becomes a strip above it. */
export const HAIRPIN_WIDTH_MIN = 1000;

/** Space between the form's edge and the line around it. */
const CLEAR_X = 48;
const CLEAR_Y = 26;
/** Space for the turn at the far end, with the label of station 8. */
const TURN_WIDTH = 150;
const RADIUS_MAX = 64;

/**
 * Out along the top through `count` stations, round the end and back along the bottom, with the form
 * inside the first bend: `{stations: [{x, y}], back: path, arrows: [{x, y}]}`.
 */
export function hairpin({ width, height, form, count }) {
  const left = form.left - CLEAR_X;
  const right = width - TURN_WIDTH;
  const top = form.top - CLEAR_Y;
  const bottom = Math.min(height - 24, form.bottom + CLEAR_Y);
  const radius = Math.min(RADIUS_MAX, (bottom - top) / 2);
  // The first stretch is as long as the form is wide, the others share what is left.
  const start = Math.max(form.right - 40, width * 0.44);
  const step = (right - start) / (count - 1);
  const stations = Array.from({ length: count }, (_, index) => ({
    x: index === 0 ? left : start + step * index,
    y: top,
  }));
  const turn = `a${radius} ${radius} 0 0 1`;
  const back =
    `M${right} ${top}h30${turn} ${radius} ${radius}V${bottom - radius}${turn} ${-radius} ${radius}` +
    `H${left + radius}${turn} ${-radius} ${-radius}V${top + 24}`;
  const arrows = [0.28, 0.62].map((share) => ({ x: width * share, y: bottom }));
  return { stations, back, arrows };
}

/** The stations in a row across a narrow screen. */
export function strip({ width, count }) {
  const [first, last, y] = [30, width - 30, 34];
  return Array.from({ length: count }, (_, index) => ({ x: first + ((last - first) * index) / (count - 1), y }));
}
