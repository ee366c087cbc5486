//! What is recorded of a request.

use hyper::Response;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::{SpanId, TraceId};
use roundtrip::observe::part::{ClientPart, InstancePart, Part};
use roundtrip::observe::span::{Context, Trace};
use roundtrip::web::probe::{HopClaim, PROBE, Probe, ProbeKey};
use roundtrip::web::traceparent::TraceParent;
use time::OffsetDateTime;

use crate::rig::{Rig, SECRET, Upstream, body, field, probe_key, soon};

#[tokio::test]
async fn one_part_with_the_facts_is_submitted_for_each_request() {
    let upstream = Upstream::start(|_, _| Response::builder().status(404).body(body("nothing")).unwrap()).await;
    let rig = Rig::before(&[upstream.address]).await;
    let mut journeys = rig.recorder.subscribe();
    let request = "POST /a?b=c HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    rig.exchange(request).await;
    let journey = soon(journeys.recv()).await.unwrap();
    let summary = &journey.summary;
    assert_eq!((summary.method.as_str(), summary.path.as_str(), summary.status), ("POST", "/a", 404));
    assert_eq!((journey.request_bytes, journey.response_bytes, journey.complete), (5, 7, true));
    let names: Vec<&str> = journey.spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Serve the request",
            "Check the request",
            "Choose an instance",
            "Forward to an instance",
            "Open a connection",
            "Your service answers",
            "Pass the answer on",
            "Send the answer",
        ]
    );
    let end = |span: &roundtrip::observe::journey::JourneySpan| span.start_us + span.duration_us;
    assert!(journey.spans.iter().all(|span| end(span) <= end(&journey.spans[0]) + 0.11), "{:?}", journey.spans);
    rig.exchange(request).await;
    soon(journeys.recv()).await.unwrap();
    assert_eq!(rig.recorder.recent(10).len(), 2);
}

/// Sends a GET with `traceparent` and a probe signed by `key`; what the instance was told.
async fn probe(
    rig: &Rig,
    upstream: &Upstream,
    trace_id: TraceId,
    claim: SpanId,
    key: &ProbeKey,
) -> (HopClaim, TraceParent) {
    let expires_unix_s = OffsetDateTime::now_utc().unix_timestamp() as u64 + 30;
    let signed = Probe { trace_id, key: claim, bypass_caches: true, expires_unix_s }.sign(key);
    let parent = TraceParent { trace_id, parent: claim, sampled: true };
    rig.get("/", &format!("traceparent: {parent}\r\ntracestate: a=b\r\n{PROBE}: {signed}\r\n")).await;
    let heads = upstream.heads();
    let head = &heads.last().unwrap().headers;
    assert_eq!(field(head, "tracestate"), ["a=b"]);
    assert!(!head.contains_key(PROBE));
    let told = HopClaim::verify(&field(head, "roundtrip-hop")[0], SECRET).unwrap();
    (told, TraceParent::parse(&field(head, "traceparent")[0]).unwrap())
}

#[tokio::test]
async fn only_a_probe_that_we_signed_is_recorded_in_full() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before_own(&[upstream.address]).await;
    let (trace_id, key) = (TraceId::random(), SpanId::random());
    let (told, parent) = probe(&rig, &upstream, trace_id, key, &ProbeKey::new(&[8; 32])).await;
    assert!(!told.detail && !told.bypass_caches && told.key != key, "{told:?}");
    assert_eq!((parent.trace_id, parent.sampled), (trace_id, true), "the flag is for those behind us");
    assert_ne!(parent.parent, key, "the attempt's span");

    let context = Context { trace_id, parent: None, key, detail: true, bypass_caches: true };
    let root = Trace::start(context, key, Hop::Client, "Send and receive", Tick::now());
    let (told, parent) = probe(&rig, &upstream, trace_id, key, &probe_key()).await;
    assert_eq!(told, HopClaim { key, detail: true, bypass_caches: true });
    let trace = root.trace().clone();
    root.end();
    // The instance's part hangs beneath the attempt that its traceparent named.
    let instance = Context { parent: Some(parent.parent), ..context };
    let span = Trace::start(instance, SpanId::random(), Hop::Api, "Answer", Tick::now());
    let spans = span.trace().finish();
    rig.recorder.submit(Part::Instance(InstancePart { key, role: None, spans }));
    let journey = soon(rig.recorder.finish(ClientPart {
        trace_id,
        key,
        sent_at: OffsetDateTime::now_utc(),
        method: "GET".into(),
        path: "/".into(),
        sent_as: None,
        fresh: true,
        bypass_caches: true,
        status: 200,
        request_bytes: 0,
        response_bytes: 5,
        spans: trace.finish(),
    }))
    .await;
    assert!(journey.complete && journey.summary.probe);
    let span = |name: &str| journey.spans.iter().find(|span| span.name == name).unwrap();
    let served = &span("Serve the request").attributes;
    assert_eq!((&served["http.request.method"], &served["http.response.status_code"]), (&"GET".into(), &200.into()));
    assert_eq!(span("Choose an instance").attributes["roundtrip.balancer.policy"], "p2c_peak_ewma");
    assert_eq!(span("Forward to an instance").attributes["roundtrip.instance"], "i1");
    assert_eq!(span("Answer").parent, Some(span("Forward to an instance").id));
    assert!(journey.instances[0].chosen && journey.instances[0].id == "i1");
}
