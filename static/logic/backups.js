// What is said of a backup. No DOM, no clock of its own.

const REASONS = {
  hourly: "By the clock",
  manual: "Asked for",
  safety: "Kept before a restore",
  damaged: "Damaged data, kept before a restore",
};

export const reasonOf = (reason) => REASONS[reason] ?? reason;

/** "just now", "5 min ago", "3 h ago", "4 days ago". */
export function ageOf(iso, now) {
  const minutes = Math.floor((now - new Date(iso).getTime()) / 60_000);
  if (!(minutes >= 1)) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 1440)} days ago`;
}

/** What is known of a backup's soundness. */
export function checkedOf(verdict, now) {
  if (!verdict) return { say: "Not verified", bad: false };
  if (verdict.ok) return { say: `Verified ${ageOf(verdict.at, now)}: every rule holds`, bad: false };
  return { say: `Not sound: ${verdict.wrong[0] ?? "it can’t be restored"}`, bad: true };
}
