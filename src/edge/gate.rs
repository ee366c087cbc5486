//! The gate between a client's HTTP/1.1 connection and hyper: only sound heads get in.
//!
//! A head is held back until its end has come, and judged. In the place of one that is refused hyper reads
//! a request that says nothing, and its service answers with the refusal: so a refusal is an answer like
//! any other, in its turn after those before it, with a trace and a line in the log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::framing::{BROKEN, Followed, Framing};
use super::refusal::Refusal;
use super::verdict::Watch;
use crate::settings::http::bounds::Bounds;

/// How long a client may go on sending a request that has been refused.
const LINGER_FOR: Duration = Duration::from_secs(2);
/// Reads at one go while lingering.
const LINGER_READS_MAX: usize = 16;
/// Bytes read at once while a head is held back.
const READ_BYTES: usize = 4096;
/// Bytes that may come before what is before them has been answered: later requests, or another protocol
/// that has yet to be agreed on. They are read ahead so that the client's end is noticed behind them.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// What hyper reads in the place of a refused head whose own first line cannot be repeated.
const NAMELESS: &str = "- *";

/// A client's stream, as hyper may read it.
///
/// When its writing side is shut while the client is still sending, it reads on for a while and forgets
/// what it reads: closing with bytes unread makes the kernel reset the connection, and the client might
/// lose the answer that says why (RFC 9112, section 9.6).
#[derive(Debug)]
pub struct Gate<S> {
    inner: S,
    watch: Watch,
    bounds: Bounds,
    framing: Framing,
    /// Exchanges of this connection that are over.
    ended: Arc<AtomicUsize>,
    /// Bytes to be given to hyper, up to `passed`, and after them those that are held back.
    held: Vec<u8>,
    given: usize,
    passed: usize,
    /// A head was refused, or a body's framing broke: nothing gets in any more.
    shut: bool,
    closing: Closing,
}

#[derive(Debug)]
enum Closing {
    No,
    Lingers(Pin<Box<Sleep>>),
    Done,
}

impl<S> Gate<S> {
    /// `ended` counts the connection's exchanges that are over.
    pub fn new(inner: S, bounds: Bounds, ended: Arc<AtomicUsize>) -> (Self, Watch) {
        let watch = Watch::new();
        let gate = Self {
            inner,
            watch: watch.clone(),
            bounds,
            framing: Framing::default(),
            ended,
            held: Vec::new(),
            given: 0,
            passed: 0,
            shut: false,
            closing: Closing::No,
        };
        (gate, watch)
    }

    /// Whether all that was let in has been answered, and the next head may be. Before that hyper would
    /// only keep it, and with bytes in hand it does not look for the client's end.
    fn next_may_begin(&self) -> bool {
        self.ended.load(Ordering::Acquire) >= self.watch.heads()
    }

    /// Whether what is held back waits for an answer.
    fn waits_its_turn(&self) -> bool {
        self.framing.expects_head() && self.held.len() > self.passed && self.watch.head_since().is_none() && !self.shut
    }

    /// Gives what may be given. False: there is nothing.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.given == self.passed {
            return false;
        }
        let count = buf.remaining().min(self.passed - self.given);
        buf.put_slice(&self.held[self.given..self.given + count]);
        self.given += count;
        if self.given == self.passed {
            self.held.drain(..self.passed);
            (self.given, self.passed) = (0, 0);
        }
        true
    }

    /// Notes what was found in bytes that came. `pending`: some of them did not pass. `line`: how the
    /// refused head begins, if there is one.
    fn note(&mut self, followed: Followed, pending: bool, line: &str) {
        let Followed { heads, marks, refused, .. } = followed;
        self.watch.let_in(heads, marks);
        self.watch.body_is_open(self.framing.is_in_body());
        let coming = pending && self.framing.expects_head() && self.next_may_begin();
        if coming && (heads > 0 || self.watch.head_since().is_none()) {
            self.watch.head_comes();
        } else if !coming && self.watch.head_since().is_some() {
            self.watch.no_head_comes();
        }
        if let Some(refusal) = refused {
            self.refuse(refusal, line);
        } else if self.framing.is_lost() {
            self.shut_with(BROKEN);
        }
    }

    /// Puts a request in the place of the one that is refused. What passed before it stays before it.
    fn refuse(&mut self, refusal: Refusal, line: &str) {
        self.watch.refuse(refusal);
        self.shut_with(format!("{line} HTTP/1.1\r\n\r\n").as_bytes());
    }

    /// The last that hyper reads.
    fn shut_with(&mut self, bytes: &[u8]) {
        self.held.truncate(self.passed);
        self.held.extend_from_slice(bytes);
        self.passed = self.held.len();
        self.shut = true;
    }

    /// Looks again at what is held back, with more behind it or with more known.
    fn review(&mut self) {
        let next = self.next_may_begin();
        let followed = self.framing.follow(&self.held[self.passed..], next, &self.bounds);
        self.passed += followed.passes;
        let pending = &self.held[self.passed..];
        let line = if followed.refused.is_some() { repeatable(pending) } else { String::new() };
        self.note(followed, self.held.len() > self.passed, &line);
    }

    /// What was decided since the last look.
    fn catch_up(&mut self) {
        if self.framing.is_undecided()
            && let Some(switches) = self.watch.decided()
        {
            self.framing.decide(switches);
            self.review();
        }
        if self.waits_its_turn() && self.next_may_begin() {
            self.review();
        }
        // The head may have ended, or been refused, in the meantime.
        if self.watch.was_late() && self.watch.head_since().is_some() && !self.shut {
            let line = repeatable(&self.held[self.passed..]);
            self.refuse(Refusal::head_too_slow(), &line);
        }
    }
}

