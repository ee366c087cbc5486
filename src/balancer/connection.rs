//! One HTTP/1.1 connection to an upstream.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::upload::Upload;

/// How long an upstream may take to accept.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// An answer's head may be as large as this: more than any server sends, and bounded.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// Closed when dropped, whatever is under way on it: that is how work is cancelled in HTTP/1.1.
#[derive(Debug)]
pub struct Connection {
    sender: http1::SendRequest<Upload>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why sending did not lead to an answer.
#[derive(Debug)]
pub enum SendError {
    /// Nothing of it was written: here it is again.
    Unsent(Box<Request<Upload>>),
    /// The connection broke, or what came back was no HTTP.
    Broken(hyper::Error),
}

impl Connection {
    /// Connects within [`CONNECT_TIMEOUT`].
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                log::debug!(target: "balancer", "connection to {address}: {error}");
            }
        });
        Ok(Self { sender, driver: driver.abort_handle() })
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

    /// Sends and waits for the answer's head.
    pub async fn send(&mut self, request: Request<Upload>) -> Result<Response<Incoming>, SendError> {
        self.sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(request) => SendError::Unsent(Box::new(request)),
            None => SendError::Broken(error.into_error()),
        })
    }
}
