//! One HTTP/1.1 connection to an upstream.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, CertificateError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsConnector;

use super::head_limit::{HeadLimit, Limited};
use super::target::Target;
use super::upload::Upload;
use crate::faults::wire::{Length, Wire};

/// An answer's head may be as large as this: more than any server sends, and bounded.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// Closed when dropped, whatever is under way on it: that is how work is cancelled in HTTP/1.1.
#[derive(Debug)]
pub struct Connection {
    sender: http1::SendRequest<Upload>,
    driver: AbortHandle,
    limit: Arc<HeadLimit>,
    /// Of the wire to the upstream.
    length: Length,
    /// Bounds its exchanges, one after another: to put a timer off is cheaper than to set a new one.
    alarm: Pin<Box<Sleep>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why there is no connection, in plain words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Certificate(&'static str),
    /// Nobody accepted in time.
    #[error("{0}")]
    Late(String),
    /// This machine has no socket left to connect with.
    #[error("{0}")]
    Ours(String),
}

/// Why sending did not lead to an answer.
#[derive(Debug)]
pub enum SendError {
    /// Nothing of the request was written: here is its body again.
    Unsent(Upload),
    /// The connection was closed before a byte of an answer came.
    Closed(hyper::Error),
    /// The connection broke, or what came back was no HTTP.
    Broken(hyper::Error),
}

impl Connection {
    /// Connects to the first of `addresses` that accepts, within `patience` for all of them and the TLS
    /// handshake.
    pub async fn open(target: &Target, addresses: &[SocketAddr], patience: Duration) -> Result<Self, ConnectError> {
        if addresses.is_empty() {
            return Err(ConnectError::Unreachable(format!("the name {} has led to no address so far", target.host)));
        }
        let end = Instant::now() + patience;
        let late = || ConnectError::Late(format!("it did not accept within {patience:?}"));
        let stream = connect(addresses, end).await?.ok_or_else(late)?;
        stream.set_nodelay(true).map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        let Some(tls) = &target.tls else { return Self::start(stream).await };
        let handshake = TlsConnector::from(Arc::clone(&tls.config)).connect(tls.name.clone(), stream);
        match tokio::time::timeout_at(end, handshake).await {
            Ok(Ok(stream)) => Self::start(stream).await,
            Ok(Err(error)) => Err(in_words(&error)),
            Err(_) => Err(ConnectError::Late(format!("its TLS handshake took longer than {patience:?}"))),
        }
    }

    async fn start<S>(stream: S) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (limit, length) = (Arc::<HeadLimit>::default(), Length::default());
        let stream = Wire::new(stream, length.clone());
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(Limited::new(stream, Arc::clone(&limit))))
            .await
            .map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                log::debug!(target: "balancer", "a connection ended: {error}");
            }
        });
        let alarm = Box::pin(tokio::time::sleep(Duration::ZERO));
        Ok(Self { sender, driver: driver.abort_handle(), limit, length, alarm })
    }

    /// Whether a request can be sent at once.
    pub fn is_usable(&self) -> bool {
        self.sender.is_ready() && !self.sender.is_closed()
    }

    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until the exchange has ended on both sides. False when the connection ended instead.
    pub async fn becomes_usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends, and then waits for the answer's head.
    pub fn send(
        &mut self,
        request: Request<Upload>,
    ) -> impl Future<Output = Result<Response<Incoming>, SendError>> + use<> {
        self.limit.begin();
        let (sent, limit) = (self.sender.try_send_request(request), Arc::clone(&self.limit));
        async move {
            let sent = sent.await;
            let silent = limit.end() == 0;
            sent.map_err(|mut error| match error.take_message() {
                Some(request) => SendError::Unsent(request.into_body()),
                None if silent => SendError::Closed(error.into_error()),
                None => SendError::Broken(error.into_error()),
            })
        }
    }

    /// So far away is the upstream for what is sent next.
    pub fn is_away(&self, one_way: Duration) {
        self.length.set(one_way);
    }

    pub fn alarm(&mut self) -> Pin<&mut Sleep> {
        self.alarm.as_mut()
    }
}

/// The first that accepts; None when the time is over. Each gets an equal part of what is left, so that a
/// dead first address does not use up the time of the second.
async fn connect(addresses: &[SocketAddr], end: Instant) -> Result<Option<TcpStream>, ConnectError> {
    let mut refused = None;
    for (index, address) in addresses.iter().enumerate() {
        let left = end.saturating_duration_since(Instant::now()) / (addresses.len() - index) as u32;
        match tokio::time::timeout(left, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(Some(stream)),
            Ok(Err(error)) => refused = Some(refusal(address, &error)),
            Err(_) => {}
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Whose refusal it is: without a descriptor (EMFILE, ENFILE) or a port of our own no upstream was asked.
fn refusal(address: &SocketAddr, error: &io::Error) -> ConnectError {
    // The numbers are the same on all Unix systems; the standard library has no name for them.
    let without_descriptor = cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24));
    let reason = format!("{address}: {error}");
    if without_descriptor || error.kind() == io::ErrorKind::AddrNotAvailable {
        return ConnectError::Ours(reason);
    }
    ConnectError::Unreachable(reason)
}

/// What is wrong with the other side's TLS.
fn in_words(error: &io::Error) -> ConnectError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let certificate = match tls {
        Some(rustls::Error::InvalidCertificate(error)) => error,
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            return ConnectError::Certificate("it wants a certificate of the client, and none is configured");
        }
        _ => return ConnectError::Unreachable(format!("its TLS handshake failed: {error}")),
    };
    ConnectError::Certificate(match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => "its certificate comes from an authority that is not trusted here",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::Revoked => "its certificate was revoked",
        _ => "its certificate is not valid",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_this_machine_lacks_is_told_from_what_the_other_side_refuses() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        for number in [23, 24] {
            assert!(matches!(refusal(&address, &io::Error::from_raw_os_error(number)), ConnectError::Ours(_)));
        }
        assert!(matches!(refusal(&address, &io::ErrorKind::AddrNotAvailable.into()), ConnectError::Ours(_)));
        assert!(matches!(refusal(&address, &io::ErrorKind::ConnectionRefused.into()), ConnectError::Unreachable(_)));
    }

    #[tokio::test]
    async fn the_second_address_is_tried_when_the_first_refuses_or_keeps_silent() -> io::Result<()> {
        let refusing = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // A queue of none, filled: further connections are neither accepted nor refused.
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let full = socket.listen(0)?;
        let silent = full.local_addr()?;
        let _filled = TcpStream::connect(silent).await?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        for first in [refusing, silent] {
            let addresses = [first, listener.local_addr()?];
            let opened = Connection::open(&Target::from(first), &addresses, Duration::from_secs(1)).await;
            assert!(opened.is_ok(), "{opened:?}");
        }
        let refused = Connection::open(&Target::from(refusing), &[refusing], Duration::from_secs(1)).await;
        assert!(matches!(refused, Err(ConnectError::Unreachable(reason)) if reason.contains("refused")));
        Ok(())
    }
}
