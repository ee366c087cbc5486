//! Bounds what an upstream may send before its answer's head is complete. hyper bounds one head, but not how
//! many informational ones (1xx) come before it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// All heads of one answer, and what of the body comes in the same read. hyper reads at most half of this at
/// once.
const BYTES_MAX: usize = 256 * 1024;
/// No head is waited for.
const NO_HEAD: usize = usize::MAX;

/// Bytes read since the request was sent.
#[derive(Debug)]
pub struct HeadLimit(AtomicUsize);

impl Default for HeadLimit {
    fn default() -> Self {
        Self(AtomicUsize::new(NO_HEAD))
    }
}

impl HeadLimit {
    /// A head is waited for from now on.
    pub fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// It has come, or never will. Returns the bytes read meanwhile.
    pub fn end(&self) -> usize {
        self.0.swap(NO_HEAD, Ordering::Relaxed)
    }

    /// Whether so many more bytes are too many.
    fn exceeds(&self, bytes: usize) -> bool {
        let count = |read: usize| (read != NO_HEAD).then(|| read.saturating_add(bytes).min(NO_HEAD - 1));
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        before.is_ok_and(|before| before.saturating_add(bytes) > BYTES_MAX)
    }
}

/// A stream whose reader counts.
#[derive(Debug)]
pub struct Limited<S> {
    stream: S,
    limit: Arc<HeadLimit>,
}

impl<S> Limited<S> {
    pub const fn new(stream: S, limit: Arc<HeadLimit>) -> Self {
        Self { stream, limit }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if this.limit.exceeds(buf.filled().len() - before) {
            return Poll::Ready(Err(io::Error::other("informational answers without end, and no final one")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
