//! The faults, in the order of the way.

use super::Fault as F;
use super::{Effect, Fault, FaultKind, Narrow, Strength};
use crate::observe::hop::Hop;
use crate::settings::row::{Field, Row};

const NONE: &[Narrow] = &[];
const INSTANCES: &[Narrow] = &[Narrow::Instances];
const ROUTE: &[Narrow] = &[Narrow::Route];
const PATH_AND_INSTANCE: &[Narrow] = &[Narrow::Instances, Narrow::Route];
const ALL: &[Narrow] = &[Narrow::Instances, Narrow::Route, Narrow::Role];

const TOLERANCE: &str = "rel.fault-tolerance";
const AVAILABILITY: &str = "rel.high-availability";

/// A switch, its title and what it does.
type Words = (&'static str, &'static str, &'static str);

const fn row(hop: Hop, words: Words, lessons: &'static [&'static str], kind: FaultKind) -> Row {
    let (key, title, help) = words;
    Row { key, hop, help, lessons, field: Field::Fault(FaultKind { title, ..kind }) }
}

const fn kind(fault: Fault, effect: Effect, narrows: &'static [Narrow]) -> FaultKind {
    FaultKind { fault, title: "", effect, strength: None, probable: false, narrows, cuts: false }
}

/// Something takes so many milliseconds longer.
const fn delay(fault: Fault, max: i64, narrows: &'static [Narrow]) -> FaultKind {
    let strength = Some(Strength { min: 0, max, default: 300, unit: "ms" });
    FaultKind { strength, probable: true, ..kind(fault, Effect::Delay, narrows) }
}

/// A share of the requests fails.
const fn failing(fault: Fault, narrows: &'static [Narrow]) -> FaultKind {
    FaultKind { probable: true, ..kind(fault, Effect::Failing, narrows) }
}

/// Broken for as long as it is on.
const fn outright(fault: Fault, narrows: &'static [Narrow]) -> FaultKind {
    kind(fault, Effect::Outright, narrows)
}

/// The same, and no request gets past it.
const fn cut(fault: Fault) -> FaultKind {
    FaultKind { cuts: true, ..outright(fault, NONE) }
}

/// Broken so much.
const fn measured(fault: Fault, strength: Strength, narrows: &'static [Narrow]) -> FaultKind {
    FaultKind { strength: Some(strength), ..outright(fault, narrows) }
}

