//! One client's connection: handshake, protocol, its patience.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Shared;
use super::faults::{self, Levers, Trickle};
use super::gate::Gate;
use super::handshake::{self, Handshake, Timed};
use super::offer::{Offer, Streams};
use super::origin::Origin;
use super::serve;
use super::tunnel::{Switch, Tunnel};
use super::verdict::{Verdict, Watch};
use super::written::Written;
use crate::observe::clock::Tick;
use crate::settings::http::bounds::Bounds;

/// How often a connection is looked at for being too slow.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A client that sends its first three bytes in three packets is asked again this soon, then after twice
/// as long, and so on: about a second in all.
const PEEK_AGAIN_AFTER: Duration = Duration::from_millis(10);
const PEEK_PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long the last bytes of the last answer may take to leave once the connection is to end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// What hyper may hold of one connection; the gate's own bounds are smaller.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Fields that hyper takes unless told otherwise.
const HYPER_FIELDS_MAX: usize = 100;

/// How long to drain, once the edge is to stop.
pub type Stop = watch::Receiver<Option<Duration>>;

/// What the requests of a connection have in common.
#[derive(Debug)]
pub struct ConnInfo {
    pub peer: SocketAddr,
    pub bounds: Bounds,
    /// Taken by the connection's first request.
    handshake: Mutex<Option<Handshake>>,
    under_way: AtomicUsize,
    /// Requests that have ended.
    ended: Arc<AtomicUsize>,
    /// Whether there was a request.
    used: AtomicBool,
    /// When the last request ended (nanoseconds of [`Tick`]).
    quiet_since: AtomicU64,
    /// When the client last took bytes, in h2, likewise; in HTTP/1.1 the gate knows.
    wrote_at: AtomicU64,
    /// What the upstream is told of the peer.
    pub origin: Origin,
    /// The answer under way in HTTP/1.1; each stream of h2 has its own.
    offer: Arc<Offer>,
    /// Requests that the client gave up.
    given_up: AtomicUsize,
    /// The last request that asked for another protocol.
    switch: Mutex<Option<Switch>>,
    levers: Levers,
}

impl ConnInfo {
    fn new(peer: SocketAddr, bounds: Bounds, handshake: Option<Handshake>, levers: Levers) -> Arc<Self> {
        let secure = handshake.is_some();
        Arc::new(Self {
            peer,
            bounds,
            handshake: Mutex::new(handshake),
            under_way: AtomicUsize::new(0),
            ended: Arc::default(),
            used: AtomicBool::new(false),
            quiet_since: AtomicU64::new(Tick::now().as_nanos()),
            wrote_at: AtomicU64::new(0),
            origin: Origin::new(peer.ip(), secure),
            offer: Arc::default(),
            given_up: AtomicUsize::new(0),
            switch: Mutex::default(),
            levers,
        })
    }

    /// What a request can do to the connection.
    pub fn levers(&self) -> &Levers {
        &self.levers
    }

