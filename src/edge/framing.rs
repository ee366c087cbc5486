//! Follows the framing of an HTTP/1.1 connection: where each head and each body ends.

use super::head::{Judge, Length, Sound};
use super::refusal::Refusal;
use crate::settings::http::bounds::Bounds;

/// Where the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    /// In a body, so many bytes before its end.
    Body(u64),
    Chunk(ChunkLine),
    ChunkData(u64),
    /// At the CRLF after a chunk's data; whether CR has come.
    ChunkEnd {
        cr: bool,
    },
    Trailers(Trailers),
    /// After a head that asks for another protocol: what follows may be no HTTP.
    Undecided,
    /// A line of the body's framing is none: nobody knows where the next head begins.
    Lost,
    /// Another protocol's.
    Switched,
}

/// RFC 9112, section 7.1: `chunk-size [ chunk-ext ] CRLF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkLine {
    Size { digits: bool, size: u64 },
    Extension { size: u64 },
    Lf { size: u64 },
}

/// RFC 9112, section 7.1.2, bounded as heads are. Strict about line ends: a reader that takes LF alone for
/// one, and a reader that does not, find different requests behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trailers {
    line: TrailerLine,
    fields: u64,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrailerLine {
    Begins,
    /// After the CR of the empty line that ends them.
    LastLf,
    Field,
    FieldLf,
}

/// What hyper reads in the place of what follows a line that is none. In all of a body's framing LF alone
/// may follow CR, so whatever it has read, it takes the body for broken.
pub const BROKEN: &[u8] = b"\r\r";

const CHUNK: Place = Place::Chunk(ChunkLine::Size { digits: false, size: 0 });

/// What is known of bytes that came.
#[derive(Debug)]
pub struct Followed {
    /// So many may be read on. The rest begins a head whose end has not come, or waits for a decision:
    /// it is to be shown again, with more behind it.
    pub passes: usize,
    /// Sound heads among them.
    pub heads: usize,
    /// Those of the heads that are special, by number.
    pub marks: Vec<(usize, Mark)>,
    /// The head after those is refused.
    pub refused: Option<Refusal>,
}

/// What is special about a sound head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// An `OPTIONS` for the server as a whole, though it does not say `*`.
    Asterisk,
    /// It asks for another protocol; until that is decided nothing after it passes.
    Upgrade,
}

/// One direction of one connection.
#[derive(Debug)]
pub struct Framing {
    place: Place,
    judge: Judge,
}

impl Default for Framing {
    fn default() -> Self {
        Self { place: Place::Head, judge: Judge::default() }
    }
}

impl Framing {
    /// Follows `bytes`: those that did not pass before, and more.
    ///
    /// At most one head is begun, and none unless `next`.
    pub fn follow(&mut self, bytes: &[u8], next: bool, bounds: &Bounds) -> Followed {
        let mut followed = Followed { passes: 0, heads: 0, marks: Vec::new(), refused: None };
        let at = &mut followed.passes;
        while *at < bytes.len() {
            let rest = &bytes[*at..];
            match self.place {
                Place::Undecided | Place::Lost => break,
                Place::Head if !next || followed.heads > 0 => break,
                Place::Switched => *at = bytes.len(),
                Place::Body(left) | Place::ChunkData(left) => {
                    let taken = left.min(rest.len() as u64);
                    *at += taken as usize;
                    self.place = match (self.place, left - taken) {
                        (Place::Body(_), 0) => Place::Head,
                        (Place::Body(_), left) => Place::Body(left),
                        (_, 0) => Place::ChunkEnd { cr: false },
                        (_, left) => Place::ChunkData(left),
                    };
                }
                Place::Chunk(line) => {
                    self.place = chunk_line(line, rest[0]);
                    *at += 1;
                }
                Place::ChunkEnd { cr } => {
                    self.place = match (cr, rest[0]) {
                        (false, b'\r') => Place::ChunkEnd { cr: true },
                        (true, b'\n') => CHUNK,
                        _ => Place::Lost,
                    };
                    *at += 1;
                }
                Place::Trailers(trailers) => {
                    self.place = trailers.next(rest[0], bounds);
                    *at += 1;
                }
                Place::Head => match self.judge.go_on(rest, bounds) {
                    Ok(None) => break,
                    Ok(Some(sound)) => {
                        *at += sound.bytes;
                        followed.heads += 1;
                        let mark = self.ended(sound);
                        followed.marks.extend(mark.map(|mark| (followed.heads, mark)));
                    }
                    Err(refusal) => {
                        followed.refused = Some(refusal);
                        break;
                    }
                },
            }
        }
        followed
    }

