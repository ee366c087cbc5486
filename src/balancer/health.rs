//! Active health checks: one task an upstream.

use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::header::HOST;

use super::connection::Connection;
use super::upload::Upload;
use super::upstream::Upstream;
use crate::observe::clock::Tick;
use crate::observe::ids::SpanId;
use crate::policy::health::State;
use crate::policy::random;
use crate::settings::runtime::Settings;
use crate::web::probe::{self, HopClaim};

const TIMEOUT: Duration = Duration::from_secs(1);
/// A changed interval is noticed within this.
const SETTING_READ_EVERY: Duration = Duration::from_secs(1);
/// While nothing is known yet, looking often makes the start short.
const INTERVAL_AT_START: Duration = Duration::from_millis(50);

/// Checks until aborted.
pub async fn check_forever(upstream: Arc<Upstream>, settings: Settings, hop_secret: String) {
    loop {
        if upstream.state() != State::Stopped {
            let address = upstream.address();
            let passed = tokio::time::timeout(TIMEOUT, passes(&upstream, &hop_secret)).await.unwrap_or(false);
            // A verdict on where it was says nothing about where it is now.
            if address == upstream.address() {
                upstream.checked(passed);
            }
        }
        upstream.pool.sweep();
        rest(&upstream, &settings).await;
    }
}

/// The interval ±10 %, so that the checks of several upstreams drift apart. Ends early when the upstream
/// was moved, taken out or brought back, or the interval was shortened.
async fn rest(upstream: &Upstream, settings: &Settings) {
    let began = Tick::now();
    let share = 900 + random::below(random::split_mix(began.as_nanos()), 201) as u32;
    loop {
        let interval = settings.snapshot().balancer.health_interval;
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

async fn passes(upstream: &Upstream, hop_secret: &str) -> bool {
    let address = upstream.address();
    let Ok(mut connection) = Connection::open(address).await else { return false };
    let Some(path) = &upstream.health_path else { return true };
    let mut request = Request::builder().uri(path).header(HOST, address.to_string());
    if upstream.own {
        let claim = HopClaim { key: SpanId::random(), detail: false, bypass_caches: false };
        request = request.header(probe::HOP, claim.to_header(hop_secret));
    }
    let Ok(request) = request.body(Upload::Empty) else { return false };
    match connection.send(request).await {
        Ok(response) => response.status().is_success(),
        Err(_) => false,
    }
}
