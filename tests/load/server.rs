//! A server that counts what reaches it, and answers as a test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What to do with a request.
pub enum Say {
    /// These bytes; the connection stays.
    This(Vec<u8>),
    /// These bytes, then the end of the connection.
    Last(Vec<u8>),
    /// Nothing, ever.
    Nothing,
}

/// A 200 with a short body.
pub fn ok() -> Say {
    Say::This(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())
}

pub fn status(code: u16) -> Say {
    Say::This(format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n").into_bytes())
}

#[derive(Debug, Default)]
pub struct Seen {
    /// The requests' first lines, in the order in which they came.
    pub lines: Vec<String>,
    pub heads: Vec<String>,
    pub connections: usize,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

pub struct Server {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// `answer` gets the number of the request, from 0, and its first line.
    pub async fn start<F, A>(answer: F) -> Server
    where
        F: Fn(usize, String) -> A + Send + Sync + 'static,
        A: Future<Output = Say> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, answer) = (Arc::new(Mutex::new(Seen::default())), Arc::new(answer));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                log.lock().expect("the log").connections += 1;
                connections.spawn(serve(stream, Arc::clone(&log), Arc::clone(&answer)));
            }
        });
        Server { address, seen, task: task.abort_handle() }
    }

    pub fn count(&self) -> usize {
        self.seen.lock().expect("the log").lines.len()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve<F, A>(mut stream: TcpStream, log: Arc<Mutex<Seen>>, answer: Arc<F>)
where
    F: Fn(usize, String) -> A,
    A: Future<Output = Say>,
{
    let mut bytes = Vec::new();
    while let Some(head) = read(&mut stream, &mut bytes).await {
        let line = head.lines().next().unwrap_or_default().to_owned();
        let number = {
            let mut seen = log.lock().expect("the log");
            seen.lines.push(line.clone());
            seen.heads.push(head.clone());
            seen.bytes_in += head.len() as u64 + length(&head) as u64;
            seen.lines.len() - 1
        };
        let (text, ends) = match answer(number, line).await {
            Say::This(text) => (text, false),
            Say::Last(text) => (text, true),
            Say::Nothing => std::future::pending().await,
        };
        log.lock().expect("the log").bytes_out += text.len() as u64;
        if stream.write_all(&text).await.is_err() || ends {
            return;
        }
    }
}

fn length(head: &str) -> usize {
    let field = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    field.map_or(0, |text| text.parse().expect("a number"))
}

/// The next request's head; its body is taken off.
async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end + 4].to_vec()).expect("text");
            let whole = end + 4 + length(&head);
            if bytes.len() >= whole {
                bytes.drain(..whole);
                return Some(head);
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
