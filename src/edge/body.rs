//! The two bodies of a request: what the client sends, counted and bounded, and what it is sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::cache::{self, Reader};
use super::compress::{Encoded, Encoder};
use super::faults::Flaw;
use super::offer::Offer;
use super::record::Exchange;
use super::site::BodyBounds;
use super::trailers;
use crate::balancer::answer::{AnswerBody, Cut};
use crate::balancer::upload::BoxError;

/// What went wrong with an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("the body is larger than it may be")]
    TooLarge,
    #[error("the body took longer than it may")]
    TooSlow,
}

/// How an upload is going; shared, since the body itself is away at the upstream's connection.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    trouble: AtomicU8,
    ended: AtomicBool,
}

impl Progress {
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn add(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Whether it was read to its end.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub fn trouble(&self) -> Option<Trouble> {
        match self.trouble.load(Ordering::Acquire) {
            1 => Some(Trouble::TooLarge),
            2 => Some(Trouble::TooSlow),
            _ => None,
        }
    }

    fn fail(&self, trouble: Trouble) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.trouble.store(if trouble == Trouble::TooLarge { 1 } else { 2 }, Ordering::Release);
        Poll::Ready(Some(Err(Box::new(trouble))))
    }
}

/// The client's body. Ends with an error where it becomes too large or too slow, whatever it announced.
#[derive(Debug)]
pub struct UploadBody {
    incoming: Incoming,
    progress: Arc<Progress>,
    bounds: BodyBounds,
    /// How long it has kept us waiting; time in which nobody asks for more is not its own.
    waited: Duration,
    waiting_since: Option<Instant>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl UploadBody {
    pub fn new(incoming: Incoming, bounds: BodyBounds) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        let body = Self {
            incoming,
            progress: Arc::clone(&progress),
            bounds,
            waited: Duration::ZERO,
            waiting_since: None,
            deadline: None,
        };
        (body, progress)
    }

    /// Waits for no longer than the rate and the whole time allow.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            let earned =
                Duration::from_millis(self.progress.bytes().saturating_mul(1_000) / self.bounds.rate_min.max(1));
            let left = self.bounds.grace.saturating_add(earned).min(self.bounds.timeout).saturating_sub(self.waited);
            match &mut self.deadline {
                Some(deadline) => deadline.as_mut().reset(now + left),
                None => self.deadline = Some(Box::pin(tokio::time::sleep(left))),
            }
        }
        self.deadline.as_mut().map_or(Poll::Pending, |deadline| deadline.as_mut().poll(cx))
    }
}

