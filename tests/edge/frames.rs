//! An h2 client of raw frames (RFC 9113), so that a test can send what no library would.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Rig, soon};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PROTOCOL_ERROR: u32 = 1;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// A value that SETTINGS tell.
    pub fn setting(&self, id: u8) -> Option<u32> {
        let found = self.payload.chunks(6).find(|pair| pair[1] == id)?;
        Some(u32::from_be_bytes(found[2..].try_into().unwrap()))
    }

    /// The error code of RST_STREAM, or of GOAWAY after the last stream's id.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The status in the first field, as HPACK's static table has it; None: another one.
    pub fn status(&self) -> Option<u16> {
        match self.payload[0] {
            0x88 => Some(200),
            0x8c => Some(400),
            _ => None,
        }
    }
}

pub struct Frames {
    pub stream: TcpStream,
    host: String,
}

impl Frames {
    /// With prior knowledge (RFC 9113, section 3.3).
    pub async fn connect(rig: &Rig) -> Self {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut frames = Self { stream, host: rig.host.clone() };
        frames.send(SETTINGS, 0, 0, &[]).await;
        frames
    }

    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let bytes = frame(kind, flags, stream, payload);
        soon(self.stream.write_all(&bytes)).await.unwrap();
    }

    /// The pseudo-header fields of a request for `path`, and more.
    pub fn fields(&self, method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let mut all = vec![(":method", method), (":scheme", "http"), (":authority", &self.host[..]), (":path", path)];
        all.extend_from_slice(more);
        block(&all)
    }

    pub async fn get(&mut self, stream: u32, path: &str) {
        let fields = self.fields("GET", path, &[]);
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &fields).await;
    }

    /// The next frame; None at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        soon(async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes(head[5..].try_into().unwrap()) & 0x7fff_ffff;
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        })
        .await
    }

    /// The next frame of one of these kinds.
    pub async fn next_of(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if kinds.contains(&frame.kind) {
                return Some(frame);
            }
        }
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// RFC 7541, section 6.2.2: literal fields, not indexed, no Huffman code.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// RFC 7541, section 5.1, with a prefix of seven bits.
fn integer(block: &mut Vec<u8>, mut number: usize) {
    if number < 127 {
        return block.push(number as u8);
    }
    block.push(127);
    number -= 127;
    while number >= 128 {
        block.push((number % 128) as u8 | 128);
        number /= 128;
    }
    block.push(number as u8);
}
