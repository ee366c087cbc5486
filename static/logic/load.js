// How a load goes, or went, in words: only what was measured.

import { count, whole } from "../lib/format.js";
import { ms } from "./live.js";

/** `figures` of GET /api/load. */
export function loadSays({ sent, answered, errors, not_sent, unfinished, throughput, latency_ms, lag_ms }, running) {
  const lost = Object.values(errors).reduce((sum, kind) => sum + kind, 0);
  const parts = [
    `${running ? "Sending" : "Sent"}: ${count(sent, "request")}, ${whole(answered)} answered`,
    lost > 0 && `${whole(lost)} without an answer`,
    unfinished > 0 && `${whole(unfinished)} cut off at the end`,
    not_sent > 0 && `${whole(not_sent)} never sent`,
    throughput > 0 && `${throughput < 10 ? throughput.toFixed(1) : whole(throughput)} answers a second`,
    latency_ms.p50 !== null && `half within ${ms(latency_ms.p50)} ms, 99 in 100 within ${ms(latency_ms.p99)} ms, counted from when each was due`,
    lag_ms.p99 !== null && `99 in 100 sent at most ${ms(lag_ms.p99)} ms late`,
  ];
  return `${parts.filter(Boolean).join("; ")}.`;
}
