//! `cargo bench --bench overhead`: what it costs a request to be traced and counted, in one interleaved run.
//!
//! Measured is the code that every request runs through: the spans of the edge and of an instance, the counters and
//! histograms, the access log, and the recorder that joins both parts. Once on one thread, and once while another does
//! the same, since threads meet at the recorder's and the log's locks. Rounds of all variants take turns, so that what
//! else the machine does meets all of them; told is the median of the rounds.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::{SpanId, TraceId};
use roundtrip::observe::log::access::Entry;
use roundtrip::observe::metrics::{Metrics, Served};
use roundtrip::observe::part::{EdgePart, InstancePart, Part};
use roundtrip::observe::recorder::Recorder;
use roundtrip::observe::span::{Context, Trace};
use time::OffsetDateTime;

const ROUNDS: usize = 60;
const REQUESTS: u32 = 2_000;
/// What a request may cost (nanoseconds).
const GOAL_NS: u128 = 3_000;

/// How much of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Variant {
    Nothing,
    Spans,
    Counted,
    Logged,
    Recorded,
}

const VARIANTS: [Variant; 5] = [Variant::Nothing, Variant::Spans, Variant::Counted, Variant::Logged, Variant::Recorded];

/// A read of the menu as it passes the edge and an instance: as many spans as there.
fn request(variant: Variant, recorder: &Recorder) {
    if variant == Variant::Nothing {
        black_box(recorder);
        return;
    }
    let (started, started_at, first) = (Tick::now(), OffsetDateTime::now_utc(), SpanId::random());
    let context = Context { key: first, ..Context::new_root() };
    let edge = Trace::start(context, first, Hop::Http, "Serve the request", started);
    edge.child(Hop::Http, "Check the request").end();
    edge.child(Hop::Http, "Look in the shared cache").end();
    edge.child(Hop::Balancer, "Choose an instance").end();
    let forward = edge.child(Hop::Balancer, "Forward to an instance");
    forward.child(Hop::Balancer, "Take a kept connection").end();

    let beneath = Context { parent: Some(forward.id()), ..context };
    let instance = Trace::start(beneath, SpanId::random(), Hop::Api, "Answer the request", Tick::now());
    instance.child(Hop::Api, "Match the route").end();
    let service = instance.child(Hop::Service, "Read a dish");
    service.child(Hop::Data, "Look in the cache").end();
    service.end();
    instance.child(Hop::Api, "Write the answer").end();
    let instance_spans = instance.trace().finish();
    drop(instance);

    forward.end();
    edge.child(Hop::Http, "Send the answer").end();
    let now = Tick::now();
    let took = now.since(started);
    let counted = (variant >= Variant::Counted).then(|| {
        recorder.metrics().served(&Served {
            method: "GET",
            path: "/api/v1/menu/7",
            route: None,
            status: 200,
            failure: None,
            took,
            request_bytes: 0,
            response_bytes: 180,
        })
    });
    if variant >= Variant::Logged {
        recorder.access().record(now, None, || entry(started_at, took, context.trace_id));
    }
    let spans = edge.trace().finish();
    let instance = Part::Instance(InstancePart { key: first, role: Some("guest"), spans: instance_spans });
    let edge = Part::Edge(EdgePart {
        trace_id: context.trace_id,
        key: first,
        probe: false,
        started_at,
        method: "GET".to_owned(),
        path: "/api/v1/menu/7".to_owned(),
        status: 200,
        failure: None,
        took,
        counted,
        instance_parts: 1,
        your_service: None,
        request_bytes: 0,
        response_bytes: 180,
        spans,
    });
    match variant {
        Variant::Recorded => {
            recorder.submit(instance);
            recorder.submit(edge);
        }
        Variant::Counted | Variant::Logged => {
            recorder.metrics().count(black_box(&instance));
            recorder.metrics().count(black_box(&edge));
        }
        Variant::Nothing | Variant::Spans => {
            black_box((instance, edge));
        }
    }
}

fn entry(started_at: OffsetDateTime, took: Duration, trace_id: TraceId) -> Entry<'static> {
    Entry {
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        started_at,
        method: "GET",
        path: "/api/v1/menu/7",
        version: "2",
        status: 200,
        failure: None,
        bytes: 180,
        took,
        referrer: None,
        user_agent: Some(b"a browser"),
        trace_id,
        upstream: Some("i1"),
        cache: Some("miss"),
    }
}

/// What a request takes by variant, in nanoseconds.
fn measure(recorder: &Recorder) -> [u128; VARIANTS.len()] {
    let mut rounds = VARIANTS.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for (variant, times) in VARIANTS.into_iter().zip(&mut rounds) {
            let began = Instant::now();
            (0..REQUESTS).for_each(|_| request(variant, recorder));
            times.push(began.elapsed() / REQUESTS);
        }
    }
    rounds.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_nanos()
    })
}

fn tell(title: &str, [nothing, spans, counted, logged, recorded]: [u128; VARIANTS.len()]) {
    println!("{title}");
    println!("  two parts with 12 spans in all   {:>6}", spans.saturating_sub(nothing));
    println!("  counting them                    {:>6}", counted.saturating_sub(spans));
    println!("  a line for those that have one   {:>6}", logged.saturating_sub(counted));
    println!("  joining, and keeping one in 64   {:>6}", recorded.saturating_sub(logged));
    println!("  all                              {:>6}   (goal: at most {GOAL_NS})", recorded.saturating_sub(nothing));
}

fn main() {
    let recorder = Recorder::counting(Metrics::new(roundtrip::api::routes::TEMPLATES));
    println!("nanoseconds a request, median of {ROUNDS} interleaved rounds of {REQUESTS} requests");
    tell("one thread", measure(&recorder));
    let over = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                request(Variant::Recorded, &recorder);
            }
        });
        let beside = measure(&recorder);
        over.store(true, Relaxed);
        beside
    });
    tell("beside a second thread that does all of it", beside);
}
