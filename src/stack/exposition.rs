//! A stack's metrics as text: what was counted with the requests, and what its modules say of themselves now.
//!
//! Names follow OpenTelemetry's conventions where they have one, as Prometheus writes them; what is ours begins with
//! `roundtrip_`.

mod resources;

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;

use super::Stack;
use super::reading::Reading;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::ids::TraceId;
use crate::observe::metrics::exposition::{Exposition, Format};
use crate::observe::metrics::{DNS_CODES, Metrics};
use crate::settings::fault::{Fault, ROWS};

impl Stack {
    /// All metrics, now.
    pub fn exposition(&self, format: Format) -> String {
        let kept: HashSet<TraceId> = self.recorder.kept_ids();
        let mut text = Exposition::new(format, &kept);
        let reading = Reading::of(self);
        requests(&mut text, self.recorder.metrics());
        upstreams(&mut text, &reading);
        faults(&mut text, &reading);
        resources::write(&mut text, self, &reading);
        text.finish()
    }
}

/// Rate, errors and durations.
fn requests(text: &mut Exposition<'_>, metrics: &Metrics) {
    let mut family = text.histogram(
        "http_server_request_duration_seconds",
        "Requests that the edge answered, to the answer's last byte (of a stream: its head), by method, route, status and, \
         where one failed, why.",
    );
    for (key, route, durations) in metrics.requests() {
        let (counts, status) = (durations.counts(), key.status.to_string());
        // A series is there from its first request on.
        if counts.total() > 0 {
            let error_type = key.failure.map(|failure| failure.error_type(key.status));
            let mut labels = vec![
                ("http_request_method", key.method()),
                ("http_route", route),
                ("http_response_status_code", status.as_str()),
            ];
            labels.extend(error_type.as_deref().map(|why| ("error_type", why)));
            family.durations(&labels, &counts);
        }
    }
    let (received, sent) = metrics.bytes();
    text.counter("roundtrip_http_request_body_bytes", "Bytes of request bodies that the edge read.")
        .count(&[], received);
    text.counter("roundtrip_http_response_body_bytes", "Bytes of response bodies that the edge sent.").count(&[], sent);
    let mut family = text.histogram(
        "roundtrip_hop_duration_seconds",
        "What a request spends at a hop itself, without what others do for it meanwhile.",
    );
    for hop in Hop::ALL {
        family.durations(&[("hop", hop.id())], &metrics.hop(hop).durations.counts());
    }
    let mut family = text.counter("roundtrip_hop_errors", "Requests for which something failed at a hop.");
    for hop in Hop::ALL {
        family.count(&[("hop", hop.id())], metrics.hop(hop).errors.load(Relaxed));
    }
    let (handshakes, failed) = metrics.handshakes();
    let mut family = text
        .histogram("tls_handshake_duration_seconds", "TLS handshakes at the edge, with the client's part of the time.");
    for (resumed, durations) in ["false", "true"].into_iter().zip(handshakes) {
        family.durations(&[("tls_resumed", resumed)], &durations.counts());
    }
    text.counter("tls_handshake_failures", "TLS handshakes that came to nothing or took too long.").count(&[], failed);
    let mut family = text.counter("dns_server_answers", "Answers of the DNS server, by response code.");
    for (code, count) in DNS_CODES.into_iter().zip(metrics.dns_answers()) {
        family.count(&[("dns_response_code", code)], count);
    }
}

/// What the balancer asked of each upstream.
fn upstreams(text: &mut Exposition<'_>, reading: &Reading) {
    let all: Vec<_> =
        reading.pools.iter().flat_map(|pool| pool.upstreams.iter().map(move |upstream| (pool, upstream))).collect();
    let mut family = text.histogram(
        "http_client_request_duration_seconds",
        "Attempts at an upstream, until the head of its answer came or it was known that none comes.",
    );
    for (pool, one) in &all {
        let view = &one.upstream;
        let labels = [("pool", pool.name.as_str()), ("upstream", &view.id), ("server_address", &view.target)];
        family.durations(&labels, &one.durations);
    }
    type Value = fn(&super::reading::Pool, &crate::balancer::figures::Figures) -> f64;
    let mut gauge = |name, help, value: Value| {
        let mut family = text.gauge(name, help);
        for (pool, one) in &all {
            family.sample(&[("pool", pool.name.as_str()), ("upstream", &one.upstream.id)], value(pool, one));
        }
    };
    gauge("roundtrip_upstream_in_flight", "Requests under way at an upstream.", |_, one| one.upstream.in_flight as f64);
    gauge("roundtrip_upstream_in_flight_max", "Requests that an upstream may have under way.", |pool, _| {
        pool.concurrency as f64
    });
    gauge("roundtrip_upstream_weight", "An upstream's share beside the others; 0 gets no request.", |_, one| {
        one.upstream.weight.into()
    });
    gauge("roundtrip_upstream_healthy", "Whether an upstream is healthy and takes requests.", |_, one| {
        f64::from(u8::from(one.upstream.state == crate::policy::health::State::Healthy))
    });
    gauge("roundtrip_upstream_breaker_open", "Whether the circuit breaker before an upstream is open.", |_, one| {
        let open = [crate::policy::breaker::State::Open, crate::policy::breaker::State::ForcedOpen];
        f64::from(u8::from(open.contains(&one.upstream.breaker)))
    });
    let mut family = text.counter(
        "roundtrip_upstream_failures",
        "Attempts at an upstream that brought no answer, or one of 500 and above.",
    );
    for (pool, one) in &all {
        family.count(&[("pool", pool.name.as_str()), ("upstream", &one.upstream.id)], one.failed);
    }
    let mut family = text.gauge("roundtrip_balancer_queue_length", "Requests that wait for a place at an upstream.");
    for pool in &reading.pools {
        family.count(&[("pool", &pool.name)], pool.waiting);
    }
    let mut family = text.gauge("roundtrip_balancer_queue_length_max", "Requests that may wait for a place.");
    for pool in &reading.pools {
        family.count(&[("pool", &pool.name)], pool.waiting_max);
    }
}

fn faults(text: &mut Exposition<'_>, reading: &Reading) {
    let mut family = text.gauge("roundtrip_fault_active", "Whether a fault is on.");
    let now = Tick::now();
    let is_on = |fault: Fault| reading.settings.faults.get(fault).is_some_and(|spec| now < spec.until);
    for row in ROWS {
        if let crate::settings::row::Field::Fault(kind) = &row.field {
            family.count(&[("fault", row.key)], is_on(kind.fault).into());
        }
    }
}