/// The method and target that a head begins with, if hyper can be given them.
fn repeatable(head: &[u8]) -> String {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let (method, target, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let plain = |target: &&[u8]| target.starts_with(b"/") && target.iter().all(|byte| byte.is_ascii_graphic());
    let known = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase) && more.is_some();
    let target = target.filter(plain).filter(|target| target.len() <= LINE_KEPT_MAX && !target.contains(&b'#'));
    let text = target.and_then(|target| std::str::from_utf8(target).ok()?.parse::<hyper::Uri>().ok());
    match text {
        Some(target) if known && method.len() <= LINE_KEPT_MAX => {
            format!("{} {target}", String::from_utf8_lossy(method))
        }
        _ => NAMELESS.to_owned(),
    }
}

/// Of a refused head's method and target no more than this is told.
const LINE_KEPT_MAX: usize = 1024;

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Reads on into what is held back. Ready(false) at the end of the stream.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let waits = self.framing.is_undecided() || self.waits_its_turn();
        if waits && self.held.len() >= AHEAD_BYTES_MAX {
            // What is waited for is this task's own: it polls again when that is there.
            return Poll::Pending;
        }
        let mut space = [0; READ_BYTES];
        let mut more = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut more))?;
        if more.filled().is_empty() {
            return Poll::Ready(Ok(false));
        }
        self.held.extend_from_slice(more.filled());
        self.review();
        Poll::Ready(Ok(true))
    }

    /// Reads straight into hyper's buffer; only what does not pass is held back.
    fn poll_through(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let fresh = &buf.filled()[before..];
        if fresh.is_empty() {
            return Poll::Ready(Ok(false));
        }
        let next = self.next_may_begin();
        let followed = self.framing.follow(fresh, next, &self.bounds);
        let (passes, pending) = (followed.passes, &fresh[followed.passes..]);
        if followed.refused.is_some() {
            let line = repeatable(pending);
            self.note(followed, true, &line);
        } else {
            self.held.extend_from_slice(pending);
            self.note(followed, !pending.is_empty(), "");
        }
        buf.set_filled(before + passes);
        Poll::Ready(Ok(true))
    }

    /// Reads and forgets until the client ends, fails or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Closing::Lingers(until) = &mut self.closing else { return Poll::Ready(()) };
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut forgotten = [0; READ_BYTES];
        for _ in 0..LINGER_READS_MAX {
            let mut buf = ReadBuf::new(&mut forgotten);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        // Others have a turn too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let gate = &mut *self;
        let before = buf.filled().len();
        loop {
            gate.catch_up();
            if gate.give(buf) {
                return Poll::Ready(Ok(()));
            }
            if gate.shut {
                // The answer is under way. An end of the stream, seen here, would cancel it.
                return Poll::Pending;
            }
            let came = if gate.held.is_empty() { gate.poll_through(cx, buf) } else { gate.poll_more(cx) };
            if !ready!(came)? || buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waits_its_turn() && self.next_may_begin() {
            // hyper was told to wait for more to come; what has come already wakes it.
            self.review();
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.closing, Closing::No) {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            let sending = self.shut || self.framing.is_in_body() || !self.held.is_empty();
            self.closing = match sending {
                true => Closing::Lingers(Box::pin(tokio::time::sleep(LINGER_FOR))),
                false => Closing::Done,
            };
        }
        ready!(self.poll_linger(cx));
        self.closing = Closing::Done;
        Poll::Ready(Ok(()))
    }
}
