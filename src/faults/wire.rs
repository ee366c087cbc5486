//! A longer wire: bytes arrive later than they were sent, in either direction, and whoever sends need not wait.
//!
//! So a distance costs what it costs in the world: not so much a request, but so much a turn. The kernel's own TCP
//! handshake can't be made longer from here; who connects waits [`Length::round_trip`] for it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What may be on its way in one direction: a sender of more waits, as TCP's would for its window.
const WINDOW_BYTES: usize = 256 * 1024;
const READ_BYTES: usize = 16 * 1024;

/// How long the wire is now, as the time that a byte takes one way; shared with whoever changes it.
#[derive(Debug, Clone, Default)]
pub struct Length(Arc<AtomicU64>);

impl Length {
    pub fn of(one_way: Duration) -> Self {
        let length = Self::default();
        length.set(one_way);
        length
    }

    /// Holds for what is sent from now on.
    pub fn set(&self, one_way: Duration) {
        self.0.store(u64::try_from(one_way.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Waits for as long as the handshake of TCP takes.
    pub async fn round_trip(&self) {
        let one_way = self.get();
        if !one_way.is_zero() {
            tokio::time::sleep(2 * one_way).await;
        }
    }
}

/// A stream over such a wire.
#[derive(Debug)]
pub struct Wire<S> {
    inner: S,
    length: Length,
    out: Lane,
    back: Lane,
    /// What the far end said last, and when it is heard here: its end, or an error.
    last: Option<(Instant, io::Result<()>)>,
}

/// What is on its way in one direction.
#[derive(Debug, Default)]
struct Lane {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// Of the first piece, so much has arrived.
    taken: usize,
    bytes: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn room(&self) -> usize {
        WINDOW_BYTES - self.bytes
    }

    fn send(&mut self, bytes: &[u8], due: Instant) {
        // Nothing overtakes what was sent before it.
        let due = self.pieces.back().map_or(due, |(last, _)| due.max(*last));
        self.bytes += bytes.len();
        self.pieces.push_back((due, bytes.to_vec()));
    }

    /// Ready when the first piece has arrived, or there is none.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Option<&[u8]>> {
        if let Some((due, _)) = self.pieces.front() {
            ready!(poll_until(&mut self.timer, *due, cx));
        }
        Poll::Ready(self.pieces.front().map(|(_, piece)| &piece[self.taken..]))
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        self.bytes -= count;
        if self.pieces.front().is_some_and(|(_, piece)| piece.len() == self.taken) {
            self.pieces.pop_front();
            self.taken = 0;
        }
    }
}

fn poll_until(timer: &mut Option<Pin<Box<Sleep>>>, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if Instant::now() >= due {
        return Poll::Ready(());
    }
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
    if timer.deadline() != due {
        timer.as_mut().reset(due);
    }
    timer.as_mut().poll(cx)
}

impl<S> Wire<S> {
    pub fn new(inner: S, length: Length) -> Self {
        Self { inner, length, out: Lane::default(), back: Lane::default(), last: None }
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Hands over what has arrived at the far end. Ready when nothing is on its way any more.
    fn poll_deliver(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut moved = false;
        loop {
            let Poll::Ready(first) = self.out.poll_first(cx) else {
                if moved {
                    // What has arrived must not lie about in a buffer below.
                    ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
                }
                return Poll::Pending;
            };
            let Some(bytes) = first else { return Pin::new(&mut self.inner).poll_flush(cx) };
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.take(count);
            moved = true;
        }
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Takes over what the far end has sent.
    fn poll_fetch(&mut self, cx: &mut Context<'_>) {
        let one_way = self.length.get();
        while self.last.is_none() && self.back.room() >= READ_BYTES {
            let mut space = [0; READ_BYTES];
            let mut more = ReadBuf::new(&mut space);
            let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(cx, &mut more) else { return };
            let due = Instant::now() + one_way;
            match read {
                Ok(()) if !more.filled().is_empty() => self.back.send(more.filled(), due),
                end => self.last = Some((due, end)),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if !wire.out.is_empty() {
            // Who waits for an answer has nobody else to carry the question.
            if let Poll::Ready(Err(error)) = wire.poll_deliver(cx) {
                return Poll::Ready(Err(error));
            }
        }
        if wire.length.get().is_zero() && wire.back.is_empty() && wire.last.is_none() {
            return Pin::new(&mut wire.inner).poll_read(cx, buf);
        }
        wire.poll_fetch(cx);
        if let Some(bytes) = ready!(wire.back.poll_first(cx)) {
            let count = bytes.len().min(buf.remaining());
            buf.put_slice(&bytes[..count]);
            wire.back.take(count);
            return Poll::Ready(Ok(()));
        }
        match &mut wire.last {
            Some((due, end)) => {
                ready!(poll_until(&mut wire.back.timer, *due, cx));
                Poll::Ready(std::mem::replace(end, Ok(())))
            }
            None => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wire = &mut *self;
        let one_way = wire.length.get();
        if one_way.is_zero() && wire.out.is_empty() {
            return Pin::new(&mut wire.inner).poll_write(cx, buf);
        }
        if wire.out.room() == 0 {
            ready!(wire.poll_deliver(cx))?;
        }
        let count = buf.len().min(wire.out.room());
        wire.out.send(&buf[..count], Instant::now() + one_way);
        match wire.poll_deliver(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(count)),
        }
    }

    /// As of a socket: what was written is on its way, and need not have arrived.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if wire.out.is_empty() {
            return Pin::new(&mut wire.inner).poll_flush(cx);
        }
        match wire.poll_deliver(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if !wire.out.is_empty() {
            ready!(wire.poll_deliver(cx))?;
        }
        Pin::new(&mut wire.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const ONE_WAY: Duration = Duration::from_millis(20);

    /// The near end over a wire, and the far end.
    fn pair(length: &Length) -> (Wire<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (near, far) = tokio::io::duplex(1 << 20);
        (Wire::new(near, length.clone()), far)
    }

    #[tokio::test]
    async fn a_turn_costs_the_way_there_and_back_and_who_sends_does_not_wait() -> io::Result<()> {
        let (mut near, mut far) = pair(&Length::of(ONE_WAY));
        let start = Instant::now();
        for piece in [b"pi", b"ng"] {
            let mut context = Context::from_waker(Waker::noop());
            assert!(pin!(near.write_all(piece)).poll(&mut context).is_ready());
        }
        let answers = async {
            let mut heard = [0; 4];
            far.read_exact(&mut heard).await?;
            let heard_after = start.elapsed();
            far.write_all(b"pong").await?;
            Ok::<_, io::Error>((heard, heard_after))
        };
        let mut answer = [0; 4];
        let (answered, heard) = tokio::join!(near.read_exact(&mut answer), answers);
        answered?;
        let (heard, heard_after) = heard?;
        assert_eq!((&heard, &answer), (b"ping", b"pong"));
        assert!(heard_after >= ONE_WAY && start.elapsed() >= heard_after + ONE_WAY, "{heard_after:?}");
        Ok(())
    }

    #[tokio::test]
    async fn the_end_comes_last_and_as_late_as_the_bytes() -> io::Result<()> {
        let (mut near, mut far) = pair(&Length::of(ONE_WAY));
        far.write_all(b"all").await?;
        drop(far);
        let start = Instant::now();
        let mut all = Vec::new();
        near.read_to_end(&mut all).await?;
        assert_eq!(all, b"all");
        assert!(start.elapsed() >= ONE_WAY);
        Ok(())
    }

    #[tokio::test]
    async fn a_wire_that_gets_short_loses_and_reorders_nothing() -> io::Result<()> {
        let length = Length::of(ONE_WAY);
        let (mut near, mut far) = pair(&length);
        let sent: Vec<u8> = (0..WINDOW_BYTES * 3).map(|index| index as u8).collect();
        let sending = async {
            let (first, second) = sent.split_at(WINDOW_BYTES * 2);
            near.write_all(first).await?;
            length.set(Duration::ZERO);
            near.write_all(second).await?;
            near.shutdown().await
        };
        let mut heard = Vec::new();
        let (sent_all, read_all) = tokio::join!(sending, far.read_to_end(&mut heard));
        sent_all?;
        read_all?;
        assert!(heard == sent);
        Ok(())
    }
}
