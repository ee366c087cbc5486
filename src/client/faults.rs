//! What can be broken about the stack's own client, and how far away it is: the conditions of one request.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::CertificateError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::faults::wire::Length;
use crate::faults::{self, Place, Strike};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Direction, Span, Status};
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;

/// Between the last byte that is sent and the end: long enough for the server to have begun.
const HESITATION: Duration = Duration::from_millis(20);

/// Where a request is broken off by its own sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct HangUp {
    strike: Strike,
    /// How much of the body is sent first.
    body_bytes: usize,
}

impl HangUp {
    /// What happened, as the one who waits for the answer reads it.
    pub fn explain(&self) -> String {
        let when = match self.strike.fault {
            Fault::ClientHalfBody => "in the middle of the request's body",
            _ => "as soon as it had sent the request",
        };
        format!(
            "Our own client closed the connection {when}: {} is on. Nobody reads an answer.",
            self.strike.fault.key()
        )
    }
}

/// Under what conditions one request is sent; drawn once for it.
#[derive(Debug, Default)]
pub(super) struct Conditions<'a> {
    /// None: a client that nothing here can break.
    settings: Option<&'a Settings>,
    /// What a byte takes to the edge or back.
    one_way: Duration,
    slow: Option<Strike>,
    pub hang_up: Option<HangUp>,
}

impl<'a> Conditions<'a> {
    pub fn drawn(settings: Option<&'a Settings>, path: &str, body_bytes: usize) -> Self {
        let Some(settings) = settings else { return Self::default() };
        let place = Place::path(path);
        let slow = faults::strike(settings, Fault::ClientSlowNetwork, place);
        let half = || faults::strike(settings, Fault::ClientHalfBody, place).filter(|_| body_bytes > 0);
        let half = half().map(|strike| HangUp { strike, body_bytes: body_bytes / 2 });
        let early =
            || faults::strike(settings, Fault::ClientHangsUp, place).map(|strike| HangUp { strike, body_bytes });
        let distance = settings.snapshot().client.to_edge();
        Self {
            settings: Some(settings),
            one_way: distance + slow.map_or(Duration::ZERO, |strike| strike.delay()),
            slow,
            hang_up: half.or_else(early),
        }
    }

    pub fn one_way(&self) -> Duration {
        self.one_way
    }

    /// A connection's first round trip, beneath `parent` from `at` on, which is moved to its end.
    pub async fn there_and_back(&self, parent: &Span, at: &mut Tick) {
        if self.one_way.is_zero() {
            return;
        }
        let names = ["Distance to the edge, there and back", "Slow network, there and back"];
        let span = self.named(parent.child_at(Hop::Client, names[usize::from(self.slow.is_some())], *at));
        Length::of(self.one_way).round_trip().await;
        *at = Tick::now();
        span.end_at(*at);
    }

    /// Records the way out, which began at `from`; returns where it ended, at `until` at the latest.
    pub fn out(&self, parent: &Span, from: Tick, until: Tick) -> Tick {
        if self.one_way.is_zero() {
            return from;
        }
        let end = (from + self.one_way).min(until);
        let names = ["Distance to the edge", "Slow network, on the way out"];
        self.named(parent.record(Hop::Client, names[usize::from(self.slow.is_some())], from, end));
        end
    }

    /// Records the way back, which ended at `until`; returns where it began, at `from` at the earliest.
    pub fn back(&self, parent: &Span, from: Tick, until: Tick) -> Tick {
        if self.one_way.is_zero() {
            return until;
        }
        let start = Tick::from_nanos(until.as_nanos().saturating_sub(self.one_way.as_nanos() as u64)).max(from);
        let names = ["Distance back from the edge", "Slow network, on the way back"];
        let span = self.named(parent.record(Hop::Client, names[usize::from(self.slow.is_some())], start, until));
        span.direction(Direction::Back);
        start
    }

    /// Records the closing of a request's connection by its own sender; says what happened.
    pub fn hung_up(&self, parent: &Span, from: Tick, until: Tick) -> String {
        let span = parent.record(Hop::Client, "Hang up", from, until);
        span.status(Status::Error);
        let Some(hang_up) = self.hang_up else { return String::new() };
        hang_up.strike.mark(&span);
        hang_up.explain()
    }

    fn named(&self, span: Span) -> Span {
        span.attribute("roundtrip.client.one_way_ms", || self.one_way.as_millis() as u64);
        if let Some(slow) = self.slow {
            slow.mark(&span);
        }
        span
    }

