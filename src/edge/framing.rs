//! Watches the bytes of an HTTP/1.1 connection for what hyper hides from its service.
//!
//! hyper drops `Content-Length` silently where `Transfer-Encoding` stands too (RFC 9112, section 6.1, allows
//! that; a proxy is safer to refuse), and takes a bare LF for a line's end (section 2.2 allows that too).
//! Both are how requests are smuggled past proxies, so this follows the framing of each request and keeps
//! a verdict on its head. It changes no byte: hyper still parses, and is the stricter of the two otherwise.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::observe::clock::Tick;

/// A line longer than this is cut in the copy that is looked at: no field that matters is so long.
const LINE_KEPT_MAX: usize = 256;
/// Heads that may wait for their service call: pipelined requests in one read. More than this many in one
/// buffer is no browser.
const HEADS_MAX: usize = 1_024;

/// How long a client may go on sending a request that has been refused.
const LINGER_FOR: Duration = Duration::from_secs(2);
/// Reads at one go while lingering.
const LINGER_READS_MAX: usize = 16;

/// What a head said about its body, and how it said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadFacts {
    pub content_lengths: usize,
    pub transfer_encodings: usize,
    pub bare_lf: bool,
    pub bytes: usize,
}

impl HeadFacts {
    /// Of a head whose beginning nobody can be sure of.
    const AMBIGUOUS: HeadFacts = HeadFacts { content_lengths: 2, transfer_encodings: 1, bare_lf: true, bytes: 0 };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before or in a head.
    Head,
    /// In a body, so many bytes before its end.
    Body(u64),
    ChunkSize,
    /// In a chunk's data and the line end after it.
    ChunkData(u64),
    Trailers,
    /// A chunk's size could not be read, so nobody knows where the next head begins: every one that hyper
    /// finds from here on is refused.
    Lost,
}

/// Follows one direction of one connection.
#[derive(Debug)]
pub struct Framing {
    place: Place,
    line: Vec<u8>,
    line_bytes: usize,
    facts: HeadFacts,
    content_length: u64,
    heads: VecDeque<HeadFacts>,
    head_since: Option<Tick>,
    /// When bytes last left the other way.
    wrote_at: Option<Tick>,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            place: Place::Head,
            line: Vec::with_capacity(LINE_KEPT_MAX),
            line_bytes: 0,
            facts: HeadFacts::default(),
            content_length: 0,
            heads: VecDeque::new(),
            head_since: None,
            wrote_at: None,
        }
    }
}

impl Framing {
    /// Takes the next bytes of the connection.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.place {
                Place::Lost => return,
                Place::Body(left) | Place::ChunkData(left) => {
                    let taken = left.min(bytes.len() as u64);
                    bytes = &bytes[taken as usize..];
                    self.place = match (self.place, left - taken) {
                        (Place::Body(_), 0) => Place::Head,
                        (Place::Body(_), left) => Place::Body(left),
                        (_, 0) => Place::ChunkSize,
                        (_, left) => Place::ChunkData(left),
                    };
                }
                Place::Head | Place::ChunkSize | Place::Trailers => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let taken = end.map_or(bytes.len(), |end| end + 1);
                    let room = LINE_KEPT_MAX - self.line.len();
                    self.line.extend_from_slice(&bytes[..taken.min(room)]);
                    self.line_bytes += taken;
                    if self.place == Place::Head && self.head_since.is_none() {
                        self.head_since = Some(Tick::now());
                    }
                    // The line's true end decides whether its LF was bare, though the copy may be cut.
                    let before_lf = if taken >= 2 { bytes[taken - 2] } else { self.last_but_one() };
                    bytes = &bytes[taken..];
                    if end.is_some() {
                        self.line_ended(before_lf != b'\r');
                    }
                }
            }
        }
    }

    /// The byte before the LF when the LF came alone in its read.
    fn last_but_one(&self) -> u8 {
        let cut = self.line_bytes > LINE_KEPT_MAX;
        // Where the copy is cut the byte is unknown; the benefit of the doubt changes no framing.
        if cut { b'\r' } else { self.line.iter().rev().nth(1).copied().unwrap_or(0) }
    }

    fn line_ended(&mut self, bare_lf: bool) {
        let line = std::mem::take(&mut self.line);
        let bytes = std::mem::take(&mut self.line_bytes);
        let text = line.trim_ascii_end();
        match self.place {
            Place::Head => self.head_line(text, bytes, bare_lf),
            // A size that is cut short would be another size.
            Place::ChunkSize if bytes > LINE_KEPT_MAX => self.place = Place::Lost,
            Place::ChunkSize => self.place = chunk(text),
            Place::Trailers if text.is_empty() => self.place = Place::Head,
            Place::Trailers | Place::Body(_) | Place::ChunkData(_) | Place::Lost => {}
        }
        self.line = line;
        self.line.clear();
    }

    fn head_line(&mut self, text: &[u8], bytes: usize, bare_lf: bool) {
        let started = self.facts.bytes > 0;
        if text.is_empty() && !started {
            // RFC 9112, section 2.2: empty lines before a request are ignored.
            self.head_since = None;
            return;
        }
        self.facts.bytes += bytes;
        self.facts.bare_lf |= bare_lf;
        if text.is_empty() {
            return self.head_ended();
        }
        let Some(colon) = text.iter().position(|byte| *byte == b':').filter(|_| started) else { return };
        let (name, value) = (text[..colon].trim_ascii(), &text[colon + 1..]);
        if name.eq_ignore_ascii_case(b"content-length") {
            // A value that is cut here is refused like a second one: nobody sends 200 spaces in good faith.
            self.facts.content_lengths += if bytes > LINE_KEPT_MAX { 2 } else { 1 };
            let value = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok());
            self.content_length = value.unwrap_or(0);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.facts.transfer_encodings += 1;
        }
    }

    fn head_ended(&mut self) {
        let facts = std::mem::take(&mut self.facts);
        let content_length = std::mem::take(&mut self.content_length);
        self.head_since = None;
        if self.heads.len() < HEADS_MAX {
            self.heads.push_back(facts);
        }
        self.place = match (facts.transfer_encodings, content_length) {
            (0, 0) => Place::Head,
            (0, length) => Place::Body(length),
            _ => Place::ChunkSize,
        };
    }
}

