//! `Expect: 100-continue` (RFC 9110, section 10.1.1): a body waits until its upstream asks for it.
//!
//! The first poll of a client's body is what makes the edge send 100, so holding back the poll holds back
//! the body at its source.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{EXPECT, HeaderValue};
use tokio::sync::Notify;

use super::upload::Upload;

/// For how long an upstream that says nothing is waited for: many servers do not know the expectation, and
/// a client is not to wait for ever (curl waits as long).
const ASKED_WITHIN: Duration = Duration::from_secs(1);

/// What the upstream has said so far.
#[derive(Debug, Default)]
pub struct Word {
    said: Notify,
    /// It has given its final answer without having asked for the body.
    answered: AtomicBool,
}

impl Word {
    /// A final answer came: nobody will ask any more.
    pub fn answered(&self) {
        self.answered.store(true, Ordering::Release);
        self.said.notify_one();
    }
}

/// Holds a body back.
pub struct Hold {
    word: Arc<Word>,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl fmt::Debug for Hold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hold").field("word", &self.word).finish_non_exhaustive()
    }
}

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The body may go.
    Asked,
    /// Nobody wants it.
    Answered,
}

impl Hold {
    pub fn new() -> Self {
        Self { word: Arc::default(), wait: None }
    }

    pub(super) fn word(&self) -> Arc<Word> {
        Arc::clone(&self.word)
    }

    /// The time begins with the first poll, which is when the head is being sent.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Held> {
        if self.word.answered.load(Ordering::Acquire) {
            return Poll::Ready(Held::Answered);
        }
        let word = &self.word;
        let wait = self.wait.get_or_insert_with(|| {
            let word = Arc::clone(word);
            Box::pin(async move {
                // Either way waiting is over; what was said is looked at below.
                let _ = tokio::time::timeout(ASKED_WITHIN, word.said.notified()).await;
            })
        });
        ready!(wait.as_mut().poll(cx));
        Poll::Ready(if self.word.answered.load(Ordering::Acquire) { Held::Answered } else { Held::Asked })
    }
}

/// Writes the expectation onto a request whose body waits, and listens for its upstream's word.
pub(super) fn announce(request: &mut hyper::Request<Upload>) {
    let Some(word) = request.body().word() else { return };
    request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            word.said.notify_one();
        }
    });
}
