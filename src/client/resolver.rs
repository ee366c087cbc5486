//! From a name to addresses: by asking a DNS server ourselves, or the system for names that are not ours.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

use super::Trouble;
use super::cache::{Cache, Learnt};
use super::query::{self, Reply};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::ids::SpanId;
use crate::observe::rcode;
use crate::observe::span::{Context, Span, Status, Trace};
use crate::web::secret;

const LOOK_UP: &str = "Look up the name";
/// Aliases followed for one name.
const ALIASES_MAX: usize = 8;
/// Patience of [`Resolver::resolve`].
const PATIENCE: Duration = Duration::from_secs(5);

/// A name for which no address was found, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotFound(pub String);

/// Finds addresses. Cheap to clone; clones remember together.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// None: the system's resolver.
    server: Option<SocketAddr>,
    cache: Mutex<Cache>,
}

/// Addresses, and whether a DNS server of our choosing gave them.
#[derive(Debug)]
pub(super) struct Found {
    pub addresses: Vec<IpAddr>,
    pub by_dns: bool,
}

/// What an answer says.
enum Said {
    Addresses {
        addresses: Vec<IpAddr>,
        ttl_s: u32,
    },
    /// The name exists without such a record: there may be one of the other kind.
    NoData {
        ttl_s: u32,
    },
    /// An alias whose target the answer does not tell.
    Alias(Name),
    NoSuchName {
        ttl_s: u32,
    },
    Refused(ResponseCode),
}

impl Resolver {
    /// Asks the DNS server at `server`, and nobody else.
    pub fn at(server: SocketAddr) -> Self {
        Self(Arc::new(Inner { server: Some(server), cache: Mutex::default() }))
    }

    /// Asks the system. It keeps a cache of its own, so nothing is remembered here.
    pub fn system() -> Self {
        Self(Arc::new(Inner { server: None, cache: Mutex::default() }))
    }

    /// The addresses of `host`, without a record of how they were found.
    pub async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, NotFound> {
        let mut at = Tick::now();
        let root = Trace::start(Context::new_root(), SpanId::random(), Hop::Client, LOOK_UP, at);
        let found = self.look_up(&root, &mut at, (host, 0), Instant::now() + PATIENCE, false).await;
        found.map(|found| found.addresses).map_err(|trouble| NotFound(trouble.message))
    }

    /// Looks up a host beneath `root`, from `at` on, which is moved to where the look-up ended.
    pub(super) async fn look_up(
        &self,
        root: &Span,
        at: &mut Tick,
        (host, port): (&str, u16),
        deadline: Instant,
        bypass_cache: bool,
    ) -> Result<Found, Trouble> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Found { addresses: vec![ip], by_dns: false });
        }
        let Some(server) = self.0.server else {
            return by_system(root, at, (host, port), deadline).await;
        };
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        if !bypass_cache && let Some((learnt, ago)) = self.remembered(&name) {
            return from_memory(root, at, &name, learnt, ago);
        }
        let span = root.child_at(Hop::Dns, LOOK_UP, *at);
        span.attribute("dns.question.name", || name.clone()).attribute("dns.cached", || false);
        let result = Lookup { span: &span, at, server, deadline }.run(&name).await;
        let (learnt, ttl_s) = match result {
            Ok(done) => done,
            Err(message) => {
                span.status(Status::Error);
                span.end_at(*at);
                return Err(Trouble::new(Hop::Dns, message));
            }
        };
        self.cache().learn(&name, learnt.clone(), Duration::from_secs(ttl_s.into()), *at);
        if learnt.is_err() {
            span.status(Status::Error);
        }
        span.end_at(*at);
        learnt.map(|addresses| Found { addresses, by_dns: true }).map_err(|message| Trouble::new(Hop::Dns, message))
    }

    /// Whether a DNS server of our choosing is asked.
    pub(super) fn asks_dns(&self) -> bool {
        self.0.server.is_some()
    }

    fn remembered(&self, name: &str) -> Option<(Learnt, Duration)> {
        self.cache().find(name, Tick::now())
    }

    /// A panic elsewhere never ends resolving: the cache is plain values.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn from_memory(root: &Span, at: &mut Tick, name: &str, learnt: Learnt, ago: Duration) -> Result<Found, Trouble> {
    let span = root.child_at(Hop::Dns, "Remembered from the last answer", *at);
    span.attribute("dns.question.name", || name)
        .attribute("dns.cached", || true)
        .attribute("dns.cached_for_s", || ago.as_secs());
    if let Ok(addresses) = &learnt {
        span.attribute("dns.answers", || listed(addresses));
    } else {
        span.status(Status::Error);
    }
    *at = Tick::now();
    span.end_at(*at);
    learnt.map(|addresses| Found { addresses, by_dns: true }).map_err(|message| Trouble::new(Hop::Dns, message))
}

