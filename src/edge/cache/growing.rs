//! A body on its way into the store, read by everybody who waits for it.
//!
//! A task of its own pumps it, so that a slow client holds up nobody; when nobody reads it any more, the
//! pump stops, and with it the work upstream.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use super::room::Promise;
use crate::balancer::answer::{AnswerBody, Cut};

/// The body so far.
#[derive(Debug)]
pub struct Growing {
    state: Mutex<State>,
    /// Announced by the upstream.
    length: Option<u64>,
    unread: Notify,
}

#[derive(Debug)]
struct State {
    chunks: Vec<Bytes>,
    /// For the chunks, as long as anybody may read them.
    promise: Option<Promise>,
    end: Option<End>,
    readers: usize,
    wakers: Vec<Waker>,
}

#[derive(Debug)]
enum End {
    Whole,
    Broken(Arc<str>),
    /// Too large to be kept: its one reader goes on with the upstream itself. None: it does.
    Overflowed(Option<AnswerBody>),
}

impl Growing {
    /// With its first reader.
    pub fn new(length: Option<u64>, promise: Promise) -> (Arc<Self>, Reader) {
        let state = State { chunks: Vec::new(), promise: Some(promise), end: None, readers: 1, wakers: Vec::new() };
        let growing = Arc::new(Self { state: Mutex::new(state), length, unread: Notify::new() });
        let reader = Reader { growing: Arc::clone(&growing), position: 0, rest: None };
        (growing, reader)
    }

    /// One more reader, from the first byte on; None when it has been given up.
    pub fn reader(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.state();
        if !matches!(state.end, None | Some(End::Whole)) {
            return None;
        }
        state.readers += 1;
        Some(Reader { growing: Arc::clone(self), position: 0, rest: None })
    }

    pub fn push(&self, chunk: Bytes) {
        self.change(|state| state.chunks.push(chunk));
    }

    /// All of it has come, the last chunk with this.
    pub fn complete(&self, last: Option<Bytes>) {
        self.change(|state| {
            state.chunks.extend(last);
            state.end = Some(End::Whole);
            let bytes = state.chunks.iter().map(|chunk| chunk.len() as u64).sum();
            if let Some(promise) = &mut state.promise {
                promise.shrink(bytes);
            }
        });
    }

    pub fn fail(&self, error: &Cut) {
        self.change(|state| state.end = Some(End::Broken(error.to_string().into())));
    }

    /// It has become too large: the reader gets what has come and then `rest`.
    pub fn overflow(&self, rest: AnswerBody) {
        self.change(|state| state.end = Some(End::Overflowed(Some(rest))));
    }

    /// Waits until nobody reads it; then nobody ever will.
    pub async fn unread(&self) {
        loop {
            {
                let mut state = self.state();
                if state.readers == 0 {
                    state.end = Some(End::Broken("nobody reads it".into()));
                    return;
                }
            }
            self.unread.notified().await;
        }
    }

    /// All chunks and `last` in one piece; copies only where there are several.
    pub fn whole(&self, last: Option<&Bytes>) -> Bytes {
        // The readers go on while it is copied.
        let mut chunks = self.state().chunks.clone();
        chunks.extend(last.cloned());
        match chunks.as_slice() {
            [] => Bytes::new(),
            [only] => only.clone(),
            chunks => {
                let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
                chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
                whole.freeze()
            }
        }
    }

    fn change(&self, with: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = self.state();
            with(&mut state);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a growing body from its first byte on.
#[derive(Debug)]
pub struct Reader {
    growing: Arc<Growing>,
    position: usize,
    /// What was too large to be kept.
    rest: Option<AnswerBody>,
}

impl Reader {
    /// Whether it has not turned out to be too large so far.
    pub fn is_kept(&self) -> bool {
        self.rest.is_none()
    }
}

impl Body for Reader {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let reader = self.get_mut();
        if let Some(rest) = &mut reader.rest {
            return Pin::new(rest).poll_frame(cx);
        }
        let mut state = reader.growing.state();
        if let Some(chunk) = state.chunks.get(reader.position) {
            reader.position += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk.clone()))));
        }
        match &mut state.end {
            None => {
                if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                    state.wakers.push(cx.waker().clone());
                }
                Poll::Pending
            }
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Broken(reason)) => Poll::Ready(Some(Err(Cut::Elsewhere(Arc::clone(reason))))),
            Some(End::Overflowed(rest)) => {
                let Some(mut rest) = rest.take() else { return Poll::Ready(None) };
                (state.chunks, state.promise) = (Vec::new(), None);
                let frame = Pin::new(&mut rest).poll_frame(cx);
                drop(state);
                reader.rest = Some(rest);
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        if let Some(rest) = &self.rest {
            return rest.is_end_stream();
        }
        let state = self.growing.state();
        matches!(state.end, Some(End::Whole)) && self.position == state.chunks.len()
    }

    fn size_hint(&self) -> SizeHint {
        match self.growing.length {
            Some(length) if self.rest.is_none() => {
                let read: usize = self.growing.state().chunks.iter().take(self.position).map(Bytes::len).sum();
                SizeHint::with_exact(length.saturating_sub(read as u64))
            }
            _ => SizeHint::new(),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.growing.state();
        state.readers -= 1;
        if state.readers == 0 {
            drop(state);
            self.growing.unread.notify_one();
        }
    }
}
