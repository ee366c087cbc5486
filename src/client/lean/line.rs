//! One connection, opened again when it is gone.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::answer::{self, Answered};
use super::{Broken, Jar, Kind, Origin};
use crate::client::connect::{self, Stream};

/// What is read at once; the head of an answer must fit.
const BUFFER_BYTES: usize = 16 * 1024;

/// A connection that carries one request at a time. Whoever drops a call under way loses the connection, not
/// the line.
pub struct Line {
    origin: Arc<Origin>,
    stream: Option<Box<dyn Stream>>,
    buffer: Box<[u8]>,
    opened: u64,
}

impl Line {
    pub fn new(origin: Arc<Origin>) -> Self {
        Self { origin, stream: None, buffer: vec![0; BUFFER_BYTES].into_boxed_slice(), opened: 0 }
    }

    /// Connections that it has opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Opens a connection, unless one is open. What the server closed meanwhile is noticed here, so that
    /// no request is lost in a connection that was idle too long.
    pub async fn open(&mut self) -> Result<(), Broken> {
        if let Some(stream) = &mut self.stream
            && is_idle(stream).await
        {
            return Ok(());
        }
        self.stream = None;
        self.stream = Some(dial(&self.origin).await?);
        self.opened += 1;
        Ok(())
    }

    /// Closes the connection.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }

    /// Sends the bytes of a request and reads the whole answer. `no_body`: the answer to HEAD has none.
    pub async fn exchange(&mut self, request: &[u8], no_body: bool, jar: &mut Jar) -> Result<Answered, Broken> {
        self.open().await?;
        let Some(mut stream) = self.stream.take() else {
            return Err(Broken::new(Kind::Connect, "no connection"));
        };
        // A server may answer and close before it has read all: its answer counts, so it is read either way.
        let sent = match stream.write_all(request).await {
            Ok(()) => stream.flush().await,
            Err(error) => Err(error),
        };
        let answered = answer::read(&mut stream, &mut self.buffer, no_body, jar).await;
        match (answered, sent) {
            (Ok(answered), Ok(())) => {
                if answered.stays_open {
                    self.stream = Some(stream);
                }
                Ok(answered)
            }
            (answered, _) => answered,
        }
    }
}

async fn dial(origin: &Origin) -> Result<Box<dyn Stream>, Broken> {
    let url = origin.url();
    let stream = connect_to(&origin.addresses().await?, url.port).await?;
    if !url.https {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(url.host.clone())
        .map_err(|_| Broken::new(Kind::Tls, format!("'{}' can't be the name of a server.", url.host)))?;
    let shaken = TlsConnector::from(Arc::clone(&origin.tls)).connect(name, stream).await;
    let stream = shaken.map_err(|error| Broken::new(Kind::Tls, connect::explain(url, &error)))?;
    Ok(Box::new(stream))
}

async fn connect_to(addresses: &[std::net::IpAddr], port: u16) -> Result<TcpStream, Broken> {
    let mut why = "The name has no address.".to_owned();
    for address in addresses {
        let peer = SocketAddr::new(*address, port);
        match TcpStream::connect(peer).await.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                why = format!("Nothing listens on {peer} (connection refused).");
            }
            Err(error) => why = format!("{peer} can't be reached ({error})."),
        }
    }
    Err(Broken::new(Kind::Connect, why))
}

/// Whether nothing has come on a connection that waits for a request: neither its end nor stray bytes.
async fn is_idle(stream: &mut Box<dyn Stream>) -> bool {
    let mut byte = [0];
    poll_fn(|cx| {
        let mut byte = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut byte).is_pending())
    })
    .await
}
