//! The body of an answer on a narrow line, or one that ends before its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use crate::edge::body::Broken;
use crate::faults::{self, Place};
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;

/// What a narrow line carries at once: a tenth of a second's worth, within these.
const PIECE_BYTES: (u64, u64) = (256, 64 * 1024);
const PIECES_PER_S: u64 = 10;

/// What is wrong with one body.
#[derive(Debug, Default)]
pub struct Flaw {
    line: Option<Line>,
    cut: Option<Cut>,
    /// It ends sooner than was announced.
    pub short_of: Option<u64>,
    given: u64,
    /// Of the last frame, what is yet to be given.
    rest: Bytes,
    /// What was given has had its turn to be written.
    written: bool,
}

/// After how many bytes it breaks off.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    After(u64),
    /// Nobody knows how long it is: after half of what comes first.
    HalfOfFirst,
}

/// Lets so many bytes a second pass, for as long as the fault is on.
#[derive(Debug)]
pub struct Line {
    settings: Settings,
    path: String,
    /// Until when it is busy with what was given.
    busy_until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Line {
    pub fn new(settings: Settings, path: String) -> Self {
        Self { settings, path, busy_until: None, timer: None }
    }

    /// How much of `bytes` has come through by now.
    fn poll_through(&mut self, bytes: u64, cx: &mut Context<'_>) -> Poll<u64> {
        let on = faults::is_on(&self.settings, Fault::HttpBandwidth, Place::path(&self.path));
        let Some(strike) = on else { return Poll::Ready(bytes) };
        let rate = u64::try_from(strike.strength).unwrap_or(1).max(1) * 1024;
        let piece = bytes.min((rate / PIECES_PER_S).clamp(PIECE_BYTES.0, PIECE_BYTES.1));
        let now = Instant::now();
        let takes = Duration::from_secs_f64(piece as f64 / rate as f64);
        let due = *self.busy_until.get_or_insert(now + takes);
        if now < due {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(cx));
        }
        self.busy_until = None;
        Poll::Ready(piece)
    }
}

impl Flaw {
    pub fn new(line: Option<Line>, cut: Option<Cut>, short_of: Option<u64>) -> Self {
        Self { line, cut, short_of, ..Self::default() }
    }

    /// The next frame of `source`, as this body gives it.
    pub fn poll_frame<B>(&mut self, source: &mut B, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>>
    where
        B: Body<Data = Bytes, Error = Broken> + Unpin,
    {
        if self.rest.is_empty() && !self.is_over() {
            match ready!(Pin::new(&mut *source).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    // Trailers; behind a body that is too short they would make it whole.
                    Err(_) if self.short_of.is_some() => return self.poll_frame(source, cx),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.short_of.is_some() => {
                    ready!(self.poll_written(cx));
                    return Poll::Ready(None);
                }
                None => return Poll::Ready(None),
            }
            if let Some(Cut::HalfOfFirst) = self.cut {
                self.cut = Some(Cut::After(self.rest.len() as u64 / 2));
            }
        }
        if self.is_over() {
            ready!(self.poll_written(cx));
            return Poll::Ready(Some(Err(Broken::OnPurpose(Fault::HttpTruncated.key()))));
        }
        let may = match self.cut {
            Some(Cut::After(bytes)) => (bytes - self.given).min(self.rest.len() as u64),
            _ => self.rest.len() as u64,
        };
        let count = match &mut self.line {
            Some(line) => ready!(line.poll_through(may, cx)),
            None => may,
        };
        self.given += count;
        let piece = self.rest.split_to(usize::try_from(count).unwrap_or(usize::MAX));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_over(&self) -> bool {
        matches!(self.cut, Some(Cut::After(bytes)) if self.given >= bytes)
    }

    /// Ready at the second call: hyper forgets what it has not written yet when a body breaks off.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.written, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
