// What the faults do to those who ask: the last minute's figures beside those of before the first fault. Every figure
// is measured; a second without an answer has none.

export const WINDOW_S = 60;
// One second is too few to read a figure from; so many make it steady.
const NOW_S = 5;
const BEFORE_S = 30;
// From here on a figure is told as trouble.
const ERRORS_BAD = 0.005;
const TIMES_BAD = 2;

// What the server offers.
const WINDOWS_S = [60, 300, 900, 3600];

/** The window that reaches back to `since_ms` and to how it was before; the longest when none reaches so far. */
export const windowTo = (since_ms, now_ms) => WINDOWS_S.find((seconds) => seconds * 1000 >= now_ms - since_ms + 1000 * BEFORE_S) ?? WINDOWS_S.at(-1);

/** Points of a series as the server tells it: one a step, which begins at a whole second. `counts`: requests by duration. */
export const pointsOf = ({ series, heat, step_s = 1 }) =>
  series.at_ms.map((at_ms, index) => ({
    at_ms: 1000 * Math.floor(at_ms / 1000), step_s, rate: series.rate[index], errors: series.errors[index], p50_ms: series.p50_ms[index], p99_ms: series.p99_ms[index],
    le_ms: heat.le_ms, counts: heat.counts[index],
  }));

/** The points with the newest put at the end; older than the window makes room. */
export function extended(points, fresh) {
  const first = fresh[0]?.at_ms ?? Infinity;
  const all = [...points.filter(({ at_ms }) => at_ms < first), ...fresh];
  const newest = all.at(-1)?.at_ms ?? 0;
  return all.filter(({ at_ms }) => at_ms > newest - WINDOW_S * 1000);
}

export const hasTraffic = (points) => points.some(({ rate }) => rate > 0);

/** Too few ask just now for a figure to say much. */
export const isSparse = (points) => figuresNow(points).rate < 1;

/**
 * { rate, errors (a share), p50_ms, p99_ms } of all the requests in `points`: a share or a time is null when nothing
 * was answered. Percentiles of the whole can't be had from those of its seconds: they are read off the counts.
 */
function figuresOf(points) {
  const rate = mean(points.map((point) => point.rate));
  const asked = sum(points.map((point) => point.rate));
  return {
    rate,
    errors: asked > 0 ? Math.min(1, sum(points.map((point) => point.errors)) / asked) : null,
    p50_ms: percentile(points, 0.5),
    p99_ms: percentile(points, 0.99),
  };
}

/** Within a bucket of the counts by logarithm, as the buckets themselves are spaced. */
export function percentile(points, share) {
  const total = sum(points.map(({ counts }) => sum(counts)));
  if (total === 0) return null;
  const { le_ms } = points[0];
  let rank = share * total;
  for (const [bucket, high] of le_ms.entries()) {
    const here = sum(points.map(({ counts }) => counts[bucket]));
    if (here > 0 && rank <= here) {
      const low = le_ms[bucket - 1] ?? high / 2;
      return low * (high / low) ** (rank / here);
    }
    rank -= here;
  }
  return le_ms.at(-1);
}

export const figuresNow = (points) => figuresOf(points.slice(-NOW_S));

/** Of the half minute before `since_ms`; null when nothing was asked then. */
export function figuresBefore(points, since_ms) {
  const before = points.filter((point) => point.at_ms + 1000 * point.step_s <= since_ms && point.at_ms > since_ms - 1000 * BEFORE_S);
  return hasTraffic(before) ? figuresOf(before) : null;
}

/**
 * The strip's cells: { title, now, was, bad, ys, max }. `ys` holds null where there is nothing to draw; `max` null
 * lets the figures themselves set the scale.
 */
export function cellsOf(points, before) {
  const now = figuresNow(points);
  const of = (title, say, take, extra = {}) =>
    ({ title, now: say(take(now)), was: before ? say(take(before)) : null, ys: points.map((point) => take(ofSecond(point))), max: null, bad: false, ...extra });
  const slower = (take) => before !== null && take(now) !== null && take(before) !== null && take(now) >= TIMES_BAD * take(before);
  const failing = now.errors !== null && now.errors >= ERRORS_BAD;
  return [
    of("Requests", perSecond, (figures) => figures.rate),
    of("p50", milliseconds, (figures) => figures.p50_ms, { bad: slower((figures) => figures.p50_ms) }),
    of("p99", milliseconds, (figures) => figures.p99_ms, { bad: slower((figures) => figures.p99_ms) }),
    of("Errors", share, (figures) => figures.errors, { bad: failing, max: failing ? null : 0.05 }),
    of("Available", share, (figures) => (figures.errors === null ? null : 1 - figures.errors), { bad: failing, max: 1 }),
  ];
}

/** A second by itself is drawn as the server measured it. */
const ofSecond = ({ rate, errors, p50_ms, p99_ms }) => ({ rate, errors: rate > 0 ? Math.min(1, errors / rate) : null, p50_ms, p99_ms });

/** What the figures are of. */
export const OF_WHAT = `Of the last ${NOW_S} seconds; what it was, of the ${BEFORE_S} seconds before the first fault. p50 and p99 are read off counted buckets, so about right.`;

const THIN = "\u202f";
const NONE = "—";
const perSecond = (value) => `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)}${THIN}/s`;
const milliseconds = (value) => (value === null ? NONE : `${value < 10 ? value.toFixed(1) : Math.round(value)}${THIN}ms`);
/** Never rounded to a hundred, or to nought, that it is not. */
const share = (value) => {
  if (value === null) return NONE;
  const percent = 100 * value;
  const text = percent === 0 || percent === 100 ? String(percent) : percent > 99.9 ? ">99.9" : percent < 0.1 ? "<0.1" : percent.toFixed(1);
  return `${text}${THIN}%`;
};

/** What stands between the kitchen and its supplier: the worst breaker of all instances. */
export function supplierOf(buyers) {
  const order = ["forced_open", "open", "half_open", "closed", "disabled"];
  const worst = buyers.map(({ breaker }) => breaker).filter(Boolean).sort((a, b) => order.indexOf(a) - order.indexOf(b))[0];
  return worst ?? null;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const mean = (numbers) => (numbers.length > 0 ? sum(numbers) / numbers.length : 0);
