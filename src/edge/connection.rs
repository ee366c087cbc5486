//! One client's connection: handshake, protocol, its patience.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Shared;
use super::framing::{Watch, Watched};
use super::handshake::{self, Handshake};
use super::hsts;
use super::limits::EdgeLimits;
use crate::observe::clock::Tick;

/// How often a connection is looked at for being too slow.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A client that sends its first three bytes in three packets is asked again this soon.
const PEEK_AGAIN_AFTER: Duration = Duration::from_millis(10);
/// How long the last bytes of the last answer may take to leave once the connection is to end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// What hyper may hold of one connection before our own bounds speak (they are smaller).
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Since when an answer has been waiting for its client (nanoseconds of [`Tick`]); 0 while it does not.
#[derive(Debug)]
pub struct Offer(AtomicU64);

impl Offer {
    /// There is more, and the client has not asked for it yet.
    pub fn stands(&self) {
        self.0.store(Tick::now().as_nanos(), Ordering::Relaxed);
    }

    /// The client would take more, and there is nothing.
    pub fn is_taken(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn since(&self) -> Option<Tick> {
        let since = self.0.load(Ordering::Relaxed);
        (since > 0).then(|| Tick::from_nanos(since))
    }
}

type Stop = watch::Receiver<Option<Duration>>;

/// What the requests of a connection have in common.
#[derive(Debug)]
pub struct ConnInfo {
    pub peer: SocketAddr,
    pub secure: bool,
    /// Taken by the connection's first request.
    handshake: Mutex<Option<Handshake>>,
    under_way: AtomicUsize,
    /// Whether there was a request.
    used: AtomicBool,
    /// When the last request ended (nanoseconds of [`Tick`]).
    quiet_since: AtomicU64,
    /// The answers under way.
    offers: Mutex<Vec<Weak<Offer>>>,
}

impl ConnInfo {
    fn new(peer: SocketAddr, secure: bool, handshake: Option<Handshake>) -> Arc<Self> {
        Arc::new(Self {
            peer,
            secure,
            handshake: Mutex::new(handshake),
            under_way: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            quiet_since: AtomicU64::new(Tick::now().as_nanos()),
            offers: Mutex::default(),
        })
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

    /// An answer is there to be taken.
    pub fn offer(&self) -> Arc<Offer> {
        let offer = Arc::new(Offer(AtomicU64::new(Tick::now().as_nanos())));
        self.offers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&offer));
        offer
    }

    /// Since when the answer that has waited longest has been waiting for the client.
    fn offered_since(&self) -> Option<Tick> {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        offers.retain(|offer| offer.strong_count() > 0);
        offers.iter().filter_map(|offer| offer.upgrade()?.since()).min()
    }

    /// A request has ended.
    pub fn end(&self) {
        self.quiet_since.store(Tick::now().as_nanos(), Ordering::Relaxed);
        self.under_way.fetch_sub(1, Ordering::Release);
    }

    /// Whether nothing has happened for longer than `patience`.
    fn is_idle(&self, now: Tick, patience: Duration) -> bool {
        let since = Tick::from_nanos(self.quiet_since.load(Ordering::Relaxed));
        self.under_way.load(Ordering::Acquire) == 0 && now.since(since) > patience
    }

    /// Whether there is nothing to wait for once the connection is to end. hyper ends an idle connection
    /// by itself, but not one that never carried a request.
    fn has_nothing_to_end(&self, now: Tick) -> bool {
        !self.used.load(Ordering::Relaxed) || self.is_idle(now, FLUSH_TIMEOUT)
    }
}

/// Serves one connection to its end.
pub async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    shared: Arc<Shared>,
    mut stop: Stop,
) {
    // Heads and bodies leave at once; the kernel need not wait for more (Nagle).
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!(target: "edge", "{peer}: {error}");
    }
    let Some(config) = tls else {
        let info = ConnInfo::new(peer, false, None);
        let begins = tokio::select! {
            begins = tokio::time::timeout(shared.limits.idle_timeout, begins_with_h2(&stream)) => begins,
            _ = stop.changed() => return,
        };
        return match begins {
            Ok(Ok(true)) => serve_h2(stream, info, shared, stop).await,
            Ok(Ok(false)) => serve_h1(stream, info, shared, stop).await,
            Ok(Err(error)) => log::debug!(target: "edge", "{peer}: {error}"),
            Err(_) => log::debug!(target: "edge", "{peer}: nothing was sent"),
        };
    };
    match tokio::time::timeout(shared.limits.handshake_timeout, handshake::accept(stream, config)).await {
        Ok(Ok((stream, handshake))) => {
            let h2 = handshake.h2;
            let info = ConnInfo::new(peer, true, Some(handshake));
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
    loop {
        let mut seen = [0; PREFACE.len()];
        let count = stream.peek(&mut seen).await?;
        if count == 0 || !PREFACE.starts_with(&seen[..count]) {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        // Bytes that were peeked at stay readable, so there is no event for one more.
        tokio::time::sleep(PEEK_AGAIN_AFTER).await;
    }
}

async fn serve_h1<S>(stream: S, info: Arc<ConnInfo>, shared: Arc<Shared>, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, watch) = Watched::new(stream);
    let service = {
        let (info, shared, watch) = (Arc::clone(&info), Arc::clone(&shared), watch.clone());
        service_fn(move |request| hsts::answer(Arc::clone(&shared), Arc::clone(&info), watch.next_head(), request))
    };
    let connection = http1::Builder::new()
        // hyper's own timer counts idle time as time of the head; `drive` tells them apart.
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES_MAX)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    drive(connection, |connection| connection.graceful_shutdown(), &info, Some(&watch), &shared.limits, stop).await;
}

async fn serve_h2<S>(stream: S, info: Arc<ConnInfo>, shared: Arc<Shared>, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = {
        let (info, shared) = (Arc::clone(&info), Arc::clone(&shared));
        service_fn(move |request| hsts::answer(Arc::clone(&shared), Arc::clone(&info), None, request))
    };
    let limits = &shared.limits;
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(limits.h2_streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits.h2_stream_window)
        .initial_connection_window_size(limits.h2_connection_window)
        .max_pending_accept_reset_streams(limits.h2_pending_resets_max)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    drive(connection, |connection| connection.graceful_shutdown(), &info, None, limits, stop).await;
}

/// Runs a connection; ends it when told to stop or when its client is too slow.
async fn drive<C>(
    connection: C,
    graceful: fn(Pin<&mut C>),
    info: &ConnInfo,
    watch: Option<&Watch>,
    limits: &EdgeLimits,
    mut stop: Stop,
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut ending = false;
    loop {
        tokio::select! {
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
                let late = |since: Tick| now.since(since) > limits.head_timeout;
                if watch.and_then(Watch::head_since).is_some_and(late) {
                    log::debug!(target: "edge", "{}: a head took too long", info.peer);
                    return;
                }
                // In HTTP/1.1 bytes that leave are bytes of the one answer; in h2 they may be another's.
                let taken = watch.and_then(Watch::wrote_at).unwrap_or_default();
                if info.offered_since().is_some_and(|since| now.since(since.max(taken)) > limits.take_timeout) {
                    log::debug!(target: "edge", "{}: nothing of the answer was taken for too long", info.peer);
                    return;
                }
                if ending && info.has_nothing_to_end(now) {
                    return;
                }
                if !ending && info.is_idle(now, limits.idle_timeout) {
                    ending = true;
                    graceful(connection.as_mut());
                }
            }
        }
    }
}