    fn ended(&mut self, head: Sound) -> Option<Mark> {
        self.judge = Judge::default();
        self.place = match head.length {
            Length::None if head.upgrades => Place::Undecided,
            Length::None => Place::Head,
            Length::Sized(bytes) => Place::Body(bytes),
            Length::Chunked => CHUNK,
        };
        match (head.asterisk, self.place) {
            (true, _) => Some(Mark::Asterisk),
            (false, Place::Undecided) => Some(Mark::Upgrade),
            (false, _) => None,
        }
    }

    pub fn is_undecided(&self) -> bool {
        self.place == Place::Undecided
    }

    /// What follows is another protocol's, or HTTP after all.
    pub fn decide(&mut self, switched: bool) {
        self.place = if switched { Place::Switched } else { Place::Head };
    }

    /// Whether a body has begun and not ended.
    pub fn is_in_body(&self) -> bool {
        !matches!(self.place, Place::Head | Place::Undecided | Place::Switched)
    }

    /// Whether a body's framing broke.
    pub fn is_lost(&self) -> bool {
        self.place == Place::Lost
    }

    pub fn expects_head(&self) -> bool {
        self.place == Place::Head
    }
}

impl Trailers {
    const NONE: Self = Self { line: TrailerLine::Begins, fields: 0, bytes: 0 };

    fn next(mut self, byte: u8, bounds: &Bounds) -> Place {
        self.bytes += 1;
        self.line = match (self.line, byte) {
            (TrailerLine::LastLf, b'\n') => return Place::Head,
            (TrailerLine::FieldLf, b'\n') => TrailerLine::Begins,
            (TrailerLine::LastLf | TrailerLine::FieldLf, _) | (_, b'\n') => return Place::Lost,
            (TrailerLine::Begins, b'\r') => TrailerLine::LastLf,
            (TrailerLine::Field, b'\r') => TrailerLine::FieldLf,
            (TrailerLine::Begins, _) => {
                self.fields += 1;
                TrailerLine::Field
            }
            (TrailerLine::Field, _) => TrailerLine::Field,
        };
        let fits = self.fields <= bounds.fields_max && self.bytes <= bounds.head_bytes_max;
        if fits { Place::Trailers(self) } else { Place::Lost }
    }
}

