// Several requests sent in one go: their spread, and which of them to look at.

/** Fastest, middle and slowest of the lot, with the place of each on the axis (0 to 1). */
export function spreadOf(summaries) {
  const sorted = [...summaries].sort((a, b) => a.total_us - b.total_us);
  const low_us = sorted[0].total_us;
  const high_us = sorted.at(-1).total_us;
  // Of an even number the earlier of the two in the middle: half are within it, and the server shows it first.
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  const length_us = high_us - low_us || 1;
  return {
    dots: sorted.map((each) => ({ id: each.trace_id, at: (each.total_us - low_us) / length_us })),
    choices: [
      { title: "Fastest", summary: sorted[0] },
      { title: "Middle", summary: middle },
      { title: "Slowest", summary: sorted.at(-1) },
    ],
    middle_us: middle.total_us,
    high_us,
    refused: summaries.filter((each) => !(each.status >= 200 && each.status < 400)).length,
  };
}
