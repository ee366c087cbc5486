//! Follows the framing of an HTTP/1.1 connection: where each head and each body ends.

use super::head::{Judge, Length, Sound};
use super::limits::EdgeLimits;
use super::refusal::Refusal;

/// Where the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    /// In a body, so many bytes before its end.
    Body(u64),
    Chunk(ChunkLine),
    /// In a chunk's data and the line end after it.
    ChunkData(u64),
    /// In a line of the trailers; whether it is empty so far.
    Trailers {
        empty: bool,
    },
    /// After a head that asks for another protocol: what follows may be no HTTP.
    Undecided,
    /// A chunk's size could not be read: nobody knows where the next head begins.
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
    pub fn follow(&mut self, bytes: &[u8], limits: &EdgeLimits) -> Followed {
        let mut followed = Followed { passes: 0, heads: 0, marks: Vec::new(), refused: None };
        let at = &mut followed.passes;
        while *at < bytes.len() {
            let rest = &bytes[*at..];
            match self.place {
                Place::Undecided => break,
                Place::Lost | Place::Switched => *at = bytes.len(),
                Place::Body(left) | Place::ChunkData(left) => {
                    let taken = left.min(rest.len() as u64);
                    *at += taken as usize;
                    self.place = match (self.place, left - taken) {
                        (Place::Body(_), 0) => Place::Head,
                        (Place::Body(_), left) => Place::Body(left),
                        (_, 0) => CHUNK,
                        (_, left) => Place::ChunkData(left),
                    };
                }
                Place::Chunk(line) => {
                    self.place = chunk_line(line, rest[0]);
                    *at += 1;
                }
                Place::Trailers { empty } => {
                    self.place = match rest[0] {
                        b'\n' if empty => Place::Head,
                        b'\n' => Place::Trailers { empty: true },
                        b'\r' => Place::Trailers { empty },
                        _ => Place::Trailers { empty: false },
                    };
                    *at += 1;
                }
                Place::Head => match self.judge.go_on(rest, limits) {
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

    pub fn expects_head(&self) -> bool {
        self.place == Place::Head
    }
}

/// As strict as hyper, which is the one to refuse the body.
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
        (ChunkLine::Lf { size: 0 }, b'\n') => Place::Trailers { empty: true },
        // The data and the CRLF after it.
        (ChunkLine::Lf { size }, b'\n') => Place::ChunkData(size.saturating_add(2)),
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
        let (mut framing, mut held, limits) = (Framing::default(), Vec::new(), EdgeLimits::default());
        let (mut heads, mut passed) = (0, 0);
        for piece in pieces {
            held.extend_from_slice(piece);
            let followed = framing.follow(&held, &limits);
            held.drain(..followed.passes);
            (heads, passed) = (heads + followed.heads, passed + followed.passes);
            if followed.refused.is_some() {
                return (heads, passed, true);
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
    fn after_a_chunk_size_that_cannot_be_read_no_head_is_known() {
        for size in ["0x5", "+5", "", " 5", "5;a\n", "11111111111111111", "5\n"] {
            let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nGET / HTTP/1.1\r\n\r\n");
            assert_eq!(follow(&[text.as_bytes()]), (1, text.len(), false), "{size}");
        }
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
            prop_assert_eq!(follow(&pieces), follow(&[PIPELINED]));
        }
    }
}
