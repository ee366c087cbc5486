//! The request's body on its way to an upstream.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::HeaderMap;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::expect::{Held, Hold, Word};
use crate::observe::clock::Tick;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Of a body that may be sent again, at most so much is kept; beyond that it is sent once.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Nothing, or a stream.
#[derive(Debug)]
pub enum Upload {
    Empty,
    Stream(Stream),
}

/// Says who is waited for while it is sent.
#[derive(Debug)]
pub struct Stream {
    source: Source,
    pace: watch::Sender<Pace>,
    /// Until its upstream asks for it.
    hold: Option<Hold>,
}

#[derive(Debug)]
enum Source {
    Once(UnsyncBoxBody<Bytes, BoxError>),
    Kept(Reader),
}

/// One attempt's reading of a body that is kept.
#[derive(Debug)]
struct Reader {
    shared: Arc<Mutex<Kept>>,
    number: u64,
    /// How much of what is kept was read.
    at: usize,
    trailers_read: bool,
}

/// A body, and what was read of it.
#[derive(Debug)]
pub(super) struct Kept {
    body: UnsyncBoxBody<Bytes, BoxError>,
    bytes: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// All that was read is in `bytes`.
    whole: bool,
    /// The body is at its end.
    ended: bool,
    /// The reader that may read: the one of the last attempt.
    reader: u64,
}

/// What a second attempt sends.
#[derive(Debug)]
pub(super) enum Replay {
    Empty,
    Stream(Arc<Mutex<Kept>>),
}

impl Replay {
    /// The body from its beginning; None when it is no longer all there. Whoever had it reads no more.
    pub fn again(&self) -> Option<Upload> {
        let Self::Stream(shared) = self else { return Some(Upload::Empty) };
        let number = {
            let mut kept = locked(shared);
            if !kept.whole {
                return None;
            }
            kept.reader += 1;
            kept.reader
        };
        Some(Upload::new(Source::Kept(Reader { shared: Arc::clone(shared), number, at: 0, trailers_read: false })))
    }
}

fn locked(shared: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reader {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut kept = locked(&self.shared);
        if kept.reader != self.number {
            return Poll::Ready(Some(Err("another attempt sends it".into())));
        }
        if let Some(rest) = kept.bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            let rest = Bytes::copy_from_slice(rest);
            self.at = kept.bytes.len();
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        if kept.ended {
            let trailers = kept.trailers.as_ref().filter(|_| !std::mem::replace(&mut self.trailers_read, true));
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers.clone()))));
        }
        let frame = ready!(Pin::new(&mut kept.body).poll_frame(cx));
        kept.remember(&frame);
        self.at = kept.bytes.len();
        self.trailers_read = kept.trailers.is_some();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let kept = locked(&self.shared);
        let read = self.at >= kept.bytes.len() && (self.trailers_read || kept.trailers.is_none());
        read && (kept.ended || kept.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let kept = locked(&self.shared);
        let again = kept.bytes.len().saturating_sub(self.at) as u64;
        let rest = if kept.ended { SizeHint::with_exact(0) } else { kept.body.size_hint() };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + again);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + again);
        }
        hint
    }
}

impl Kept {
    fn remember(&mut self, frame: &Option<Result<Frame<Bytes>, BoxError>>) {
        match frame {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref().filter(|_| self.whole) {
                    self.whole = self.bytes.len() + bytes.len() <= KEPT_BYTES_MAX;
                    if self.whole {
                        self.bytes.extend_from_slice(bytes);
                    } else {
                        self.bytes = Vec::new();
                    }
                }
                if let Some(trailers) = frame.trailers_ref() {
                    (self.trailers, self.ended) = (Some(trailers.clone()), true);
                }
            }
            Some(Err(_)) => self.whole = false,
            None => self.ended = true,
        }
    }
}

/// How an upload goes.
#[derive(Debug, Clone, Copy)]
struct Pace {
    turn: Turn,
    /// How long the client was waited for, its present turn not counted.
    client: Duration,
}

