//! The TLS handshake of a connection: done, timed, and told to its first request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::server::Acceptor;
use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::faults::{Levers, Plan};
use crate::faults::Strike;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::Span;

/// A socket that remembers when it was first written to: that is when our flight of the handshake left. It can be
/// made to end with a reset.
/// (`observe::tap` remembers every read and write; here it would cost a lock and a clock read for each.)
#[derive(Debug)]
pub struct Timed {
    inner: TcpStream,
    first_write: Option<Tick>,
    levers: Levers,
}

impl Drop for Timed {
    fn drop(&mut self) {
        // Closing throws away what was not sent, and says RST (RFC 9293, section 3.10.4, an abort).
        if self.levers.resets()
            && let Err(error) = self.inner.set_zero_linger()
        {
            log::debug!(target: "edge", "a connection ends without a reset: {error}");
        }
    }
}

impl Timed {
    pub fn new(inner: TcpStream, levers: Levers) -> Self {
        Self { inner, first_write: None, levers }
    }

    fn wrote(&mut self, polled: &Poll<io::Result<usize>>) {
        if self.first_write.is_none() && matches!(polled, Poll::Ready(Ok(_))) {
            self.first_write = Some(Tick::now());
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// What was agreed on, and when our side of it was done.
#[derive(Debug, Clone)]
pub struct Handshake {
    hello_at: Tick,
    flight_at: Tick,
    version: &'static str,
    cipher: String,
    key_exchange: Option<String>,
    server_name: Option<String>,
    pub resumed: bool,
    struck: Option<Strike>,
    pub h2: bool,
}

/// Shakes hands. The caller bounds the time.
pub async fn accept(stream: Timed, plan: Plan) -> io::Result<(TlsStream<Timed>, Handshake)> {
    let started = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let hello_at = Tick::now();
    plan.before_answer().await?;
    let stream = started.into_stream(Arc::clone(&plan.config)).await?;
    let (timed, tls) = stream.get_ref();
    // RFC 8446 names suites TLS_…; rustls' Debug of those of TLS 1.3 says TLS13_….
    let cipher = |suite: rustls::SupportedCipherSuite| format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
    let handshake = Handshake {
        hello_at,
        // After this came the client's Finished and our tickets, which are not part of the answer.
        flight_at: timed.first_write.unwrap_or(hello_at),
        version: match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "unknown",
        },
        cipher: tls.negotiated_cipher_suite().map(cipher).unwrap_or_default(),
        key_exchange: tls.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
        server_name: tls.server_name().map(str::to_owned),
        resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        struck: plan.struck(),
        h2: tls.alpn_protocol() == Some(b"h2"),
    };
    Ok((stream, handshake))
}

impl Handshake {
    /// Records it beneath the root of the connection's first request.
    pub fn record(&self, root: &Span) {
        let span = root.record(Hop::Tls, "Show the certificate", self.hello_at, self.flight_at);
        span.attribute("tls.protocol.version", || self.version)
            .attribute("tls.cipher", || self.cipher.clone())
            .attribute("tls.next_protocol", || if self.h2 { "h2" } else { "http/1.1" })
            .attribute("tls.resumed", || self.resumed);
        if let Some(strike) = self.struck {
            strike.mark(&span);
        }
        if let Some(name) = &self.server_name {
            span.attribute("tls.client.server_name", || name.clone());
        }
        if let Some(group) = &self.key_exchange {
            span.attribute("tls.key_exchange", || group.clone());
        }
    }
}
