#!/usr/bin/env bash
# The proxy hop against nginx and HAProxy: the same upstream, the same load, in turn, in short slices.
#
#   tests/bench/proxy.sh [PROGRAM...]     default: target/release/roundtrip; several are compared
#
# The steady figure is CPU time per request of a proxy's own processes (user + system). Ratios are taken
# slice against slice of the same round, so that what else the machine does meets all of them alike.
# ROUNDS, SLICE (seconds), CONNECTIONS and SCHEMES may be set in the environment.
set -euo pipefail

rounds=${ROUNDS:-5} slice=${SLICE:-2} connections=${CONNECTIONS:-16 48} schemes=${SCHEMES:-http https}
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- "$here/../../target/release/roundtrip"
for tool in nginx haproxy wrk openssl "$@"; do
    command -v "$tool" >/dev/null || { echo "proxy.sh needs $tool" >&2; exit 1; }
done

work=$(mktemp -d)
started=()
stop() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap stop EXIT

# Ports that nobody has now, below those that the kernel gives out by itself.
port=$((20000 + RANDOM % 8000))
free_port() {
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    free=$port port=$((port + 1))
}
until_open() {
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "nothing listens on $1; see what it said:" >&2
    cat "$work"/*.log >&2
    exit 1
}

free_port; upstream=$free
free_port; nginx_http=$free
free_port; nginx_https=$free
free_port; haproxy_http=$free
free_port; haproxy_https=$free
cores=$(nproc)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/openssl.log"
cat "$work/cert.pem" "$work/key.pem" >"$work/both.pem"
# 1,000 bytes of text, and nobody may keep them: every request goes all the way.
text=$(printf 'All work and no play makes a dull boy, and so does a cup of tea. %.0s' $(seq 16) | cut -c 1-1000)

common="worker_rlimit_nofile 65536; daemon off; error_log stderr; events { worker_connections 4096; }"
http="access_log off; client_body_temp_path $work/body; proxy_temp_path $work/proxy; fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi; scgi_temp_path $work/scgi; keepalive_requests 100000000; default_type text/plain;"
cat >"$work/upstream.conf" <<CONF
$common pid $work/upstream.pid; worker_processes 1;
http { $http server { listen 127.0.0.1:$upstream;
    location / { add_header Cache-Control no-store; return 200 "$text"; } } }
CONF
cat >"$work/nginx.conf" <<CONF
$common pid $work/nginx.pid; worker_processes $cores;
http { $http
    upstream one { server 127.0.0.1:$upstream; keepalive 64; keepalive_requests 100000000; }
    server {
        listen 127.0.0.1:$nginx_http; listen 127.0.0.1:$nginx_https ssl;
        ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem; ssl_protocols TLSv1.3;
        location / {
            proxy_pass http://one; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host \$host;
            proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto \$scheme;
        } } }
CONF
cat >"$work/haproxy.conf" <<CONF
global
    nbthread $cores
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
    option forwardfor
frontend front
    bind 127.0.0.1:$haproxy_http
    bind 127.0.0.1:$haproxy_https ssl crt $work/both.pem
    default_backend one
backend one
    server one 127.0.0.1:$upstream
CONF
cat >"$work/figures.lua" <<'LUA'
done = function(summary, latency)
    local failed = {}
    for kind, count in pairs(summary.errors) do
        if count > 0 then failed[#failed + 1] = kind .. ":" .. count end
    end
    local failures = #failed > 0 and table.concat(failed, ",") or "none"
    io.write(string.format("FIGURES %d %s %d %d\n", summary.requests, failures, latency:percentile(50), latency:percentile(99)))
end
LUA

declare -A pid_of port_of
begin() { # name, http port, https port, command...
    local name=$1
    port_of[$name.http]=$2 port_of[$name.https]=$3
    shift 3
    "$@" >"$work/$name.log" 2>&1 &
    pid_of[$name]=$!
    started+=($!)
}
begin upstream "$upstream" "$upstream" nginx -c "$work/upstream.conf"
begin nginx "$nginx_http" "$nginx_https" nginx -c "$work/nginx.conf"
begin haproxy "$haproxy_http" "$haproxy_https" haproxy -db -f "$work/haproxy.conf"
proxies=(nginx haproxy)
for program in "$@"; do
    free_port; plain=$free
    free_port; tls=$free
    name=$(basename "$program")
    while [ -n "${pid_of[$name]:-}" ]; do name=$name+; done
    begin "$name" "$plain" "$tls" "$program" serve --upstream "http://127.0.0.1:$upstream" --app-http-port "$plain" \
        --app-port "$tls" --console-port 0 --http-port 0 --dns-port 0 --data-dir "$work/$name" --json
    proxies+=("$name")
done
for name in "${proxies[@]}"; do
    until_open "${port_of[$name.http]}"
    until_open "${port_of[$name.https]}"
done

# Clock ticks of CPU time that a process and its children have had.
ticks() {
    local sum=0 pid fields
    for pid in "$1" $(cat /proc/"$1"/task/*/children); do
        fields=$(sed 's/.*) //' "/proc/$pid/stat")
        set -- $fields
        sum=$((sum + ${12} + ${13}))
    done
    echo "$sum"
}
load() { # name, scheme, connections, seconds
    # The connections of the slice before are gone by then: Roundtrip takes 64 of one address at a time, so that
    # more than 48 meet its limit now and then.
    sleep 0.3
    wrk -t 2 -c "$3" -d "$4s" -s "$work/figures.lua" "$2://127.0.0.1:${port_of[$1.$2]}/" |
        sed -n 's/^FIGURES //p'
}

