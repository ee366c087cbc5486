//! From addresses to a connection that requests can be sent on.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, HandshakeKind, ProtocolVersion};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Trouble;
use super::faults::Conditions;
use super::url::Url;
use super::verify::{CHECKED, Checked};
use crate::faults::wire::{Length, Wire};
use crate::observe::assemble::CLIENT_HELLO;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};
use crate::observe::tap::{Passed, Tap};
use crate::web::secret;

/// One address gets this long, so that another is tried within a request's patience.
const TCP_PATIENCE: Duration = Duration::from_secs(3);

/// A byte stream, sealed or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, and between whom it is.
pub(super) struct Connected {
    pub stream: Box<dyn Stream>,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub length: Length,
    /// None for plain HTTP.
    pub sealed: Option<Sealed>,
}

/// A handshake that is over, to be described later: reading certificates must not count as the next step.
pub(super) struct Sealed {
    span: Span,
    end: Tick,
    server_name: Option<String>,
    version: Option<ProtocolVersion>,
    cipher: Option<&'static str>,
    key_exchange: Option<String>,
    protocol: Option<String>,
    resumed: bool,
    chain: Vec<CertificateDer<'static>>,
    peer: SocketAddr,
    local: SocketAddr,
}

/// Opens a connection to the first of `addresses` that takes it, beneath `root`, from `at` on.
pub(super) async fn open(
    root: &Span,
    at: &mut Tick,
    url: &Url,
    addresses: &[IpAddr],
    config: &Arc<ClientConfig>,
    (conditions, deadline): (&Conditions<'_>, Instant),
) -> Result<Connected, Trouble> {
    let length = Length::of(conditions.one_way());
    if !url.https {
        let (stream, peer, local) = dial((root, Hop::Http), at, url, addresses, conditions, deadline).await?;
        let stream = Box::new(Wire::new(stream, length.clone()));
        return Ok(Connected { stream, peer, local, length, sealed: None });
    }
    let span = root.child_at(Hop::Tls, "Open a sealed connection", *at);
    let opened = async {
        let (stream, peer, local) = dial((&span, Hop::Tls), at, url, addresses, conditions, deadline).await?;
        let stream = Wire::new(stream, length.clone());
        let stream = shake_hands(&span, at, url, stream, config, (conditions, deadline)).await?;
        Ok((stream, peer, local))
    };
    match opened.await {
        Ok((stream, peer, local)) => {
            let sealed = Some(Sealed::new(span, *at, url, stream.get_ref().1, (peer, local)));
            Ok(Connected { stream: Box::new(stream), peer, local, length, sealed })
        }
        Err(trouble) => {
            span.status(Status::Error);
            span.end_at(*at);
            Err(trouble)
        }
    }
}

/// TCP: one span for each address that is tried.
async fn dial(
    (parent, hop): (&Span, Hop),
    at: &mut Tick,
    url: &Url,
    addresses: &[IpAddr],
    conditions: &Conditions<'_>,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr, SocketAddr), Trouble> {
    let mut why = String::new();
    for ip in addresses {
        let peer = SocketAddr::new(*ip, url.port);
        // Who is out of time by then finds that out below.
        let _ = tokio::time::timeout_at(deadline, conditions.there_and_back(parent, at)).await;
        let span = parent.child_at(hop, "TCP connect", *at);
        span.attribute("network.peer.address", || peer.ip().to_string())
            .attribute("network.peer.port", || peer.port())
            .attribute("network.transport", || "tcp");
        let until = deadline.min(Instant::now() + TCP_PATIENCE);
        let dialled = tokio::time::timeout_at(until, TcpStream::connect(peer)).await;
        let dialled = dialled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let dialled = dialled.and_then(|stream| {
            // Small requests must not wait for each other (RFC 896's algorithm, off).
            stream.set_nodelay(true)?;
            let local = stream.local_addr()?;
            Ok((stream, local))
        });
        *at = Tick::now();
        match dialled {
            Ok((stream, local)) => {
                span.attribute("network.local.port", || local.port());
                span.end_at(*at);
                return Ok((stream, peer, local));
            }
            Err(error) => {
                span.attribute("error.type", || error.kind().to_string());
                span.status(Status::Error);
                span.end_at(*at);
                why = match error.kind() {
                    io::ErrorKind::ConnectionRefused => format!("Nothing listens on {peer} (connection refused)"),
                    io::ErrorKind::TimedOut => format!("{peer} did not answer in time"),
                    _ => format!("{peer} can't be reached ({error})"),
                };
            }
        }
    }
    if why.is_empty() {
        why = format!("{} has no address", url.host);
    }
    Err(Trouble::new(hop, format!("{why}. Check that the server is running, and its port.")))
}

/// TLS (RFC 8446, section 2). The spans are told from when bytes passed and when the certificate was checked.
async fn shake_hands(
    parent: &Span,
    at: &mut Tick,
    url: &Url,
    stream: Wire<TcpStream>,
    config: &Arc<ClientConfig>,
    (conditions, deadline): (&Conditions<'_>, Instant),
) -> Result<TlsStream<Tap<Wire<TcpStream>>>, Trouble> {
    let start = *at;
    let name = ServerName::try_from(url.host.clone())
        .map_err(|_| Trouble::new(Hop::Tls, format!("'{}' can't be the name of a server.", url.host)))?;
    let (stream, tap) = Tap::new(stream);
    let checked = Arc::new(Mutex::new(Checked::default()));
    let handshake = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    let handshake = CHECKED.scope(Arc::clone(&checked), handshake);
    let shaken = tokio::time::timeout_at(deadline, handshake).await;
    let shaken = shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    *at = Tick::now();
    let checked = *checked.lock().unwrap_or_else(PoisonError::into_inner);
    let last = record(parent, start, &tap.take(), checked, *at, conditions);
    match shaken {
        Ok(stream) => Ok(stream),
        Err(error) => {
            last.status(Status::Error);
            last.attribute("error.type", || error.to_string());
            conditions.blame(&error, &last);
            Err(Trouble::new(Hop::Tls, explain(url, &error)))
        }
    }
}

/// The leaves of a handshake, each beginning where the one before ended; returns the last that was reached.
fn record(
    parent: &Span,
    start: Tick,
    passed: &Passed,
    checked: Checked,
    end: Tick,
    conditions: &Conditions<'_>,
) -> Span {
    let answered = passed.first_read.map(|read| read.clamp(start, end));
    let hello = parent.record(Hop::Tls, CLIENT_HELLO, start, answered.unwrap_or(end));
    let Some(answered) = answered else { return hello };
    let arrived = conditions.out(&hello, start, answered);
    conditions.back(&hello, arrived, answered);
    // A resumed session is proven by its key: no certificate is sent (RFC 8446, section 2.2).
    let keys_end = checked.start.unwrap_or(end).clamp(answered, end);
    let keys = parent.record(Hop::Tls, "Derive the keys", answered, keys_end);
    let (Some(_), Some(check_end)) = (checked.start, checked.end) else { return keys };
    // A refusal ends with the alert that tells the server of it.
    let check_end = if checked.refused { end } else { check_end.clamp(keys_end, end) };
    let check = parent.record(Hop::Tls, "Check the certificate", keys_end, check_end);
    if checked.refused {
        return check;
    }
    parent.record(Hop::Tls, "Finished, both ways", check_end, end)
}

impl Sealed {
    fn new(
        span: Span,
        end: Tick,
        url: &Url,
        session: &rustls::ClientConnection,
        (peer, local): (SocketAddr, SocketAddr),
    ) -> Self {
        let detailed = span.detailed();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            span,
            end,
            // RFC 6066, section 3: an address is never sent as a name.
            server_name: (detailed && url.host.parse::<IpAddr>().is_err()).then(|| url.host.clone()),
            version: session.protocol_version(),
            cipher: session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()),
            key_exchange: session.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
            protocol: session.alpn_protocol().map(text),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            chain: if detailed { session.peer_certificates().unwrap_or_default().to_vec() } else { Vec::new() },
            peer,
            local,
        }
    }

    /// Says what was agreed on, and ends the span when the handshake ended.
    pub fn describe(self) {
        self.span
            .attribute("tls.protocol.version", || match self.version {
                Some(ProtocolVersion::TLSv1_3) => "1.3",
                Some(ProtocolVersion::TLSv1_2) => "1.2",
                _ => "unknown",
            })
            // rustls writes TLS13_AES_256_GCM_SHA384; IANA's list has no 13.
            .attribute("tls.cipher", || self.cipher.unwrap_or("unknown").replacen("TLS13_", "TLS_", 1))
            .attribute("tls.key_exchange", || self.key_exchange.clone())
            .attribute("tls.client.server_name", || self.server_name.clone())
            .attribute("tls.next_protocol", || self.protocol.clone())
            .attribute("tls.resumed", || self.resumed)
            .attribute("tls.server.chain", || serde_json::Value::Array(self.chain.iter().map(certificate).collect()))
            .attribute("network.peer.address", || self.peer.ip().to_string())
            .attribute("network.peer.port", || self.peer.port())
            .attribute("network.local.address", || self.local.ip().to_string())
            .attribute("network.local.port", || self.local.port());
        self.span.end_at(self.end);
    }
}

