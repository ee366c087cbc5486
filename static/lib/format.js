// Figures and times as the console writes them. Thin spaces, never commas; no rounding that hides a cost.

const THIN = "\u202f";

/** 12345 → "12 345", with narrow no-break spaces. */
export const whole = (number) => Math.round(number).toString().replace(/\B(?=(\d{3})+(?!\d))/g, THIN);

/** Microseconds without the unit: tenths below 10, where a tenth still says something. */
export function us(value) {
  if (value === 0) return "0";
  if (value > 0 && value < 0.05) return "<0.1";
  return Math.abs(value) < 9.95 ? value.toFixed(1) : whole(value);
}

export const withUs = (value) => `${us(value)}${THIN}µs`;

/** For one headline figure only; within a trace the unit is always µs. */
export function inMilliseconds(value_us) {
  const ms = value_us / 1000;
  return `${ms < 10 ? ms.toFixed(1) : whole(ms)}${THIN}ms`;
}

/** A share of a whole, "71 %"; "<1 %" rather than a false nought. */
export function percent(part, total) {
  const share = total > 0 ? (100 * part) / total : 0;
  return `${share > 0 && share < 1 ? "<1" : Math.round(share)}${THIN}%`;
}

export const count = (number, one, many = `${one}s`) => `${whole(number)} ${number === 1 ? one : many}`;

/** Memory: "1.5 MiB". Below a tenth it says so, rather than nought. */
export function mebibytes(value) {
  const mib = value / 1024 ** 2;
  const text = value > 0 && mib < 0.05 ? "<0.1" : mib > 0 && mib < 10 ? mib.toFixed(1) : whole(mib);
  return `${text}${THIN}MiB`;
}

export const bytes = (number) => count(number, "byte");

/** Wall clock to the millisecond, in the reader's time zone: "14:02:11.318". */
export function clockTime(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const two = (value) => String(value).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

export function day(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}