hertz=$(getconf CLK_TCK)
for scheme in $schemes; do
    for count in $connections; do
        for name in "${proxies[@]}"; do load "$name" "$scheme" "$count" 1 >/dev/null; done
        for round in $(seq "$rounds"); do
            for name in "${proxies[@]}"; do
                before=$(ticks "${pid_of[$name]}")
                figures=$(load "$name" "$scheme" "$count" "$slice")
                after=$(ticks "${pid_of[$name]}")
                failures=$(cut -d ' ' -f 2 <<<"$figures")
                [ "$failures" = none ] || { echo "$name failed requests ($scheme, $count connections): $failures" >&2; exit 1; }
                echo "$scheme $count $name $round $((after - before)) $figures" >>"$work/results"
            done
        done
    done
done

echo "1,000-byte answers over kept connections, $cores cores, $rounds rounds of $slice s each: median (least to most)."
echo "Roundtrip also traces, balances with health and breaker, looks into its cache and tells Server-Timing."
awk -v hertz="$hertz" '
    function sorted(list, count,    i, j, held) {
        for (i = 2; i <= count; i++) {
            held = list[i]
            for (j = i - 1; j > 0 && list[j] > held; j--) list[j + 1] = list[j]
            list[j + 1] = held
        }
        return list[int((count + 1) / 2)]
    }
    function middle(of, what,    i, list, count) {
        for (i = 1; i <= rounds; i++) list[++count] = value[of, i, what]
        median = sorted(list, count); least = list[1]; most = list[count]
        return median
    }
    {
        of = $1 " " $2 " " $3
        if (!(of in seen)) { order[++rows] = of; seen[of] }
        if ($4 > rounds) rounds = $4
        value[of, $4, "requests"] = $6; value[of, $4, "cpu"] = $6 ? $5 * 1e6 / hertz / $6 : 0
        value[of, $4, "p50"] = $8; value[of, $4, "p99"] = $9
        rival = $1 " " $2 " nginx"
        value[of, $4, "ratio"] = value[of, $4, "cpu"] ? value[rival, $4, "cpu"] / value[of, $4, "cpu"] : 0
    }
    END {
        format = "%-6s%5s  %-18s%10s  %-24s%9s%9s  %s\n"
        printf format, "", "conn.", "proxy", "requests", "CPU us/request", "p50 us", "p99 us", "requests per CPU second, nginx = 1"
        for (row = 1; row <= rows; row++) {
            of = order[row]; split(of, part, " ")
            middle(of, "cpu"); cpu = sprintf("%.1f (%.1f to %.1f)", median, least, most)
            middle(of, "ratio"); ratio = sprintf("%.2f (%.2f to %.2f)", median, least, most)
            printf format, part[1], part[2], part[3], middle(of, "requests"), cpu, middle(of, "p50"), middle(of, "p99"), ratio
        }
    }' "$work/results"
