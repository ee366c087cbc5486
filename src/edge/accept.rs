//! The accept loop. It never waits for a client: handshakes are spawned.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::admission::{Admission, Place};
use super::connection::Stop;
use super::workers::Workers;
use super::{Shared, connection};
use crate::settings::http::bounds::Bounds;

/// After accept(2) failed, mostly for want of file descriptors: long enough for some to be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Refused connections are told of no more often: whoever makes too many must not fill the log as well.
const WARN_EVERY: Duration = Duration::from_secs(1);
/// Likewise of those whom the firewall turns away: of one in so many.
const WARN_ONCE_IN: u64 = 1_000;

/// A place for a connection from `peer`, if there is one, and the bounds that it keeps to its end.
fn admit(admission: &Admission, peer: IpAddr, shared: &Shared) -> Option<(Place, Bounds)> {
    let bounds = shared.settings.snapshot().http.bounds;
    admission.admit(peer, shared.site.load().trusts(peer), &bounds).map(|place| (place, bounds))
}

/// Serves a connection on the thread that this runs on, whose runtime has yet to know the socket.
async fn serve(
    accepted: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    bounds: Bounds,
    shared: Arc<Shared>,
    stop: Stop,
) {
    match accepted.into_std().and_then(TcpStream::from_std) {
        Ok(stream) => connection::serve(stream, peer, tls, bounds, shared, stop).await,
        Err(error) => log::warn!(target: "edge", "{peer}: {error}"),
    }
}

/// Whether the firewall lets a connection from `peer` in. A trusted proxy brings others: their requests are looked at.
fn may_enter(peer: IpAddr, shared: &Shared) -> bool {
    let refused = shared.settings.snapshot().http.firewall.refuses(peer).filter(|_| !shared.site.load().trusts(peer));
    if let Some(rule) = &refused {
        let before = shared.turned_away.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(WARN_ONCE_IN) {
            log::warn!(target: "edge", "{peer}: turned away, for {rule}; {before} before it");
        }
    }
    refused.is_none()
}

/// Accepts until told to stop, then drains for as long as was said, then cuts.
pub async fn run(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    admission: Admission,
    workers: Arc<Workers>,
    shared: Arc<Shared>,
    mut stop: Stop,
) {
    let mut connections = JoinSet::new();
    let (mut refused, mut warned) = (0_u64, None::<Instant>);
    while stop.borrow().is_none() {
        tokio::select! {
            biased;
            changed = stop.changed() => if changed.is_err() { break },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                // Closed at once, before a byte is read.
                Ok((_, peer)) if !may_enter(peer.ip(), &shared) => {}
                Ok((stream, peer)) => match admit(&admission, peer.ip(), &shared) {
                    Some((place, bounds)) => {
                        let served = serve(stream, peer, tls.clone(), bounds, Arc::clone(&shared), stop.clone());
                        workers.spawn(&mut connections, async move {
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