/// RFC 9112, section 7.1: `chunk-size [ chunk-ext ] CRLF`.
fn chunk(line: &[u8]) -> Place {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let size = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match size {
        None => Place::Lost,
        Some(0) => Place::Trailers,
        // The data and the CRLF after it.
        Some(size) => Place::ChunkData(size.saturating_add(2)),
    }
}

/// Reads what a [`Watched`] stream saw.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Framing>>);

impl Watch {
    /// The facts of the next head; heads are served in the order in which they came.
    pub fn next_head(&self) -> Option<HeadFacts> {
        let mut framing = self.framing();
        let lost = framing.place == Place::Lost;
        framing.heads.pop_front().or_else(|| lost.then_some(HeadFacts::AMBIGUOUS))
    }

    /// Whether the client is in the middle of a request, as far as has been read.
    fn is_under_way(&self) -> bool {
        let framing = self.framing();
        framing.place != Place::Head || framing.head_since.is_some()
    }

    /// Since when a head has been coming in.
    pub fn head_since(&self) -> Option<Tick> {
        self.framing().head_since
    }

    /// When the client last took bytes.
    pub fn wrote_at(&self) -> Option<Tick> {
        self.framing().wrote_at
    }

    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(_)) = polled {
            self.framing().wrote_at = Some(Tick::now());
        }
        polled
    }

    fn framing(&self) -> MutexGuard<'_, Framing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream whose reading side is watched.
///
/// When its writing side is shut while the client is still sending, it reads on for a while and forgets
/// what it reads: closing with bytes unread makes the kernel reset the connection, and the client might
/// lose the answer that says why (RFC 9112, section 9.6).
#[derive(Debug)]
pub struct Watched<S> {
    inner: S,
    watch: Watch,
    closing: Closing,
}

#[derive(Debug)]
enum Closing {
    No,
    Lingers(Pin<Box<Sleep>>),
    Done,
}

impl<S> Watched<S> {
    pub fn new(inner: S) -> (Self, Watch) {
        let watch = Watch::default();
        (Self { inner, watch: watch.clone(), closing: Closing::No }, watch)
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Reads and forgets until the client ends, fails or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Closing::Lingers(until) = &mut self.closing else { return Poll::Ready(()) };
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut forgotten = [0; 4096];
        for _ in 0..LINGER_READS_MAX {
            let mut buf = ReadBuf::new(&mut forgotten);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        // Others have a turn too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if polled.is_ready() {
            self.watch.framing().feed(&buf.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.closing, Closing::No) {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            self.closing = match self.watch.is_under_way() {
                true => Closing::Lingers(Box::pin(tokio::time::sleep(LINGER_FOR))),
                false => Closing::Done,
            };
        }
        ready!(self.poll_linger(cx));
        self.closing = Closing::Done;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIPELINED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nContent-Length: 9\r\n\r\n\
        POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n\r\n\r\n\r\n0\r\nTrailer: 1\r\n\r\n\
        \r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\nHost: a\r\n\r\n";

    fn heads(pieces: &[&[u8]]) -> Vec<(usize, usize, bool)> {
        let mut framing = Framing::default();
        for piece in pieces {
            framing.feed(piece);
        }
        framing.heads.iter().map(|head| (head.content_lengths, head.transfer_encodings, head.bare_lf)).collect()
    }

    const EXPECTED: [(usize, usize, bool); 4] = [(1, 0, false), (0, 1, false), (1, 1, false), (0, 0, true)];

    #[test]
    fn each_head_of_a_pipeline_is_judged_by_itself() {
        assert_eq!(heads(&[PIPELINED]), EXPECTED);
    }

    #[test]
    fn a_chunk_size_that_cannot_be_read_makes_every_later_head_suspect() {
        let lead = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{}5\r\n", "0".repeat(300));
        let watch = Watch::default();
        watch.framing().feed(lead.as_bytes());
        watch.framing().feed(b"GET /\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(watch.next_head().map(|head| head.transfer_encodings), Some(1), "the head before it");
        assert_eq!(watch.next_head(), Some(HeadFacts::AMBIGUOUS));
        assert_eq!(watch.next_head(), Some(HeadFacts::AMBIGUOUS));
    }

    proptest! {
        #[test]
        fn it_matters_not_how_the_bytes_arrive(cuts in prop::collection::vec(0..PIPELINED.len(), 0..20)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut pieces, mut at) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([PIPELINED.len()]) {
                pieces.push(&PIPELINED[at..cut]);
                at = cut;
            }
            prop_assert_eq!(heads(&pieces), EXPECTED);
        }

        #[test]
        fn no_bytes_bring_it_down(bytes: Vec<u8>) {
            Framing::default().feed(&bytes);
        }
    }
}