async fn by_system(root: &Span, at: &mut Tick, (host, port): (&str, u16), deadline: Instant) -> Result<Found, Trouble> {
    let span = root.child_at(Hop::Dns, LOOK_UP, *at);
    let asking = span.child_at(Hop::Dns, "Ask the system's resolver", *at);
    asking.attribute("dns.question.name", || host);
    let found = tokio::time::timeout_at(deadline, tokio::net::lookup_host((host, port))).await;
    let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let addresses: Result<Vec<IpAddr>, io::Error> = found.map(|found| found.map(|address| address.ip()).collect());
    *at = Tick::now();
    let why = match addresses {
        Ok(addresses) if !addresses.is_empty() => {
            asking.attribute("dns.answers", || listed(&addresses));
            asking.end_at(*at);
            span.end_at(*at);
            return Ok(Found { addresses, by_dns: false });
        }
        Ok(_) => "it has no address".to_owned(),
        Err(error) => error.to_string(),
    };
    for span in [asking, span] {
        span.status(Status::Error);
        span.end_at(*at);
    }
    Err(Trouble::new(
        Hop::Dns,
        format!("The system found no address for {host}: {why}. Check the name and the network."),
    ))
}

/// One look-up under way.
struct Lookup<'a> {
    span: &'a Span,
    at: &'a mut Tick,
    server: SocketAddr,
    deadline: Instant,
}

impl Lookup<'_> {
    /// What was learnt and for how long, or why nothing could be learnt.
    async fn run(mut self, host: &str) -> Result<(Learnt, u32), String> {
        let mut name = host.to_owned();
        let mut kinds = VecDeque::from([RecordType::A, RecordType::AAAA]);
        let mut no_ttl_s = u32::MAX;
        for _ in 0..ALIASES_MAX {
            let Some(kind) = kinds.front().copied() else { break };
            match self.ask(&name, kind).await? {
                Said::Addresses { addresses, ttl_s } => return Ok((Ok(addresses), ttl_s)),
                Said::Alias(target) => name = query::shown(&target),
                Said::NoData { ttl_s } => {
                    no_ttl_s = no_ttl_s.min(ttl_s);
                    kinds.pop_front();
                }
                Said::NoSuchName { ttl_s } => {
                    let server = self.server;
                    let why = format!(
                        "There is no name {host}, says the DNS server at {server} (NXDOMAIN). Check the spelling."
                    );
                    return Ok((Err(why), ttl_s));
                }
                Said::Refused(code) => {
                    return Err(format!(
                        "The DNS server at {} would not answer for {host} ({}). It knows its own zones only: \
                         check the name, or ask another server.",
                        self.server,
                        rcode::name(code)
                    ));
                }
            }
        }
        if kinds.is_empty() {
            return Ok((Err(format!("The name {host} exists, but it has no address.")), no_ttl_s));
        }
        Err(format!("The name {host} leads from alias to alias without end. Check the zone."))
    }

    async fn ask(&mut self, name: &str, kind: RecordType) -> Result<Said, String> {
        let question = query::question(name, kind).ok_or_else(|| format!("'{name}' can't be a name."))?;
        let reply = query::ask(self.span, *self.at, self.server, &question, self.deadline).await;
        let (Reply { message, raw, at }, asking) = reply.map_err(|(error, at)| {
            *self.at = at;
            format!("The DNS server at {} gave no answer ({error}). Check that it is running.", self.server)
        })?;
        let span = self.span.child_at(Hop::Dns, "Read the answer", at);
        let said = read(&message, question.name(), kind);
        asking
            .attribute("dns.response_code", || rcode::name(message.metadata.response_code))
            .attribute("dns.authoritative", || message.metadata.authoritative)
            .attribute("dns.answer.hex", || secret::hex(&raw))
            .attribute("dns.answers", || {
                message.answers.iter().map(|record| record.to_string()).collect::<Vec<String>>()
            });
        if let Said::Addresses { ttl_s, .. } | Said::NoData { ttl_s } | Said::NoSuchName { ttl_s } = &said {
            asking.attribute("dns.ttl_s", || *ttl_s);
        }
        asking.end_at(at);
        if matches!(said, Said::NoSuchName { .. } | Said::Refused(_)) {
            span.status(Status::Error);
        }
        *self.at = Tick::now();
        span.end_at(*self.at);
        Ok(said)
    }
}

/// What `message` says of `asked`, following the aliases in it (RFC 1034, section 5.3.3).
fn read(message: &Message, asked: &Name, kind: RecordType) -> Said {
    match message.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Said::NoSuchName { ttl_s: ttl_of_a_no(message) },
        code => return Said::Refused(code),
    }
    let (mut name, mut ttl_s) = (asked.clone(), u32::MAX);
    for _ in 0..=message.answers.len() {
        let of_name = || message.answers.iter().filter(|record| record.name == name);
        let addresses: Vec<IpAddr> = of_name()
            .filter(|record| record.record_type() == kind)
            .filter_map(|record| record.data.ip_addr())
            .collect();
        if !addresses.is_empty() {
            let least = of_name().map(|record| record.ttl).min().unwrap_or(0);
            return Said::Addresses { addresses, ttl_s: ttl_s.min(least) };
        }
        let alias = of_name().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((target.0.clone(), record.ttl)),
            _ => None,
        });
        let Some((target, ttl)) = alias else { break };
        ttl_s = ttl_s.min(ttl);
        name = target;
    }
    // An alias and a "no" of its target come together; an alias alone leads elsewhere.
    if name != *asked && message.authorities.is_empty() {
        return Said::Alias(name);
    }
    Said::NoData { ttl_s: ttl_of_a_no(message) }
}

/// How long a "no" holds: the SOA's own TTL or its last field, whichever is less (RFC 2308, section 5).
fn ttl_of_a_no(message: &Message) -> u32 {
    let soa = message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    });
    soa.unwrap_or(0)
}

fn listed(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(IpAddr::to_string).collect()
}
