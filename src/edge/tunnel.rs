//! A connection that has switched to another protocol (RFC 9110, section 7.8): bytes both ways, unread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::body::Progress;
use super::connection::Stop;
use super::record::Exchange;
use crate::balancer::upgrade::Switched;
use crate::observe::clock::Tick;
use crate::observe::span::Status;

/// Bytes moved at once.
const PIECE_BYTES: usize = 16 * 1024;
/// How long the two sides may take to hear of the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A request that asked for another protocol: the way to its client's bytes, and the upstream's side once
/// that has agreed.
#[derive(Debug)]
pub struct Switch {
    pub client: OnUpgrade,
    pub agreed: Option<Tunnel>,
}

/// What stands when the upstream has agreed.
#[derive(Debug)]
pub struct Tunnel {
    pub upstream: Switched,
    pub exchange: Exchange,
}

impl Switch {
    /// Runs the tunnel to its end, after HTTP has ended on the client's connection. Without an agreement
    /// there is only the connection to close: hyper leaves that to whoever asked for the upgrade.
    pub async fn run(self, idle: Duration, stop: Stop) {
        let Ok(client) = self.client.await else { return };
        match self.agreed {
            Some(tunnel) => tunnel.run(client, idle, stop).await,
            None => close(&mut TokioIo::new(client)).await,
        }
    }
}

impl Tunnel {
    async fn run(self, client: Upgraded, idle: Duration, mut stop: Stop) {
        let Tunnel { upstream, mut exchange } = self;
        let Ok((upstream, lease)) = upstream.stream().await else { return };
        let (up, down) = (Arc::new(Progress::default()), Progress::default());
        exchange.uploads(Arc::clone(&up));
        let moved_at = AtomicU64::new(Tick::now().as_nanos());
        let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
        let (from_upstream, to_upstream) = tokio::io::split(TokioIo::new(upstream));
        let (mut upward, mut downward) = (Pipe::new(from_client, to_upstream), Pipe::new(from_upstream, to_client));
        let upward_ran =
            async { upward.run(&up, &moved_at).await.map_err(|End { receiver, error }| (receiver, error)) };
        let downward_ran =
            async { downward.run(&down, &moved_at).await.map_err(|End { receiver, error }| (!receiver, error)) };
        let end = tokio::select! {
            both = async { tokio::try_join!(upward_ran, downward_ran) } => both.err(),
            () = silence(&moved_at, idle) => {
                exchange.root().status(Status::Error).attribute("error.type", || "idle");
                None
            }
            // What it says is not for us to end with a word of its own: both sides hear that it is over.
            _ = stop.changed() => None,
        };
        let (_, _) = tokio::join!(close(&mut upward.to), close(&mut downward.to));
        exchange.count(usize::try_from(down.bytes()).unwrap_or(usize::MAX));
        drop(lease);
        // A client leaves as it likes.
        if let Some((true, error)) = end {
            exchange.truncated(&error);
        }
        exchange.delivered();
    }
}

/// Why a direction ended badly, and whether it was its receiver's doing or its sender's.
struct End {
    receiver: bool,
    error: std::io::Error,
}

/// One direction.
struct Pipe<S> {
    from: ReadHalf<S>,
    to: WriteHalf<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    const fn new(from: ReadHalf<S>, to: WriteHalf<S>) -> Self {
        Self { from, to }
    }

    /// Until the sending side ends; then the other hears of it, and may still answer.
    async fn run(&mut self, progress: &Progress, moved_at: &AtomicU64) -> Result<(), End> {
        let sender = |error| End { receiver: false, error };
        let receiver = |error| End { receiver: true, error };
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = self.from.read(&mut piece).await.map_err(sender)?;
            if count == 0 {
                return self.to.shutdown().await.map_err(receiver);
            }
            self.to.write_all(&piece[..count]).await.map_err(receiver)?;
            self.to.flush().await.map_err(receiver)?;
            progress.add(count);
            moved_at.store(Tick::now().as_nanos(), Ordering::Relaxed);
        }
    }
}

/// Ends when nothing has moved for `idle`.
async fn silence(moved_at: &AtomicU64, idle: Duration) {
    loop {
        let quiet = Tick::now().since(Tick::from_nanos(moved_at.load(Ordering::Relaxed)));
        if quiet >= idle {
            return;
        }
        tokio::time::sleep(idle - quiet).await;
    }
}

async fn close<S: AsyncWrite + Unpin>(stream: &mut S) {
    if let Ok(Err(error)) = tokio::time::timeout(CLOSE_TIMEOUT, stream.shutdown()).await {
        log::debug!(target: "edge", "a connection could not be closed in order: {error}");
    }
}
