//! A stream that remembers when bytes passed, and the first of them when asked to.
//!
//! Around a TCP socket it times a handshake; around a TLS stream it keeps the decrypted bytes of a probe.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::clock::Tick;

/// Bytes kept of each direction: enough for every head that is accepted, and the start of a body.
pub const KEPT_BYTES_MAX: usize = 18 * 1024;

/// What passed through since the last [`TapHandle::take`].
#[derive(Debug, Clone, Default)]
pub struct Passed {
    pub first_read: Option<Tick>,
    pub last_read: Option<Tick>,
    pub first_write: Option<Tick>,
    pub last_write: Option<Tick>,
    pub bytes_read: u64,
    pub bytes_written: u64,
    /// The first bytes read and written, up to [`KEPT_BYTES_MAX`] each; empty unless keeping is on.
    pub read: Vec<u8>,
    pub written: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    keep: bool,
    passed: Passed,
}

/// Reads what a [`Tap`] saw.
#[derive(Debug, Clone, Default)]
pub struct TapHandle(Arc<Mutex<State>>);

impl TapHandle {
    /// Forgets what passed, and keeps bytes from now on if `keep`.
    pub fn reset(&self, keep: bool) {
        self.with(|state| *state = State { keep, passed: Passed::default() });
    }

    /// Takes what passed since the last call.
    pub fn take(&self) -> Passed {
        self.with(|state| std::mem::take(&mut state.passed))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The stream itself.
#[derive(Debug)]
pub struct Tap<S> {
    inner: S,
    handle: TapHandle,
}

impl<S> Tap<S> {
    pub fn new(inner: S) -> (Self, TapHandle) {
        let handle = TapHandle::default();
        (Self { inner, handle: handle.clone() }, handle)
    }

    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = KEPT_BYTES_MAX.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = &buf.filled()[before..];
        if polled.is_ready() && !read.is_empty() {
            let now = Tick::now();
            self.handle.with(|state| {
                state.passed.first_read.get_or_insert(now);
                state.passed.last_read = Some(now);
                state.passed.bytes_read += read.len() as u64;
                if state.keep {
                    keep(&mut state.passed.read, read);
                }
            });
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> Tap<S> {
    fn wrote(&self, polled: &Poll<io::Result<usize>>, bytes: impl FnOnce(&mut Vec<u8>, usize)) {
        if let Poll::Ready(Ok(count)) = *polled {
            let now = Tick::now();
            self.handle.with(|state| {
                state.passed.first_write.get_or_insert(now);
                state.passed.last_write = Some(now);
                state.passed.bytes_written += count as u64;
                if state.keep {
                    bytes(&mut state.passed.written, count);
                }
            });
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(&polled, |kept, count| keep(kept, &buf[..count]));
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(&polled, |kept, mut count| {
            for buf in bufs {
                let taken = buf.len().min(count);
                keep(kept, &buf[..taken]);
                count -= taken;
            }
        });
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