    /// The handshake, for the first who asks.
    pub fn first_handshake(&self) -> Option<Handshake> {
        self.handshake.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A request begins; how many are under way with it.
    pub fn begin(&self) -> usize {
        self.used.store(true, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Where an answer to be taken is noted.
    pub fn offer(&self) -> Arc<Offer> {
        Offer::of_stream().unwrap_or_else(|| Arc::clone(&self.offer))
    }

    /// The client gave a request up.
    pub fn given_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }

    /// A request asks for another protocol.
    pub fn switches(&self, client: OnUpgrade) {
        *self.switch() = Some(Switch { client, agreed: None });
    }

    /// And gets it.
    pub fn agreed(&self, tunnel: Tunnel) {
        if let Some(switch) = &mut *self.switch() {
            switch.agreed = Some(tunnel);
        }
    }

    fn switch(&self) -> MutexGuard<'_, Option<Switch>> {
        self.switch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has ended.
    pub fn end(&self) {
        self.quiet_since.store(Tick::now().as_nanos(), Ordering::Relaxed);
        self.under_way.fetch_sub(1, Ordering::Release);
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// The client has taken bytes.
    pub fn wrote(&self) {
        self.wrote_at.store(Tick::now().as_nanos(), Ordering::Relaxed);
    }
}

/// Serves one connection to its end.
pub async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    bounds: Bounds,
    shared: Arc<Shared>,
    mut stop: Stop,
) {
    // Heads and bodies leave at once; the kernel need not wait for more (Nagle).
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!(target: "edge", "{peer}: {error}");
    }
    let levers = Levers::default();
    let Some(config) = tls else {
        let info = ConnInfo::new(peer, bounds, None, levers.clone());
        let begins = tokio::select! {
            begins = tokio::time::timeout(bounds.idle_timeout, begins_with_h2(&stream)) => begins,
            _ = stop.changed() => return,
        };
        let stream = Timed::new(stream, levers);
        return match begins {
            Ok(Ok(true)) => serve_h2(stream, info, shared, stop).await,
            Ok(Ok(false)) => serve_h1(stream, info, shared, stop).await,
            Ok(Err(error)) => log::debug!(target: "edge", "{peer}: {error}"),
            Err(_) => log::debug!(target: "edge", "{peer}: nothing was sent"),
        };
    };
    let plan = faults::of_handshake(&shared, config);
    let patience = bounds.handshake_timeout + plan.delay();
    let (began, metrics) = (Tick::now(), shared.recorder.metrics());
    let shaken = handshake::accept(Timed::new(stream, levers.clone()), plan);
    let shaken = tokio::time::timeout(patience, shaken).await;
    match &shaken {
        Ok(Ok((_, handshake))) => metrics.handshake(Tick::now().since(began), handshake.resumed),
        Ok(Err(_)) | Err(_) => metrics.handshake_failed(),
    }
    match shaken {
        Ok(Ok((stream, handshake))) => {
            let h2 = handshake.h2;
            let info = ConnInfo::new(peer, bounds, Some(handshake), levers);
            if h2 { serve_h2(stream, info, shared, stop).await } else { serve_h1(stream, info, shared, stop).await }
        }
        Ok(Err(error)) => log::debug!(target: "edge", "{peer}: handshake: {error}"),
        Err(_) => log::debug!(target: "edge", "{peer}: the handshake took too long"),
    }
}

/// Whether the client speaks h2 from its first byte (RFC 9113, section 3.4). No method of HTTP/1.1 begins
/// with `PRI`.
async fn begins_with_h2(stream: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8] = b"PRI";
    let mut pause = PEEK_AGAIN_AFTER;
    loop {
        let mut seen = [0; PREFACE.len()];
        let count = stream.peek(&mut seen).await?;
        if count == 0 || !PREFACE.starts_with(&seen[..count]) {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        if pause > PEEK_PAUSE_MAX {
            // HTTP/1.1 has a bound and an answer for a head that does not come.
            return Ok(false);
        }
        // Bytes that were peeked at stay readable, so there is no event for one more.
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

async fn serve_h1<S>(stream: S, info: Arc<ConnInfo>, shared: Arc<Shared>, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = Trickle::new(stream, info.levers.clone());
    let (stream, watch) = Gate::new(stream, info.bounds, Arc::clone(&info.ended));
    let service = {
        let (info, shared, watch) = (Arc::clone(&info), Arc::clone(&shared), watch.clone());
        service_fn(move |request| {
            let verdict = watch.next_head();
            serve::answer(Arc::clone(&shared), Arc::clone(&info), Some(watch.clone()), verdict, request)
        })
    };
    let bounds = &info.bounds;
    let mut builder = http1::Builder::new();
    // hyper's own timer counts idle time as time of the head; `drive` tells them apart.
    builder.header_read_timeout(None).max_buf_size(BUFFER_BYTES_MAX).timer(TokioTimer::new());
    if size(bounds.fields_max) > HYPER_FIELDS_MAX {
        builder.max_headers(size(bounds.fields_max));
    }
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let client = Client::H1(&watch);
    drive(connection, |connection| connection.graceful_shutdown(), &info, client, stop.clone()).await;
    let switch = info.switch().take();
    if let Some(switch) = switch {
        switch.run(bounds.tunnel_idle_timeout, stop).await;
    }
}

async fn serve_h2<S>(stream: S, info: Arc<ConnInfo>, shared: Arc<Shared>, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = {
        let (info, shared) = (Arc::clone(&info), Arc::clone(&shared));
        service_fn(move |request| serve::answer(Arc::clone(&shared), Arc::clone(&info), None, Verdict::Sound, request))
    };
    let (bounds, streams) = (&info.bounds, Streams::default());
    let connection = http2::Builder::new(streams.clone())
        .max_concurrent_streams(word(bounds.h2_streams_max))
        .max_header_list_size(word(bounds.head_bytes_max))
        .initial_stream_window_size(word(bounds.h2_stream_window))
        .initial_connection_window_size(word(bounds.h2_connection_window))
        .max_pending_accept_reset_streams(size(bounds.h2_pending_resets_max))
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(Written::new(stream, Arc::clone(&info))), service);
    drive(connection, |connection| connection.graceful_shutdown(), &info, Client::H2(&streams), stop).await;
}

/// Settings have numbers of one kind, the library those of two; their ranges fit either.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn word(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How a client's patience with us, and ours with it, is watched.
#[derive(Clone, Copy)]
enum Client<'a> {
    H1(&'a Watch),
    H2(&'a Streams),
}

impl Client<'_> {
    /// Whether the connection is to be cut at once. What can be told the client is told.
    fn is_too_slow(self, info: &ConnInfo, now: Tick) -> bool {
        let bounds = &info.bounds;
        let watch = match self {
            Client::H1(watch) => watch,
            Client::H2(streams) => {
                streams.reset_ignored(now, bounds.take_timeout);
                return false;
            }
        };
        // While an answer is under way nobody reads the next head.
        if info.under_way.load(Ordering::Acquire) == 0
            && let Some(since) = watch.head_since()
        {
            let took = now.since(since);
            if took > bounds.head_timeout {
                watch.head_is_late();
            }
            if took > bounds.head_timeout + FLUSH_TIMEOUT {
                log::debug!(target: "edge", "{}: a head took too long", info.peer);
                return true;
            }
        }
        let ignored = info.offer.is_ignored(now, watch.wrote_at(), bounds.take_timeout);
        if ignored {
            log::debug!(target: "edge", "{}: nothing of the answer was taken for too long", info.peer);
        }
        ignored
    }

    /// Whether nothing has happened for longer than `patience`. The last bytes of an answer may be on their
    /// way when it has long been handed over.
    fn is_idle(self, info: &ConnInfo, now: Tick, patience: Duration) -> bool {
        let (wrote_at, coming) = match self {
            Client::H1(watch) => (watch.wrote_at(), watch.head_since().is_some()),
            Client::H2(_) => (Tick::from_nanos(info.wrote_at.load(Ordering::Relaxed)), false),
        };
        let since = Tick::from_nanos(info.quiet_since.load(Ordering::Relaxed)).max(wrote_at);
        info.under_way.load(Ordering::Acquire) == 0 && !coming && now.since(since) > patience
    }

    /// Whether there is nothing to wait for once the connection is to end. hyper ends an idle connection
    /// by itself, but not one that never carried a request.
    fn has_nothing_to_end(self, info: &ConnInfo, now: Tick) -> bool {
        !info.used.load(Ordering::Relaxed) || self.is_idle(info, now, FLUSH_TIMEOUT)
    }
}

/// Runs a connection; ends it when told to stop or when its client is too slow.
async fn drive<C>(connection: C, graceful: fn(Pin<&mut C>), info: &ConnInfo, client: Client<'_>, mut stop: Stop)
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut ending = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    log::debug!(target: "edge", "{}: {error}", info.peer);
                }
                return;
            }
            _ = stop.changed(), if !ending => {
                ending = true;
                graceful(connection.as_mut());
                if !info.used.load(Ordering::Relaxed) {
                    return;
                }
            }
            _ = look.tick() => {
                let now = Tick::now();
                if client.is_too_slow(info, now) || (ending && client.has_nothing_to_end(info, now)) {
                    return;
                }
                // Requests that are begun and given up cost us work, and the client nothing (CVE-2023-44487).
                let given_up = info.given_up.load(Ordering::Relaxed) > size(info.bounds.h2_given_up_max);
                if !ending && (given_up || client.is_idle(info, now, info.bounds.idle_timeout)) {
                    ending = true;
                    graceful(connection.as_mut());
                }
            }
        }
    }
}
