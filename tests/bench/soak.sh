#!/usr/bin/env bash
# A server under load while faults come and go by chance: memory and file descriptors stay flat, nothing is lost.
#
#   tests/bench/soak.sh [PROGRAM]     default: target/release/roundtrip
#
# MINUTES (30), RATE (200 requests a second) and SEED may be set in the environment. Prints a line a minute: resident
# memory, descriptors, threads, the faults that were on; then ends all faults, waits for the load, verifies the data and
# compares the last figures with those of the third minute, when caches and pools have filled.
set -euo pipefail

minutes=${MINUTES:-30} rate=${RATE:-200}
RANDOM=${SEED:-7}
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:-$here/../../target/release/roundtrip}")
work=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap stop EXIT

export ROUNDTRIP_DATA_DIR=$work/data
"$program" serve --json --console-port 0 --app-port 0 --http-port 0 --dns-port 0 >"$work/run.json" 2>"$work/server.log" &
server=$!
for _ in $(seq 100); do [ -s "$work/run.json" ] && break; sleep 0.1; done
[ -s "$work/run.json" ] || { cat "$work/server.log" >&2; exit 1; }

# Every fault there is: its key alone, its row's default strength.
mapfile -t faults < <("$program" settings list --json --faults | grep -o '"key":"fault\.[a-z_.]*"' | cut -d'"' -f4)
[ "${#faults[@]}" -gt 40 ] || { echo "only ${#faults[@]} faults are listed" >&2; exit 1; }

resident() { awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/$server/status"; }
descriptors() { ls "/proc/$server/fd" | wc -l; }
threads() { awk '/^Threads/ {print $2}' "/proc/$server/status"; }
on() { "$program" settings list --json --faults | grep -o '"left_s"' | wc -l; }

"$program" load / --mix "$here/../../data/load/mixed.toml" --rate "$rate" --duration "${minutes}m" --format json >"$work/load.json" 2>"$work/load.log" &
load=$!

printf '%6s %10s %12s %8s %10s\n' minute 'RSS MiB' descriptors threads 'faults on'
begun=$SECONDS early_rss=0 early_fds=0
for minute in $(seq "$minutes"); do
    while [ $((SECONDS - begun)) -lt $((minute * 60)) ]; do
        kill -0 "$server" || { echo "the server has died:" >&2; tail -5 "$work/server.log" >&2; exit 1; }
        fault=${faults[RANDOM % ${#faults[@]}]}
        "$program" settings set "$fault=on,for=$((5 + RANDOM % 40))" >/dev/null || echo "refused: $fault" >&2
        sleep 3
        if [ $((RANDOM % 12)) = 0 ]; then "$program" restore >/dev/null; fi
    done
    printf '%6s %10s %12s %8s %10s\n' "$minute" "$(resident)" "$(descriptors)" "$(threads)" "$(on)"
    if [ "$minute" = 3 ]; then early_rss=$(resident) early_fds=$(descriptors); fi
done
"$program" restore >/dev/null
wait "$load" || { echo "the load failed:" >&2; tail -5 "$work/load.log" >&2; exit 1; }
sleep 10
echo "after all faults ended: $(resident) MiB (minute 3: $early_rss), $(descriptors) descriptors (minute 3: $early_fds), $(threads) threads"
cat "$work/load.json"
kill -TERM "$server"
wait "$server" || { echo "the server did not end in order" >&2; exit 1; }
server=
"$program" data verify --json
