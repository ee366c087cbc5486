//! One question to a DNS server, on the wire (RFC 1035, section 4).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::Instant;

use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::part::{DNS_QUERY_ID, DNS_SOURCE_PORT};
use crate::observe::span::{Span, Status};
use crate::web::secret;

/// A server on this machine or its network answers in milliseconds; then a datagram is taken as lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Datagrams sent for one question.
const TRIES: usize = 2;
/// Without EDNS no answer is longer than 512 bytes (RFC 1035, section 4.2.1); room for who ignores that.
const DATAGRAM_BYTES_MAX: usize = 4_096;
const ASK: &str = "Ask the DNS server";

/// An answer to the question that was asked.
#[derive(Debug)]
pub(super) struct Reply {
    pub message: Message,
    pub raw: Vec<u8>,
    /// When its last byte came.
    pub at: Tick,
}

/// Asks, by UDP, and again by TCP if the answer did not fit. Each asking is a span beneath `parent`, the
/// first of which begins at `at`; the last comes back open, to be described and ended when the reply came.
pub(super) async fn ask(
    parent: &Span,
    mut at: Tick,
    server: SocketAddr,
    question: &Query,
    deadline: Instant,
) -> Result<(Reply, Span), (io::Error, Tick)> {
    let mut lost = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..TRIES {
        let asked = Asking { span: parent.child_at(Hop::Dns, ASK, at), server, question };
        let until = deadline.min(Instant::now() + PATIENCE);
        let by_udp = tokio::time::timeout_at(until, asked.by_udp()).await;
        match by_udp.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(reply) if !reply.message.metadata.truncation => {
                return Ok((reply, asked.span));
            }
            Ok(cut) => {
                // RFC 7766, section 5: what was cut off is asked for again by TCP.
                asked.span.attribute("dns.truncated", || true);
                asked.span.end_at(cut.at);
                let asked = Asking { span: parent.child_at(Hop::Dns, ASK, cut.at), server, question };
                let by_tcp = tokio::time::timeout_at(deadline, asked.by_tcp()).await;
                return match by_tcp.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                    Ok(reply) => Ok((reply, asked.span)),
                    Err(error) => Err((error, asked.failed())),
                };
            }
            Err(error) => {
                let again = error.kind() == io::ErrorKind::TimedOut;
                at = asked.failed();
                lost = error;
                if !again || Instant::now() >= deadline {
                    break;
                }
            }
        }
    }
    Err((lost, at))
}

struct Asking<'a> {
    span: Span,
    server: SocketAddr,
    question: &'a Query,
}

impl Asking<'_> {
    async fn by_udp(&self) -> io::Result<Reply> {
        let local: SocketAddr =
            if self.server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(local).await?;
        // Connected, the kernel passes on only what this server sends (RFC 5452, section 9.1).
        socket.connect(self.server).await?;
        let (id, query) = self.compose()?;
        self.note(id, socket.local_addr()?, "udp", &query);
        socket.send(&query).await?;
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let length = socket.recv(&mut buffer).await?;
            let at = Tick::now();
            // What does not fit the question was not asked for: a late answer, or a forged one.
            if let Some(message) = self.fits(id, &buffer[..length]) {
                buffer.truncate(length);
                return Ok(Reply { message, raw: buffer, at });
            }
        }
    }

    async fn by_tcp(&self) -> io::Result<Reply> {
        let mut stream = TcpStream::connect(self.server).await?;
        let (id, query) = self.compose()?;
        self.note(id, stream.local_addr()?, "tcp", &query);
        // Length and message in one write (RFC 7766, section 8).
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &query].concat()).await?;
        let length = stream.read_u16().await?;
        let mut raw = vec![0; length.into()];
        stream.read_exact(&mut raw).await?;
        let at = Tick::now();
        let message = self
            .fits(id, &raw)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it answered something else"))?;
        Ok(Reply { message, raw, at })
    }

    /// The query with an id that nobody can guess (RFC 5452, section 9.2).
    fn compose(&self) -> io::Result<(u16, Vec<u8>)> {
        let id = u16::from_be_bytes(secret::random_bytes().map_err(io::Error::other)?);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(self.question.clone());
        Ok((id, message.to_vec().map_err(io::Error::other)?))
    }

    fn fits(&self, id: u16, raw: &[u8]) -> Option<Message> {
        let message = Message::from_vec(raw).ok()?;
        let metadata = &message.metadata;
        let ours = metadata.id == id && metadata.message_type == MessageType::Response;
        let same = |query: &Query| {
            query.name() == self.question.name()
                && query.query_type() == self.question.query_type()
                && query.query_class() == self.question.query_class()
        };
        (ours && message.queries.len() == 1 && same(&message.queries[0])).then_some(message)
    }

    fn note(&self, id: u16, local: SocketAddr, transport: &'static str, query: &[u8]) {
        self.span
            .attribute(DNS_QUERY_ID, || u64::from(id))
            .attribute(DNS_SOURCE_PORT, || u64::from(local.port()))
            .attribute("dns.question.name", || shown(self.question.name()))
            .attribute("dns.question.type", || self.question.query_type().to_string())
            .attribute("server.address", || self.server.ip().to_string())
            .attribute("server.port", || self.server.port())
            .attribute("network.transport", || transport)
            .attribute("dns.question.hex", || secret::hex(query));
    }

    fn failed(self) -> Tick {
        let now = Tick::now();
        self.span.status(Status::Error);
        self.span.end_at(now);
        now
    }
}

/// A name without its last dot, as people write it.
pub(super) fn shown(name: &Name) -> String {
    let text = name.to_ascii();
    if text.len() > 1 { text.trim_end_matches('.').to_owned() } else { text }
}

/// The question for the addresses of a name; None when it can't be a name.
pub(super) fn question(name: &str, kind: RecordType) -> Option<Query> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(Query::query(name, kind))
}