impl Pace {
    fn new() -> Self {
        Self { turn: Turn::Upstream(Tick::now()), client: Duration::ZERO }
    }

    fn waited_for_client(&self, now: Tick) -> Duration {
        let present = if let Turn::Client(since) = self.turn { now.since(since) } else { Duration::ZERO };
        self.client + present
    }
}

/// Who has to do something before an upload goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is waited for since then.
    Client(Tick),
    /// It got something then, and has not asked for more.
    Upstream(Tick),
    /// It got all of it then.
    Ended(Tick),
}

impl Upload {
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::new(Source::Once(body.map_err(Into::into).boxed_unsync()))
    }

    /// It is not asked for its first byte before its upstream wants it (`Expect: 100-continue`).
    pub fn held_back(self) -> Self {
        match self {
            Self::Stream(stream) => Self::Stream(Stream { hold: Some(Hold::new()), ..stream }),
            Self::Empty => Self::Empty,
        }
    }

    pub(super) fn word(&self) -> Option<Arc<Word>> {
        match self {
            Self::Stream(Stream { hold: Some(hold), .. }) => Some(hold.word()),
            Self::Stream(_) | Self::Empty => None,
        }
    }

    fn new(source: Source) -> Self {
        Self::Stream(Stream { source, pace: watch::Sender::new(Pace::new()), hold: None })
    }

    /// From now on what is read of it is kept, as far as it fits.
    pub(super) fn keep(&mut self) -> Replay {
        let (body, pace, hold) = match std::mem::replace(self, Self::Empty) {
            Self::Stream(Stream { source: Source::Once(body), pace, hold }) => (body, pace, hold),
            Self::Stream(Stream { source: Source::Kept(reader), pace, hold }) => {
                let shared = Arc::clone(&reader.shared);
                *self = Self::Stream(Stream { source: Source::Kept(reader), pace, hold });
                return Replay::Stream(shared);
            }
            Self::Empty => return Replay::Empty,
        };
        let kept = Kept { body, bytes: Vec::new(), trailers: None, whole: true, ended: false, reader: 0 };
        let shared = Arc::new(Mutex::new(kept));
        let reader = Reader { shared: Arc::clone(&shared), number: 0, at: 0, trailers_read: false };
        *self = Self::Stream(Stream { source: Source::Kept(reader), pace, hold });
        Replay::Stream(shared)
    }

    /// How it goes on once it is sent.
    pub(super) fn progress(&self) -> Progress {
        let started = Tick::now();
        match self {
            Self::Empty => Progress { started, pace: None, word: None },
            Self::Stream(stream) => {
                stream.pace.send_replace(Pace { turn: Turn::Upstream(started), client: Duration::ZERO });
                Progress { started, pace: Some(stream.pace.subscribe()), word: self.word() }
            }
        }
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Once(body) => Pin::new(body).poll_frame(cx),
            Self::Kept(reader) => reader.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Once(body) => body.is_end_stream(),
            Self::Kept(reader) => reader.is_end_stream(),
        }
    }
}

impl Stream {
    /// Tells whose turn it is after a poll.
    fn polled(&self, frame: &Poll<Option<Result<Frame<Bytes>, BoxError>>>) {
        let now = Tick::now();
        let turn = match frame {
            Poll::Ready(Some(Ok(frame))) if !frame.is_trailers() && !self.source.is_end_stream() => Turn::Upstream(now),
            Poll::Ready(Some(Ok(_)) | None) => Turn::Ended(now),
            // Whoever sends it is told of an error by the error itself.
            Poll::Pending | Poll::Ready(Some(Err(_))) => Turn::Client(now),
        };
        self.pace.send_if_modified(|pace| {
            let goes_on = matches!((pace.turn, turn), (Turn::Ended(_), _) | (Turn::Client(_), Turn::Client(_)));
            if !goes_on {
                *pace = Pace { turn, client: pace.waited_for_client(now) };
            }
            !goes_on
        });
    }
}

