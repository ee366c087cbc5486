//! An upstream's answer: its head is there, its body streams.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::http::response;

use super::connection::Connection;
use super::upstream::InFlight;
use crate::observe::clock::Tick;

/// How long an upload may go on after its answer has ended; then the connection is closed.
const UPLOAD_LINGERS_FOR: Duration = Duration::from_secs(1);

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
}

/// Streams. At its end the connection is kept; dropped before, the connection is closed, so that the
/// upstream stops working for a client that left.
#[derive(Debug)]
pub struct AnswerBody {
    incoming: Incoming,
    lease: Option<(Connection, InFlight)>,
}

impl AnswerBody {
    pub(super) fn new(incoming: Incoming, connection: Connection, in_flight: InFlight) -> Self {
        let mut body = Self { incoming, lease: Some((connection, in_flight)) };
        if body.incoming.is_end_stream() {
            body.release();
        }
        body
    }

    fn release(&mut self) {
        let Some((mut connection, in_flight)) = self.lease.take() else { return };
        if connection.is_usable() {
            in_flight.upstream().pool.put(connection);
        } else if !connection.is_closed() {
            // The answer came before the upload's end, or the connection's task is a step behind.
            tokio::spawn(async move {
                if let Ok(true) = tokio::time::timeout(UPLOAD_LINGERS_FOR, connection.becomes_usable()).await {
                    in_flight.upstream().pool.put(connection);
                }
            });
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let body = self.get_mut();
        let frame = ready!(Pin::new(&mut body.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(_)) if !body.incoming.is_end_stream() => {}
            Some(Ok(_)) | None => body.release(),
            Some(Err(_)) => body.lease = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
