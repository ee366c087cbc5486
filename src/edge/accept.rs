//! The accept loop. It never waits for a client: handshakes are spawned.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::admission::{Admission, Place};
use super::{Shared, connection};
use crate::settings::http::bounds::Bounds;

/// After accept(2) failed, mostly for want of file descriptors: long enough for some to be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Refused connections are told of no more often: whoever makes too many must not fill the log as well.
const WARN_EVERY: Duration = Duration::from_secs(1);

/// A place for a connection from `peer`, if there is one, and the bounds that it keeps to its end.
fn admit(admission: &Admission, peer: IpAddr, shared: &Shared) -> Option<(Place, Bounds)> {
    let bounds = shared.settings.snapshot().http.bounds;
    admission.admit(peer, shared.site.load().trusts(peer), &bounds).map(|place| (place, bounds))
}

/// Accepts until told to stop, then drains for as long as was said, then cuts.
pub async fn run(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    admission: Admission,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<Option<Duration>>,
) {
    let mut connections = JoinSet::new();
    let (mut refused, mut warned) = (0_u64, None::<Instant>);
    while stop.borrow().is_none() {
        tokio::select! {
            biased;
            changed = stop.changed() => if changed.is_err() { break },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match admit(&admission, peer.ip(), &shared) {
                    Some((place, bounds)) => {
                        let shared = Arc::clone(&shared);
                        let served = connection::serve(stream, peer, tls.clone(), bounds, shared, stop.clone());
                        connections.spawn(async move {
                            served.await;
                            drop(place);
                        });
                    }
                    None => {
                        refused += 1;
                        if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
                            log::warn!(target: "edge", "{peer}: too many connections; {refused} refused so far");
                            warned = Some(Instant::now());
                        }
                    }
                },
                Err(error) => {
                    log::warn!(target: "edge", "accept: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drain = stop.borrow().unwrap_or_default();
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        log::info!(target: "edge", "{} connections did not end in time and are cut", connections.len());
    }
    connections.shutdown().await;
}