/// What the one who sends an upload knows of it while it is away.
#[derive(Debug, Clone)]
pub struct Progress {
    started: Tick,
    /// None: there was nothing to upload.
    pace: Option<watch::Receiver<Pace>>,
    word: Option<Arc<Word>>,
}

impl Progress {
    /// A final answer has come.
    pub fn answered(&self) {
        if let Some(word) = &self.word {
            word.answered();
        }
    }

    /// From when on the upstream's time counts: it has had the whole request. None while it has not.
    pub fn ended_at(&self) -> Option<Tick> {
        match &self.pace {
            None => Some(self.started),
            Some(pace) => match pace.borrow().turn {
                Turn::Ended(at) => Some(at),
                Turn::Client(_) | Turn::Upstream(_) => None,
            },
        }
    }

    /// How long the client has been waited for.
    pub fn waited_for_client(&self, now: Tick) -> Duration {
        self.pace.as_ref().map_or(Duration::ZERO, |pace| pace.borrow().waited_for_client(now))
    }

    /// Waits until the upstream alone has kept us waiting for `patience` at one time, or for `in_all`. While it
    /// is the client's turn no time counts: the client's body has a bound of its own.
    pub async fn upstream_overdue(&self, patience: Duration, in_all: Option<Duration>, mut alarm: Pin<&mut Sleep>) {
        let bounds = Patience { started: self.started, at_once: patience, in_all };
        let left = match &self.pace {
            None => bounds.left(self.started, Duration::ZERO),
            Some(pace) => Box::pin(uploaded(pace.clone(), bounds)).await,
        };
        alarm.as_mut().reset(Instant::now() + left);
        alarm.await;
    }
}

/// How long an upstream may keep us waiting.
#[derive(Debug, Clone, Copy)]
struct Patience {
    started: Tick,
    at_once: Duration,
    in_all: Option<Duration>,
}

impl Patience {
    /// What is left of it for one who has been waited for `since` then, the `client` for so long before.
    fn left(self, since: Tick, client: Duration) -> Duration {
        let at_once = left(since, self.at_once);
        self.in_all.map_or(at_once, |in_all| at_once.min(left(self.started, in_all + client)))
    }
}

/// Waits for the end of an upload, or until the upstream has been too slow at it; what patience is left then.
async fn uploaded(mut changes: watch::Receiver<Pace>, patience: Patience) -> Duration {
    loop {
        let Pace { turn, client } = *changes.borrow_and_update();
        let changed = match turn {
            Turn::Client(_) => changes.changed().await,
            Turn::Ended(at) => return patience.left(at, client),
            Turn::Upstream(at) => match tokio::time::timeout(patience.left(at, client), changes.changed()).await {
                Ok(changed) => changed,
                Err(_) => return Duration::ZERO,
            },
        };
        if changed.is_err() {
            // The body was dropped before its end: nothing more will go out.
            return patience.left(Tick::now(), client);
        }
    }
}

fn left(since: Tick, patience: Duration) -> Duration {
    patience.saturating_sub(Tick::now().since(since))
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream(stream) => {
                if let Some(hold) = &mut stream.hold {
                    if ready!(hold.poll(cx)) == Held::Answered {
                        // Nobody wants it, and so its client hears; the connection upstream, to which a
                        // body was announced, ends with its answer.
                        let nothing = http_body_util::Empty::new().map_err(|never| match never {});
                        stream.source = Source::Once(nothing.boxed_unsync());
                        return Poll::Pending;
                    }
                    stream.hold = None;
                }
                let frame = stream.source.poll_frame(cx);
                stream.polled(&frame);
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(stream) => stream.source.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(Stream { source: Source::Once(body), .. }) => body.size_hint(),
            Self::Stream(Stream { source: Source::Kept(reader), .. }) => reader.size_hint(),
        }
    }
}
