//! The request's body on its way to an upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::watch;

use super::expect::{Held, Hold, Word};
use crate::observe::clock::Tick;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Nothing, or a stream that is read once. Only the former can be sent again.
#[derive(Debug)]
pub enum Upload {
    Empty,
    Stream(Stream),
}

/// Says who is waited for while it is sent.
#[derive(Debug)]
pub struct Stream {
    body: UnsyncBoxBody<Bytes, BoxError>,
    turn: watch::Sender<Turn>,
    /// Until its upstream asks for it.
    hold: Option<Hold>,
}

/// Who has to do something before an upload goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Client,
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
        let turn = watch::Sender::new(Turn::Upstream(Tick::now()));
        Self::Stream(Stream { body: body.map_err(Into::into).boxed_unsync(), turn, hold: None })
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

    pub const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// How it goes on once it is sent.
    pub(super) fn progress(&self) -> Progress {
        let started = Tick::now();
        match self {
            Self::Empty => Progress { started, turn: None, word: None },
            Self::Stream(stream) => {
                stream.turn.send_replace(Turn::Upstream(started));
                Progress { started, turn: Some(stream.turn.subscribe()), word: self.word() }
            }
        }
    }
}

impl Stream {
    /// Tells whose turn it is after a poll.
    fn polled(&self, frame: &Poll<Option<Result<Frame<Bytes>, BoxError>>>) {
        let turn = match frame {
            Poll::Pending => Turn::Client,
            Poll::Ready(Some(Ok(frame))) if !frame.is_trailers() && !self.body.is_end_stream() => {
                Turn::Upstream(Tick::now())
            }
            Poll::Ready(Some(Ok(_)) | None) => Turn::Ended(Tick::now()),
            // Whoever sends it is told by the error itself.
            Poll::Ready(Some(Err(_))) => Turn::Client,
        };
        self.turn.send_if_modified(|before| {
            let changes = *before != turn && !matches!(before, Turn::Ended(_));
            if changes {
                *before = turn;
            }
            changes
        });
    }
}

/// What the one who sends an upload knows of it while it is away.
#[derive(Debug, Clone)]
pub struct Progress {
    started: Tick,
    /// None: there was nothing to upload.
    turn: Option<watch::Receiver<Turn>>,
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
        match &self.turn {
            None => Some(self.started),
            Some(turn) => match *turn.borrow() {
                Turn::Ended(at) => Some(at),
                Turn::Client | Turn::Upstream(_) => None,
            },
        }
    }

    /// Waits until the upstream alone has kept us waiting for `patience`. While it is the client's turn
    /// no time counts: the client's body has a bound of its own.
    pub async fn upstream_overdue(mut self, patience: Duration) {
        let mut since = self.started;
        if let Some(turn) = &mut self.turn {
            loop {
                let now = *turn.borrow_and_update();
                let changed = match now {
                    Turn::Client => turn.changed().await,
                    Turn::Ended(at) => {
                        since = at;
                        break;
                    }
                    Turn::Upstream(at) => match tokio::time::timeout(left(at, patience), turn.changed()).await {
                        Ok(changed) => changed,
                        Err(_) => return,
                    },
                };
                if changed.is_err() {
                    // The body was dropped before its end: nothing more will go out.
                    since = Tick::now();
                    break;
                }
            }
        }
        tokio::time::sleep(left(since, patience)).await;
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
                        stream.body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
                        return Poll::Pending;
                    }
                    stream.hold = None;
                }
                let frame = Pin::new(&mut stream.body).poll_frame(cx);
                stream.polled(&frame);
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(stream) => stream.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(stream) => stream.body.size_hint(),
        }
    }
}
