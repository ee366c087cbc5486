//! An upstream's answer: its head is there, its body streams.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, Limited};
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::response;
use tokio::time::{Instant, Sleep};

use super::connection::Connection;
use super::in_flight::InFlight;
use super::upgrade::Switched;
use crate::observe::clock::Tick;

/// How long an upload may go on after its answer has ended; then the connection is closed.
const LINGERS_FOR: Duration = Duration::from_secs(1);

/// An error is kept while another upstream is asked if it is no longer than this, and there within this time.
const KEPT_BYTES_MAX: usize = 64 * 1024;
const KEPT_WITHIN: Duration = Duration::from_millis(250);

/// What [`super::Balancer::forward`] found.
#[derive(Debug)]
pub struct Answer {
    pub head: response::Parts,
    pub body: AnswerBody,
    /// When the head was received.
    pub head_at: Tick,
    /// Whether an instance of ours answered: it writes a part of the trace.
    pub own: bool,
    /// The upstream's id.
    pub upstream: String,
    /// The client is to come back to this upstream: what its sticky cookie is to say from now on.
    pub stick_to: Option<String>,
    /// It switched to another protocol, as the request asked.
    pub switched: Option<Switched>,
}

/// Why an answer ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    /// Told to one who reads what another fetched.
    #[error("{0}")]
    Elsewhere(Arc<str>),
}

/// Streams. At its end the connection is kept; dropped before, the connection is closed, so that the
/// upstream stops working for a client that left.
#[derive(Debug)]
pub struct AnswerBody {
    source: Source,
    /// How long the upstream may be silent.
    patience: Duration,
    /// The end of that, while it is silent. Made once, since few answers need it.
    deadline: Option<Pin<Box<Sleep>>>,
    silent: bool,
    lease: Option<(Connection, InFlight)>,
}

#[derive(Debug)]
enum Source {
    Stream(Incoming),
    Kept(Full<Bytes>),
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self {
            Self::Stream(incoming) => Pin::new(incoming).poll_frame(cx),
            Self::Kept(bytes) => Pin::new(bytes).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Stream(incoming) => incoming.is_end_stream(),
            Self::Kept(bytes) => bytes.is_end_stream(),
        }
    }
}

impl AnswerBody {
    /// Without a lease the connection is not this answer's to keep.
    pub(super) fn new(incoming: Incoming, patience: Duration, lease: Option<(Connection, InFlight)>) -> Self {
        let mut body = Self { source: Source::Stream(incoming), patience, deadline: None, silent: false, lease };
        if body.source.is_end_stream() {
            body.release();
        }
        body
    }

    /// Waits for no longer than the upstream may be silent.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if !self.silent {
            self.silent = true;
            deadline.as_mut().reset(Instant::now() + patience);
        }
        deadline.as_mut().poll(cx)
    }

    /// The whole body, if it is short and comes at once. Its place is free then, and its connection kept: an
    /// upstream that answers errors under load would else be given handshakes on top.
    pub(super) async fn keep(self) -> Option<Self> {
        let patience = self.patience;
        let reading = tokio::time::timeout(KEPT_WITHIN, Limited::new(self, KEPT_BYTES_MAX).collect());
        let bytes = reading.await.ok()?.ok()?.to_bytes();
        Some(Self { source: Source::Kept(Full::new(bytes)), patience, deadline: None, silent: false, lease: None })
    }

    /// The upstream is to blame, and its connection closed.
    fn cut(&mut self, silent: Option<Duration>) {
        if let Some((connection, mut in_flight)) = self.lease.take() {
            drop(connection);
            in_flight.cut(silent);
        }
    }

    fn release(&mut self) {
        let Some((mut connection, mut in_flight)) = self.lease.take() else { return };
        in_flight.finished();
        if connection.is_usable() {
            in_flight.upstream().pool.put(connection);
        } else if !connection.is_closed() {
            // The answer came before the upload's end, or the connection's task is a step behind.
            tokio::spawn(async move {
                if let Ok(true) = tokio::time::timeout(LINGERS_FOR, connection.becomes_usable()).await {
                    in_flight.upstream().pool.put(connection);
                }
            });
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let body = self.get_mut();
        let Poll::Ready(frame) = body.source.poll_frame(cx) else {
            ready!(body.poll_silence(cx));
            body.cut(Some(body.patience));
            return Poll::Ready(Some(Err(Cut::Silent(body.patience))));
        };
        body.silent = false;
        match &frame {
            Some(Ok(_)) if !body.source.is_end_stream() => {}
            Some(Ok(_)) | None => body.release(),
            Some(Err(_)) => body.cut(None),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Cut::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Stream(incoming) => incoming.size_hint(),
            Source::Kept(bytes) => bytes.size_hint(),
        }
    }
}

/// Whether the answer goes on for as long as its client listens.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}