    /// Marks the step at which a handshake ended, if a fault of this stack is the reason: its server has no request to
    /// tell of it with.
    pub fn blame(&self, error: &io::Error, span: &Span) {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let fault = match tls {
            Some(rustls::Error::InvalidCertificate(why)) => match why {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Fault::TlsExpired,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Fault::TlsWrongName
                }
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Fault::TlsUnknownSigner,
                _ => return,
            },
            None if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                Fault::TlsCut
            }
            _ => return,
        };
        let on = self.settings.and_then(|settings| faults::is_on(settings, fault, Place::ANYWHERE));
        if let Some(strike) = on {
            strike.mark(span);
        }
    }
}

/// Decides after how much of a request a connection is closed; shared with its [`Cut`].
#[derive(Debug, Clone, Default)]
pub(super) struct Scissors(Arc<Mutex<Blade>>);

#[derive(Debug, Clone, Copy, Default)]
enum Blade {
    #[default]
    Away,
    /// So much of the head's end ("\r\n\r\n") was seen; after it so much of the body may pass.
    Head {
        seen: usize,
        body_bytes: usize,
    },
    Body {
        left: usize,
    },
    Closed,
}

impl Scissors {
    /// For the request that is sent next.
    pub fn set(&self, hang_up: Option<HangUp>) {
        *self.blade() = match hang_up {
            Some(HangUp { body_bytes, .. }) => Blade::Head { seen: 0, body_bytes },
            None => Blade::Away,
        };
    }

    pub fn have_cut(&self) -> bool {
        matches!(*self.blade(), Blade::Closed)
    }

    fn blade(&self) -> MutexGuard<'_, Blade> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blade {
    const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";

    /// Goes on over what is sent; returns how much of it may be.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let Self::Head { seen, body_bytes } = self
            && let Some(byte) = bytes.get(passed)
        {
            *seen = if *byte == Self::END_OF_HEAD[*seen] { *seen + 1 } else { usize::from(*byte == b'\r') };
            passed += 1;
            if *seen == Self::END_OF_HEAD.len() {
                *self = Self::Body { left: *body_bytes };
            }
        }
        match self {
            Self::Away => bytes.len(),
            Self::Body { left } => {
                let more = (bytes.len() - passed).min(*left);
                *left -= more;
                passed + more
            }
            Self::Head { .. } | Self::Closed => passed,
        }
    }

    fn falls(self) -> bool {
        matches!(self, Self::Body { left: 0 } | Self::Closed)
    }
}

/// A connection that its own client may close early.
#[derive(Debug)]
pub(super) struct Cut<S> {
    inner: S,
    scissors: Scissors,
    hesitation: Option<Pin<Box<Sleep>>>,
}

impl<S> Cut<S> {
    pub fn new(inner: S) -> (Self, Scissors) {
        let scissors = Scissors::default();
        (Self { inner, scissors: scissors.clone(), hesitation: None }, scissors)
    }
}

impl<S: AsyncWrite + Unpin> Cut<S> {
    /// Closes for real, once all that may be sent has been.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.scissors.have_cut() {
            let hesitation = self.hesitation.get_or_insert_with(|| Box::pin(tokio::time::sleep(HESITATION)));
            ready!(hesitation.as_mut().poll(cx));
            if let Err(error) = ready!(Pin::new(&mut self.inner).poll_flush(cx)) {
                return Poll::Ready(error);
            }
            // What the far end does meanwhile changes nothing.
            let _ = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
            *self.scissors.blade() = Blade::Closed;
        }
        Poll::Ready(io::ErrorKind::ConnectionAborted.into())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Cut<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.scissors.blade().falls() {
            // An answer that comes meanwhile is for nobody.
            return self.poll_close(cx).map(Err);
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let blade = *self.scissors.blade();
        if blade.falls() {
            return self.poll_close(cx).map(Err);
        }
        let may = blade.clone().pass(buf);
        let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &buf[..may]))?;
        self.scissors.blade().pass(&buf[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        // Whoever waits for an answer may not look before one comes: this wakes it.
        if self.scissors.blade().falls()
            && let Poll::Ready(error) = self.poll_close(cx)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_passes_whole_however_it_is_written_and_of_the_body_so_much() {
        let request = b"POST / HTTP/1.1\r\nA: \r\r\n\r\nbody";
        for piece in 1..request.len() {
            let mut blade = Blade::Head { seen: 0, body_bytes: 2 };
            let passed: usize = request.chunks(piece).map(|piece| blade.pass(piece)).sum();
            assert_eq!(&request[..passed], b"POST / HTTP/1.1\r\nA: \r\r\n\r\nbo", "in pieces of {piece}");
            assert!(blade.falls());
        }
    }
}
