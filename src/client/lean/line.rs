//! One connection, opened again when it is gone.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::answer::{self, Answered};
use super::{Broken, Jar, Kind, Origin};
use crate::client::connect::{self, Stream};
use crate::client::faults::{Conditions, Cut, Scissors};
use crate::faults::wire::{Length, Wire};
use crate::settings::runtime::Settings;

/// What is read at once; the head of an answer must fit.
const BUFFER_BYTES: usize = 16 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// A connection that carries one request at a time. Whoever drops a call under way loses the connection, not
/// the line.
pub struct Line {
    origin: Arc<Origin>,
    link: Option<Link>,
    buffer: Box<[u8]>,
    opened: u64,
}

/// An open connection, as far away and as sound as the conditions of the request that it carries.
struct Link {
    stream: Cut<Box<dyn Stream>>,
    length: Length,
    scissors: Scissors,
}

impl Line {
    pub fn new(origin: Arc<Origin>) -> Self {
        Self { origin, link: None, buffer: vec![0; BUFFER_BYTES].into_boxed_slice(), opened: 0 }
    }

    /// Connections that it has opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Opens a connection, unless one is open. What the server closed meanwhile is noticed here, so that
    /// no request is lost in a connection that was idle too long.
    pub async fn open(&mut self) -> Result<(), Broken> {
        let conditions = Conditions::drawn(self.origin.client.0.settings.as_ref(), &self.origin.url.target, 0);
        let link = open(&self.origin, self.link.take(), &conditions, &mut self.opened).await?;
        self.link = Some(link);
        Ok(())
    }

    /// Closes the connection.
    pub fn hang_up(&mut self) {
        self.link = None;
    }

    /// Sends the bytes of a request and reads the whole answer. `no_body`: the answer to HEAD has none.
    pub async fn exchange(&mut self, request: &[u8], no_body: bool, jar: &mut Jar) -> Result<Answered, Broken> {
        let conditions = conditions(self.origin.client.0.settings.as_ref(), request);
        let mut link = open(&self.origin, self.link.take(), &conditions, &mut self.opened).await?;
        link.length.set(conditions.one_way());
        link.scissors.set(conditions.hang_up);
        // A server may answer and close before it has read all: its answer counts, so it is read either way.
        let sent = match link.stream.write_all(request).await {
            Ok(()) => link.stream.flush().await,
            Err(error) => Err(error),
        };
        let answered = answer::read(&mut link.stream, &mut self.buffer, no_body, jar).await;
        if let Some(hang_up) = conditions.hang_up.filter(|_| link.scissors.have_cut()) {
            return Err(Broken::new(Kind::Reset, hang_up.explain()));
        }
        match (answered, sent) {
            (Ok(answered), Ok(())) => {
                if answered.stays_open {
                    self.link = Some(link);
                }
                Ok(answered)
            }
            (answered, _) => answered,
        }
    }
}

/// Those of the request in these bytes. Which it is is looked up only where it may matter.
fn conditions<'a>(settings: Option<&'a Settings>, request: &[u8]) -> Conditions<'a> {
    let faulty = settings.is_some_and(|settings| !settings.snapshot().faults.none());
    let (target, body_bytes) = if faulty { target_and_body(request) } else { Default::default() };
    Conditions::drawn(settings, target, body_bytes)
}

fn target_and_body(request: &[u8]) -> (&str, usize) {
    let target = request.split(|byte| *byte == b' ').nth(1).and_then(|target| std::str::from_utf8(target).ok());
    let head = request.windows(END_OF_HEAD.len()).position(|bytes| bytes == END_OF_HEAD);
    (target.unwrap_or_default(), head.map_or(0, |head| request.len() - head - END_OF_HEAD.len()))
}

/// `kept`, if nothing has come on it meanwhile; else a new one.
async fn open(
    origin: &Origin,
    kept: Option<Link>,
    conditions: &Conditions<'_>,
    opened: &mut u64,
) -> Result<Link, Broken> {
    if let Some(mut link) = kept
        && is_idle(&mut link.stream).await
    {
        return Ok(link);
    }
    let length = Length::of(conditions.one_way());
    let (stream, scissors) = Cut::new(dial(origin, &length).await?);
    *opened += 1;
    Ok(Link { stream, length, scissors })
}

async fn dial(origin: &Origin, length: &Length) -> Result<Box<dyn Stream>, Broken> {
    let url = origin.url();
    let addresses = origin.addresses().await?;
    length.round_trip().await;
    let stream = Wire::new(connect_to(&addresses, url.port).await?, length.clone());
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
async fn is_idle(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut byte = [0];
    poll_fn(|cx| {
        let mut byte = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut byte).is_pending())
    })
    .await
}