/// Reads over a body of which all has come, so that its connection is good for the next request. False: it is
/// none.
pub async fn read_over(mut incoming: Incoming) -> bool {
    while let Some(frame) = incoming.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut body.incoming).poll_frame(cx) else {
            ready!(body.poll_patience(cx));
            return body.progress.fail(Trouble::TooSlow);
        };
        if let Some(since) = body.waiting_since.take() {
            body.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame {
            body.progress.add(frame.data_ref().map_or(0, Bytes::len));
            if body.progress.bytes() > body.bounds.bytes_max {
                return body.progress.fail(Trouble::TooLarge);
            }
        }
        // Nobody asks for more behind trailers, or where the length is reached.
        let last = frame.as_ref().is_none_or(|frame| frame.as_ref().is_ok_and(Frame::is_trailers));
        if last || body.incoming.is_end_stream() {
            body.progress.ended.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame.and_then(|frame| frame.map_err(Into::into).map(trailers::pass).transpose()))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Why an answer ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error(transparent)]
    Upstream(#[from] Cut),
    #[error("it could not be encoded: {0}")]
    Encoder(#[from] io::Error),
    /// By a fault, whose key this is.
    #[error("{0} is on")]
    OnPurpose(&'static str),
}

/// What is kept goes out in pieces, so that an answer is under way until its client has taken nearly all of it.
const PIECE_BYTES: usize = 64 * 1024;

/// What the client is sent. When it has been handed over, or nobody wants it any more, the exchange is over.
#[derive(Debug)]
pub struct EdgeBody {
    source: Encoded<Source>,
    offer: Arc<Offer>,
    exchange: Option<Exchange>,
    flaw: Option<Box<Flaw>>,
}

#[derive(Debug)]
enum Source {
    Whole(Option<Bytes>),
    Growing(Reader),
    Stream(AnswerBody),
}

impl EdgeBody {
    pub fn whole(bytes: Bytes, exchange: Exchange) -> Self {
        Self::new(Source::Whole((!bytes.is_empty()).then_some(bytes)), None, exchange)
    }

    pub fn of(body: cache::Body, encoder: Option<Encoder>, exchange: Exchange) -> Self {
        let source = match body {
            cache::Body::Whole(bytes) => Source::Whole((!bytes.is_empty()).then_some(bytes)),
            cache::Body::Growing(reader) => Source::Growing(reader),
            cache::Body::Upstream(stream) => Source::Stream(stream),
        };
        Self::new(source, encoder, exchange)
    }

    /// Nothing: the exchange goes on elsewhere.
    pub fn nothing(offer: Arc<Offer>) -> Self {
        Self { source: Encoded::new(Source::Whole(None), None), offer, exchange: None, flaw: None }
    }

    fn new(source: Source, encoder: Option<Encoder>, exchange: Exchange) -> Self {
        let offer = exchange.offer();
        offer.stands();
        Self { source: Encoded::new(source, encoder), offer, exchange: Some(exchange), flaw: None }
    }

    /// It is given as this says, not as it is.
    pub fn breaks(&mut self, flaw: Flaw) {
        self.flaw = Some(Box::new(flaw));
    }

    fn over(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.offer.is_taken();
            exchange.delivered();
        }
    }
}

fn piece(rest: &mut Option<Bytes>) -> Option<Bytes> {
    match rest {
        Some(bytes) if bytes.len() > PIECE_BYTES => Some(bytes.split_to(PIECE_BYTES)),
        _ => rest.take(),
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = match self.get_mut() {
            Source::Whole(bytes) => return Poll::Ready(piece(bytes).map(|piece| Ok(Frame::data(piece)))),
            Source::Growing(reader) => ready!(Pin::new(reader).poll_frame(cx)),
            Source::Stream(stream) => ready!(Pin::new(stream).poll_frame(cx)),
        };
        Poll::Ready(frame.and_then(|frame| frame.map_err(Broken::from).map(trailers::pass).transpose()))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Growing(reader) => reader.is_end_stream(),
            Source::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Growing(reader) => reader.size_hint(),
            Source::Stream(stream) => stream.size_hint(),
        }
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let body = self.get_mut();
        let polled = match &mut body.flaw {
            None => Pin::new(&mut body.source).poll_frame(cx),
            Some(flaw) => flaw.poll_frame(&mut body.source, cx),
        };
        let Poll::Ready(frame) = polled else {
            body.offer.is_taken();
            return Poll::Pending;
        };
        body.offer.stands();
        match (&frame, &mut body.exchange) {
            (Some(Ok(frame)), Some(exchange)) => exchange.count(frame.data_ref().map_or(0, Bytes::len)),
            // hyper aborts the client's message too: a cut answer never ends as if it were whole.
            (Some(Err(error)), Some(exchange)) => exchange.truncated(error),
            _ => {}
        }
        if frame.is_none() || body.is_end_stream() {
            body.over();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // One that is broken says itself when it has ended.
        self.flaw.is_none() && self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.flaw.as_ref().and_then(|flaw| flaw.short_of) {
            Some(announced) => SizeHint::with_exact(announced),
            None => self.source.size_hint(),
        }
    }
}

impl Drop for EdgeBody {
    fn drop(&mut self) {
        // An answer without a body is never polled: it is over with its head. What is left in an
        // exchange that isn't over was not wanted any more, and its own drop says so.
        if self.is_end_stream() {
            self.over();
        }
    }
}