/// As strict as hyper.
fn chunk_line(line: ChunkLine, byte: u8) -> Place {
    match (line, byte) {
        (ChunkLine::Size { size, .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
            let digit = u64::from(char::from(byte).to_digit(16).unwrap_or(0));
            match size.checked_mul(16).and_then(|size| size.checked_add(digit)) {
                Some(size) => Place::Chunk(ChunkLine::Size { digits: true, size }),
                None => Place::Lost,
            }
        }
        (ChunkLine::Size { digits: true, size }, b';' | b' ' | b'\t') => Place::Chunk(ChunkLine::Extension { size }),
        (ChunkLine::Size { digits: true, size } | ChunkLine::Extension { size }, b'\r') => {
            Place::Chunk(ChunkLine::Lf { size })
        }
        (ChunkLine::Size { .. }, _) | (ChunkLine::Extension { .. }, b'\n') => Place::Lost,
        (ChunkLine::Extension { size }, _) => Place::Chunk(ChunkLine::Extension { size }),
        (ChunkLine::Lf { size: 0 }, b'\n') => Place::Trailers(Trailers::NONE),
        (ChunkLine::Lf { size }, b'\n') => Place::ChunkData(size),
        (ChunkLine::Lf { .. }, _) => Place::Lost,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIPELINED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\nContent-Length: 9\r\n\r\n\
        POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n\r\n\r\n\r\n0\r\nTrailer: 1\r\n\r\n\
        \r\nOPTIONS http://a HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\ntransfer-encoding: chunked\r\n\r\n";

    /// Heads seen, bytes passed and whether the next was refused.
    fn follow(pieces: &[&[u8]]) -> (usize, usize, bool) {
        let (mut framing, mut held, bounds) = (Framing::default(), Vec::new(), Bounds::default());
        let (mut heads, mut passed) = (0, 0);
        for piece in pieces {
            held.extend_from_slice(piece);
            loop {
                let followed = framing.follow(&held, true, &bounds);
                held.drain(..followed.passes);
                (heads, passed) = (heads + followed.heads, passed + followed.passes);
                if followed.refused.is_some() {
                    return (heads, passed, true);
                }
                if followed.passes == 0 {
                    break;
                }
            }
        }
        (heads, passed, false)
    }

    #[test]
    fn each_head_of_a_pipeline_is_judged_by_itself() {
        let refused_at = PIPELINED.windows(6).rposition(|six| six == b"POST /").unwrap();
        assert_eq!(follow(&[PIPELINED]), (3, refused_at, true));
    }

    #[test]
    fn after_a_line_of_a_body_that_is_none_no_head_is_known_and_nothing_passes() {
        for (good, bad) in [
            ("0", "x5\r\n"),
            ("", "+5\r\n"),
            ("", "\r\n"),
            ("", " 5\r\n"),
            ("5;a", "\n\r\n"),
            ("1111111111111111", "1\r\n"),
            ("5", "\n"),
            ("2\r\nhi", "\n0\r\n\r\n"),
            ("2\r\nhi", "0\r\n\r\n"),
            ("2\r\nhi\r", "\r\n0\r\n\r\n"),
            ("0\r\nX: a", "\n\r\n"),
            ("0\r\nX: a\r\n", "\n"),
            ("0\r\n\r", "\r\n"),
            ("0\r\nX: a\r", "b\r\n\r\n"),
        ] {
            let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
            let text = format!("{head}{good}{bad}GET / HTTP/1.1\r\n\r\n");
            assert_eq!(follow(&[text.as_bytes()]), (1, head.len() + good.len() + 1, false), "{good:?} {bad:?}");
        }
    }

    #[test]
    fn trailers_are_bounded_as_heads_are() {
        let bounds = Bounds::default();
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
        let heads = |trailers: String| follow(&[format!("{head}{trailers}\r\nGET / HTTP/1.1\r\n\r\n").as_bytes()]).0;
        assert_eq!(heads("X: a\r\n".repeat(bounds.fields_max as usize)), 2);
        assert_eq!(heads("X: a\r\n".repeat(bounds.fields_max as usize + 1)), 1);
        assert_eq!(heads(format!("X: {}\r\n", "a".repeat(bounds.head_bytes_max as usize - 6))), 2);
        assert_eq!(heads(format!("X: {}\r\n", "a".repeat(bounds.head_bytes_max as usize - 5))), 1);
    }

    /// What an upload may begin to consist of.
    const PIECES: [&str; 16] = [
        "0",
        "2",
        "hi",
        "\r\n",
        "\n",
        "\r",
        ";",
        "; x",
        "X: a",
        " ",
        "0\r\n",
        "2\r\nhi\r\n",
        "\r\n\r\n",
        ":",
        "_",
        GET,
    ];
    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// Requests that hyper finds in `bytes`, and the bodies among them that it could read to their end.
    fn hyper_finds(bytes: &[u8]) -> (usize, usize) {
        use http_body_util::{BodyExt, Empty};
        use hyper::service::service_fn;
        use std::sync::atomic::{AtomicUsize, Ordering};

        let (heads, whole) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            heads.fetch_add(1, Ordering::Relaxed);
            let read = request.into_body().collect();
            async move {
                let read = read.await;
                whole.fetch_add(usize::from(read.is_ok()), Ordering::Relaxed);
                read.map(|_| hyper::Response::new(Empty::<bytes::Bytes>::new()))
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sent = stream_of(bytes);
            let served = hyper::server::conn::http1::Builder::new().half_close(true).serve_connection(sent, service);
            // It ends in an error where it should.
            let _ = served.await;
        });
        (heads.load(Ordering::Relaxed), whole.load(Ordering::Relaxed))
    }

    /// A stream from which `bytes` come, and where what is written goes nowhere.
    fn stream_of(bytes: &[u8]) -> hyper_util::rt::TokioIo<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> {
        hyper_util::rt::TokioIo::new(tokio::io::join(std::io::Cursor::new(bytes.to_vec()), tokio::io::sink()))
    }

    proptest! {
        /// Else requests would reach hyper that nobody judged.
        #[test]
        fn requests_begin_where_hyper_finds_them(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12)) {
            let post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            let text = format!("{post}{}{GET}", pieces.concat());
            let (heads, passed, refused) = follow(&[text.as_bytes()]);
            let (found, whole) = hyper_finds(&text.as_bytes()[..passed]);
            // Where hyper refuses a body for more than its framing, it looks for no more requests.
            prop_assert!(found == heads || (found < heads && whole < found), "{found} of {heads}, {whole} whole");
            if passed < text.len() && !refused {
                // The framing broke: what hyper is given then is the end for it.
                let broken = [&text.as_bytes()[..passed], BROKEN].concat();
                prop_assert_eq!(hyper_finds(&broken), (found, whole));
                prop_assert!(whole < found);
            }
        }

        #[test]
        fn it_matters_not_how_the_bytes_arrive(cuts in prop::collection::vec(0..PIPELINED.len(), 0..20)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut pieces, mut at) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([PIPELINED.len()]) {
                pieces.push(&PIPELINED[at..cut]);
                at = cut;
            }
            prop_assert_eq!(follow(&pieces), follow(&[PIPELINED]));
        }
    }
}
