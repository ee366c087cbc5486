//! A connection on which the head of an answer can leave in small pieces.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Levers;
use super::answer::Late;

/// Pieces that a head is cut into.
const PIECES: usize = 16;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

#[derive(Debug)]
pub struct Trickle<S> {
    inner: S,
    levers: Levers,
    head: Option<Head>,
}

/// A head on its way.
struct Head {
    left: usize,
    piece: usize,
    /// So much of it may leave now.
    due: usize,
    pause: Duration,
    next: Pin<Box<Sleep>>,
    /// Once it is, the rest leaves at once.
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("left", &self.left).field("pause", &self.pause).finish_non_exhaustive()
    }
}

impl Head {
    /// `written` begins with it.
    fn new(written: &[u8], late: Late) -> Self {
        let end = written.windows(END_OF_HEAD.len()).position(|bytes| bytes == END_OF_HEAD);
        let left = end.map_or(written.len(), |end| end + END_OF_HEAD.len());
        let pause = late.delay() / PIECES as u32;
        let (piece, next) = (left.div_ceil(PIECES).max(1), Box::pin(tokio::time::sleep(pause)));
        Self { left, piece, due: 0, pause, next, over: Box::pin(late.end()) }
    }

    /// Ready, with how much of it may leave.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        match self.over.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(self.left),
            Poll::Pending => self.next.as_mut().poll(cx).map(|()| self.piece.min(self.left)),
        }
    }
}

impl<S> Trickle<S> {
    pub fn new(inner: S, levers: Levers) -> Self {
        Self { inner, levers, head: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Trickle<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> Trickle<S> {
    /// Writes the next piece of the head once it is time to.
    fn poll_piece(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Some(head) = &mut self.head else { return Pin::new(&mut self.inner).poll_write(cx, buf) };
        if head.due == 0 {
            head.due = ready!(head.poll_due(cx));
        }
        let piece = head.due.min(buf.len());
        let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &buf[..piece]))?;
        head.left -= count;
        head.due -= count;
        if head.due == 0 {
            head.next.as_mut().reset(Instant::now() + head.pause);
        }
        if head.left == 0 {
            self.head = None;
        }
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Trickle<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(late) = self.levers.take_trickle() {
            self.head = Some(Head::new(buf, late));
        }
        if self.head.is_some() {
            // Each piece leaves by itself: a layer below would gather them.
            ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        }
        self.poll_piece(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(late) = self.levers.take_trickle() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            self.head = Some(Head::new(first, late));
        }
        if self.head.is_none() {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        }
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        self.poll_piece(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
