//! Active health checks: one task an upstream. It also asks what the upstream's name leads to, so that no
//! request waits for that.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::header::HOST;
use smallvec::SmallVec;

use super::connection::Connection;
use super::known::now;
use super::target::Target;
use super::upload::Upload;
use super::upstream::Upstream;
use crate::observe::clock::Tick;
use crate::observe::ids::SpanId;
use crate::policy::health::State;
use crate::policy::random;
use crate::settings::balancer::BalancerSettings;
use crate::web::probe::{self, HopClaim};

/// A changed interval is noticed within this.
const SETTING_READ_EVERY: Duration = Duration::from_secs(1);
/// While nothing is known yet, looking often makes the start short.
const INTERVAL_AT_START: Duration = Duration::from_millis(50);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Checks until aborted.
pub async fn check_forever(upstream: Arc<Upstream>, hop_secret: String) {
    let mut lookup = Lookup::default();
    while let Some(rules) = upstream.rules() {
        if upstream.state() != State::Stopped && !upstream.is_unwatched() {
            let (target, _) = upstream.place();
            let patience = rules.health_timeout;
            let checking = check(&upstream, &target, &mut lookup, &hop_secret, &rules);
            let verdict = match tokio::time::timeout(patience, checking).await {
                Ok(verdict) => verdict,
                Err(_) if lookup.is_open() => Err(format!("the name {} was not resolved in {patience:?}", target.host)),
                Err(_) => Err(format!("it took longer than {patience:?}")),
            };
            // The rules may have changed meanwhile.
            let Some(rules) = upstream.rules() else { return };
            // So may what is known of it, while a fault keeps that as it is.
            if !upstream.is_unwatched() {
                upstream.checked(&target, verdict, &rules);
            }
        }
        // What time alone changes is to be seen without any request.
        upstream.look(&rules, now());
        upstream.pool.sweep();
        rest(&upstream).await;
    }
}

/// The interval ±10 %, so that the checks of several upstreams drift apart. Ends early when the upstream
/// was taken out or brought back, what is trusted there changed, or the interval was shortened.
async fn rest(upstream: &Upstream) {
    let began = Tick::now();
    let share = 900 + random::below(random::split_mix(began.as_nanos()), 201) as u32;
    while let Some(rules) = upstream.rules() {
        let interval = rules.health_interval;
        let interval = if upstream.state() == State::Starting { interval.min(INTERVAL_AT_START) } else { interval };
        let left = (interval * share / 1_000).saturating_sub(Tick::now().since(began));
        if left.is_zero() {
            return;
        }
        tokio::select! {
            () = upstream.news.notified() => return,
            () = tokio::time::sleep(left.min(SETTING_READ_EVERY)) => {}
        }
    }
}

async fn check(
    upstream: &Upstream,
    target: &Arc<Target>,
    lookup: &mut Lookup,
    hop_secret: &str,
    rules: &BalancerSettings,
) -> Result<(), String> {
    // Where it was last is kept: a failure to resolve may be the resolver's own.
    let unresolved = |error| format!("the name {} does not resolve: {error}", target.host);
    let addresses = lookup.addresses(target).await.map_err(unresolved)?;
    upstream.resolved(target, &addresses);
    let patience = rules.timeouts.connect.min(rules.health_timeout);
    let mut connection = Connection::open(target, &addresses, patience).await.map_err(|error| error.to_string())?;
    let Some(path) = &upstream.health_path else { return Ok(()) };
    let mut request = Request::builder().uri(path).header(HOST, target.authority());
    if upstream.own {
        let claim = HopClaim { key: SpanId::random(), detail: false, bypass_caches: false };
        request = request.header(probe::HOP, claim.to_header(hop_secret));
    }
    let request = request.body(Upload::Empty).map_err(|error| error.to_string())?;
    match connection.send(request).await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("{path} answered {}", response.status().as_u16())),
        Err(_) => Err(format!("{path} was not answered")),
    }
}

type Addresses = SmallVec<[SocketAddr; ADDRESSES_MAX]>;
type Asked = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

/// Asks the system what a name leads to. A question that outlives one check is waited for by the next:
/// the system's resolver cannot be interrupted, and one question at a time is enough.
#[derive(Default)]
struct Lookup {
    asked: Option<(Arc<Target>, Asked)>,
}

impl Lookup {
    /// Whether a question is not answered yet.
    const fn is_open(&self) -> bool {
        self.asked.is_some()
    }

    async fn addresses(&mut self, target: &Arc<Target>) -> io::Result<Addresses> {
        if let Some(address) = target.address() {
            return Ok(Addresses::from_slice(&[address]));
        }
        if !self.asked.as_ref().is_some_and(|(asked, _)| Arc::ptr_eq(asked, target)) {
            let name = (target.host.clone(), target.port);
            let asking = async move { Ok(tokio::net::lookup_host(name).await?.take(ADDRESSES_MAX).collect()) };
            self.asked = Some((Arc::clone(target), Box::pin(asking)));
        }
        let answer = match &mut self.asked {
            Some((_, asking)) => asking.as_mut().await,
            None => Ok(Addresses::new()),
        };
        self.asked = None;
        match answer {
            Ok(addresses) if addresses.is_empty() => Err(io::Error::other("it has no address")),
            answer => answer,
        }
    }
}