fn certificate(der: &CertificateDer<'_>) -> serde_json::Value {
    let sha256 = secret::hex(&secret::sha256(der));
    match x509_parser::parse_x509_certificate(der) {
        Ok((_, certificate)) => json!({
            "subject": common_name(certificate.subject()),
            "issuer": common_name(certificate.issuer()),
            "not_before": date(certificate.validity().not_before),
            "not_after": date(certificate.validity().not_after),
            "names": names(&certificate),
            "sha256": sha256,
        }),
        Err(_) => json!({ "sha256": sha256 }),
    }
}

/// What people call it; the whole distinguished name where it has no common name.
fn common_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|common| common.as_str().ok());
    common.map_or_else(|| name.to_string(), str::to_owned)
}

fn date(time: x509_parser::time::ASN1Time) -> Option<String> {
    time.to_datetime().format(&time::format_description::well_known::Rfc3339).ok()
}

fn names(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Vec<String> {
    use x509_parser::extensions::GeneralName;
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    let shown = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(bytes) => Some(IpAddr::from(bytes).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    };
    alternative.value.general_names.iter().filter_map(shown).collect()
}

/// Why a handshake failed, and what to do.
pub(super) fn explain(url: &Url, error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let host = &url.host;
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            // A bad signature: by another authority of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "The certificate of {host} was made by an authority that this client does not trust. \
                 If it is your own, give its file: --ca ca.pem."
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("The certificate that came is for other names than {host}. Use one of its names.")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("The certificate of {host} has expired. Check this machine's clock, or renew it.")
            }
            other => format!("The certificate of {host} was refused: {other}."),
        },
        Some(other) => format!("The handshake with {host} failed: {other}. Check that it speaks TLS on this port."),
        None if error.kind() == io::ErrorKind::TimedOut => {
            format!("{host} did not finish the handshake in time. Check that it speaks TLS on port {}.", url.port)
        }
        None => format!("{host} broke the handshake off ({error}). Check that it speaks TLS on port {}.", url.port),
    }
}