pub static ROWS: &[Row] = &[
    row(
        Hop::Client,
        (
            "fault.client.slow_network",
            "Slow phone network",
            "Each byte that our own client sends or reads takes so long: a new connection pays it six times, a kept one twice. Requests of browsers are not touched.",
        ),
        &["layer.client", "perf.latency-throughput"],
        // A handshake pays it three times, and the edge gives it three seconds.
        delay(F::ClientSlowNetwork, 800, ROUTE),
    ),
    row(
        Hop::Client,
        (
            "fault.client.hangs_up",
            "Hangs up early",
            "Our own client closes the connection 20 ms after it has sent its request; who works on for nobody is what one sees.",
        ),
        &["layer.client", TOLERANCE],
        failing(F::ClientHangsUp, ROUTE),
    ),
    row(
        Hop::Client,
        ("fault.client.half_body", "Sends half a body", "Our own client sends half of a request's body, then closes."),
        &["layer.client", TOLERANCE],
        outright(F::ClientHalfBody, ROUTE),
    ),
    row(
        Hop::Dns,
        ("fault.dns.delay", "Answer", "The DNS server thinks so long before it answers."),
        &["layer.dns"],
        delay(F::DnsDelay, 5_000, NONE),
    ),
    row(
        Hop::Dns,
        ("fault.dns.servfail", "No answer (SERVFAIL)", "The DNS server says that it failed, and knows no more."),
        &["layer.dns"],
        failing(F::DnsServfail, NONE),
    ),
    row(
        Hop::Dns,
        (
            "fault.dns.drop",
            "Packets get lost",
            "Queries are read and never answered, as when a packet is lost; the client asks again after a while.",
        ),
        &["layer.dns", TOLERANCE],
        failing(F::DnsDrop, NONE),
    ),
    row(
        Hop::Dns,
        (
            "fault.dns.nxdomain",
            "Name does not exist (NXDOMAIN)",
            "The DNS server denies the app's names. Who remembers them goes on until the TTL is over.",
        ),
        &["layer.dns"],
        cut(F::DnsNxdomain),
    ),
    row(
        Hop::Dns,
        (
            "fault.dns.dead_address",
            "Points at a dead address",
            "The app's names lead to an address of this machine where nobody listens.",
        ),
        &["layer.dns", AVAILABILITY],
        cut(F::DnsDeadAddress),
    ),
    row(
        Hop::Tls,
        (
            "fault.tls.delay",
            "Handshake",
            "The edge waits so long before it answers a ClientHello. Kept connections feel nothing.",
        ),
        &["layer.tls", "perf.latency-throughput"],
        delay(F::TlsDelay, 5_000, NONE),
    ),
    row(
        Hop::Tls,
        ("fault.tls.cut", "Handshake cut", "The edge closes the connection in the middle of the handshake."),
        &["layer.tls"],
        failing(F::TlsCut, NONE),
    ),
    row(
        Hop::Tls,
        ("fault.tls.expired", "Certificate expired", "The edge shows a certificate of ours whose time is over."),
        &["layer.tls", "sec.data-protection"],
        cut(F::TlsExpired),
    ),
    row(
        Hop::Tls,
        ("fault.tls.wrong_name", "Wrong name on it", "The edge shows a sound certificate of somebody else's name."),
        &["layer.tls", "sec.data-protection"],
        cut(F::TlsWrongName),
    ),
    row(
        Hop::Tls,
        ("fault.tls.unknown_signer", "Unknown signer", "The edge shows a certificate whose authority nobody knows."),
        &["layer.tls", "sec.data-protection"],
        cut(F::TlsUnknownSigner),
    ),
    row(
        Hop::Http,
        (
            "fault.http.trickle",
            "Headers trickle",
            "The edge sends the head of an answer in small pieces, over so long a time.",
        ),
        &["layer.http", "perf.latency-throughput"],
        delay(F::HttpTrickle, 5_000, ROUTE),
    ),
    row(
        Hop::Http,
        ("fault.http.reset", "Connection reset", "The edge resets the connection instead of answering."),
        &["layer.http", TOLERANCE],
        failing(F::HttpReset, ROUTE),
    ),
    row(
        Hop::Http,
        ("fault.http.truncated", "Body cut short", "The edge sends half of an answer's body, then closes."),
        &["layer.http", TOLERANCE],
        FaultKind { probable: true, ..outright(F::HttpTruncated, ROUTE) },
    ),
    row(
        Hop::Http,
        ("fault.http.bad_length", "Wrong length announced", "An answer announces a longer body than it has, and ends."),
        &["layer.http", TOLERANCE],
        FaultKind { probable: true, ..outright(F::HttpBadLength, ROUTE) },
    ),
    row(
        Hop::Http,
        ("fault.http.bandwidth", "Narrow line", "The edge sends each answer's body at most so fast."),
        &["layer.http", "perf.latency-throughput"],
        measured(F::HttpBandwidth, Strength { min: 1, max: 10_000, default: 64, unit: "KiB/s" }, ROUTE),
    ),
    row(
        Hop::Balancer,
        ("fault.balancer.delay", "Forward", "The balancer waits so long before it passes a request on."),
        &["layer.balancer", "perf.latency-throughput"],
        delay(F::BalancerDelay, 5_000, PATH_AND_INSTANCE),
    ),
    row(
        Hop::Balancer,
        (
            "fault.balancer.wrong_instance",
            "Wrong instance",
            "Instead of the best the balancer chooses the worst that it has: the slowest, or one that is out.",
        ),
        &["layer.balancer", "myth.horizontal"],
        failing(F::BalancerWrongInstance, ROUTE),
    ),
    row(
        Hop::Balancer,
        (
            "fault.balancer.no_health_checks",
            "Stop health checks",
            "Nobody looks after the instances: the dead stay in the list, and nobody is ejected.",
        ),
        &["layer.balancer", AVAILABILITY],
        outright(F::BalancerNoHealthChecks, NONE),
    ),
    row(
        Hop::Balancer,
        ("fault.balancer.no_retries", "No second attempt", "What fails at one instance is not tried at another."),
        &["layer.balancer", TOLERANCE],
        outright(F::BalancerNoRetries, ROUTE),
    ),
    row(
        Hop::Balancer,
        (
            "fault.instance.kill",
            "Kill",
            "The instance dies at once, with all that it has in its hands. It is started again when this ends.",
        ),
        &["layer.balancer", AVAILABILITY],
        outright(F::InstanceKill, INSTANCES),
    ),
    row(
        Hop::Balancer,
        (
            "fault.instance.pause",
            "Pause",
            "The instance takes requests and holds them; when this ends it answers them all.",
        ),
        &["layer.balancer", TOLERANCE],
        outright(F::InstancePause, INSTANCES),
    ),
    row(
        Hop::Balancer,
        (
            "fault.instance.black_hole",
            "Black hole",
            "The instance takes requests and never answers them, nor health checks; the connection stays open.",
        ),
        &["layer.balancer", TOLERANCE],
        FaultKind { probable: true, ..outright(F::InstanceBlackHole, PATH_AND_INSTANCE) },
    ),
    row(
        Hop::Service,
        (
            "fault.instance.slow",
            "Everything here",
            "The instance takes so much longer for each request, health checks included.",
        ),
        &["layer.service", "perf.latency-throughput"],
        delay(F::InstanceSlow, 5_000, ALL),
    ),
    row(
        Hop::Service,
        ("fault.instance.errors", "Instance answers 500", "The instance answers with 500 and does nothing."),
        &["layer.service", TOLERANCE],
        failing(F::InstanceErrors, ALL),
    ),
    row(
        Hop::Service,
        (
            "fault.instance.memory_leak",
            "Leak memory",
            "The process that all instances share takes memory and gives none back, up to so much; all of it comes back when this ends.",
        ),
        &["layer.service", "scal.resources"],
        measured(F::InstanceMemoryLeak, Strength { min: 1, max: 256, default: 128, unit: "MiB" }, NONE),
    ),
    row(
        Hop::Service,
        (
            "fault.instance.cpu_hog",
            "Burn the processor",
            "A thread of the process that all instances share computes for nothing, for so much of the time.",
        ),
        &["layer.service", "scal.resources"],
        measured(F::InstanceCpuHog, Strength { min: 5, max: 80, default: 50, unit: "% of a core" }, NONE),
    ),
    row(
        Hop::Api,
        ("fault.api.delay", "Each call", "The API waits so long before it looks at a request."),
        &["layer.api", "perf.latency-throughput"],
        delay(F::ApiDelay, 5_000, ALL),
    ),
    row(
        Hop::Api,
        ("fault.api.errors", "Answers 500", "The API answers with 500 before it has done anything."),
        &["layer.api", TOLERANCE],
        failing(F::ApiErrors, ALL),
    ),
    row(
        Hop::Api,
        (
            "fault.api.forget_sessions",
            "Forget all sessions",
            "Nobody's session is known any more; they are known again when this ends.",
        ),
        &["layer.api", "sec.authentication", "myth.stateless"],
        outright(F::ApiForgetSessions, INSTANCES),
    ),
    row(
        Hop::Api,
        (
            "fault.api.tiny_rate_limit",
            "Rate limit at 1 a minute",
            "Each visitor may ask once a minute; the rest is 429.",
        ),
        &["layer.api", "scal.load-handling"],
        outright(F::ApiTinyRateLimit, ROUTE),
    ),
    row(
        Hop::Api,
        ("fault.api.tiny_bodies", "Bodies of 64 bytes at most", "A longer request body is 413."),
        &["layer.api"],
        outright(F::ApiTinyBodies, PATH_AND_INSTANCE),
    ),
    row(
        Hop::Service,
        ("fault.service.paused_workers", "Pause the kitchen queue", "No worker takes a ticket; they wait."),
        &["layer.service", "scal.load-handling"],
        outright(F::ServicePausedWorkers, INSTANCES),
    ),
    row(
        Hop::Service,
        (
            "fault.service.poison_ticket",
            "Poison tickets",
            "A ticket that is taken up now makes every worker that touches it fail, until it is set aside as dead. It is sound again when this ends.",
        ),
        &["layer.service", TOLERANCE],
        failing(F::ServicePoisonTicket, NONE),
    ),
    row(
        Hop::Service,
        ("fault.supplier.delay", "Supplier", "The supplier takes so much longer for each answer."),
        &["layer.service", TOLERANCE],
        delay(F::SupplierDelay, 60_000, NONE),
    ),
    row(
        Hop::Service,
        ("fault.supplier.fails", "Supplier fails", "The supplier answers with 500 and carries nothing out."),
        &["layer.service", TOLERANCE],
        failing(F::SupplierFails, NONE),
    ),
    row(
        Hop::Service,
        (
            "fault.supplier.lies",
            "Supplier's answer is lost",
            "The supplier books the delivery, then cuts its answer off: whoever ordered must ask again without getting it twice.",
        ),
        &["layer.service", TOLERANCE],
        failing(F::SupplierLies, NONE),
    ),
    row(
        Hop::Service,
        ("fault.supplier.closed", "Supplier closed", "The supplier answers every request with 503."),
        &["layer.service", TOLERANCE],
        outright(F::SupplierClosed, NONE),
    ),
    row(
        Hop::Data,
        (
            "fault.data.delay",
            "Each query",
            "Each step of the database takes so much longer, and holds its reader or the writer meanwhile; an instance, which has one thread, does nothing else.",
        ),
        &["layer.data", "perf.database"],
        delay(F::DataDelay, 5_000, INSTANCES),
    ),
    row(
        Hop::Data,
        ("fault.data.fails", "Query fails", "A step of the database fails before it has done anything."),
        &["layer.data", TOLERANCE],
        failing(F::DataFails, INSTANCES),
    ),
    row(
        Hop::Data,
        (
            "fault.data.locked",
            "Database locked",
            "Somebody else holds the lock for writing, as a long report would. Reads go on.",
        ),
        &["layer.data", "perf.database"],
        outright(F::DataLocked, NONE),
    ),
    row(
        Hop::Data,
        (
            "fault.data.full",
            "Disk full",
            "The database's file may not grow. Reads go on; nothing that was acknowledged is lost.",
        ),
        &["layer.data", "rel.disaster-recovery"],
        outright(F::DataFull, NONE),
    ),
    row(
        Hop::Data,
        ("fault.data.pool_of_one", "Pool of 1", "All readers but one are taken away."),
        &["layer.data", "scal.resources"],
        outright(F::DataPoolOfOne, NONE),
    ),
    row(
        Hop::Data,
        (
            "fault.data.no_index",
            "Index dropped",
            "The index with which people's own orders are found is gone, so that each look reads the whole table; it is built again when this ends.",
        ),
        &["layer.data", "perf.database"],
        outright(F::DataNoIndex, NONE),
    ),
    row(
        Hop::Data,
        ("fault.data.cache_empty", "Empty the cache", "The instances' caches are emptied, and keep nothing."),
        &["layer.data", "perf.caching"],
        outright(F::DataCacheEmpty, INSTANCES),
    ),
    row(
        Hop::Data,
        (
            "fault.data.cache_stale",
            "Stale cache",
            "The instances' caches hear of no change and forget nothing: what they know stays as it is.",
        ),
        &["layer.data", "perf.caching", "myth.cache"],
        outright(F::DataCacheStale, INSTANCES),
    ),
    row(
        Hop::Data,
        (
            "fault.clock.skew",
            "Clock is wrong",
            "The stack's own clock is off by so much, forwards or back. What it makes too old counts for nothing meanwhile, such as sessions; what is deleted for its age is too old by the right time, too, and a request repeated with its key is answered as before. Times on the charts and in traces are of another clock, which can't be broken.",
        ),
        &["layer.data", "maint.monitoring"],
        measured(F::ClockSkew, Strength { min: -86_400, max: 86_400, default: 3_600, unit: "s" }, NONE),
    ),
];
