//! An edge with upstreams to put behind it and raw clients to put before it.
#![allow(dead_code, reason = "each of the test files that share this uses a part of it")]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use roundtrip::balancer::{Balancer, UpstreamConfig};
use roundtrip::edge::site::{PathRule, Route, Rules, Site};
use roundtrip::edge::{Edge, EdgeConfig, Listener};
use roundtrip::observe::recorder::Recorder;
use roundtrip::settings::http::HttpSettings;
use roundtrip::settings::http::bounds::Bounds;
use roundtrip::settings::runtime::{Settings, Snapshot};
use roundtrip::web::host::HostList;
use roundtrip::web::probe::ProbeKey;
use roundtrip::web::problem::Problem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const NAME: &str = "bistro.localhost";
pub const SECRET: &str = "hop-secret";
/// Nothing in these tests takes long; what does, hangs.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

pub fn body(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

pub fn probe_key() -> ProbeKey {
    ProbeKey::new(&[7; 32])
}

/// Bounds a wait: a hang is a failure.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("this hangs")
}

/// Waits until `done`, which another task makes true.
pub async fn until(done: impl Fn() -> bool) {
    soon(async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// An upstream that answers by a function and remembers what it was asked.
pub struct Upstream {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<(Parts, Bytes, SocketAddr)>>>,
    /// What health checks asked.
    pub checks: Arc<Mutex<Vec<Parts>>>,
    pub open: Arc<AtomicUsize>,
    tasks: Arc<Mutex<Vec<tokio::task::AbortHandle>>>,
}

impl Upstream {
    /// `/healthz` is answered with 200 and not remembered; everything else by `answer`.
    pub async fn start(answer: impl Fn(&Parts, Bytes) -> Response<Body> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, open, tasks) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicUsize>::default(), Arc::default());
        let checks = Arc::<Mutex<Vec<Parts>>>::default();
        let asked = Arc::clone(&checks);
        let upstream =
            Self { address, checks, seen: Arc::clone(&seen), open: Arc::clone(&open), tasks: Arc::clone(&tasks) };
        let answer = Arc::new(answer);
        let connections = Arc::clone(&tasks);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (seen, open, answer) = (Arc::clone(&seen), Arc::clone(&open), Arc::clone(&answer));
                let asked = Arc::clone(&asked);
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, answer, asked) = (Arc::clone(&seen), Arc::clone(&answer), Arc::clone(&asked));
                    async move {
                        let (head, incoming) = request.into_parts();
                        let Ok(collected) = incoming.collect().await else { return Ok(Response::new(body("cut"))) };
                        let bytes = collected.to_bytes();
                        if head.uri.path() == "/healthz" {
                            asked.lock().unwrap().push(head);
                            return Ok::<_, Infallible>(Response::new(body("")));
                        }
                        let response = answer(&head, bytes.clone());
                        seen.lock().unwrap().push((head, bytes, peer));
                        Ok(response)
                    }
                });
                open.fetch_add(1, Ordering::SeqCst);
                let task = tokio::spawn(async move {
                    let served = hyper::server::conn::http1::Builder::new();
                    let _ = served.serve_connection(TokioIo::new(stream), service).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
                connections.lock().unwrap().push(task.abort_handle());
            }
        });
        tasks.lock().unwrap().push(accepting.abort_handle());
        upstream
    }

    /// Answers 200 with `text`.
    pub async fn saying(text: &'static str) -> Self {
        Self::start(move |_, _| Response::new(body(text))).await
    }

    /// The process dies: its listener and all its connections are gone at once.
    pub fn kill(&self) {
        for task in self.tasks.lock().unwrap().drain(..) {
            task.abort();
        }
    }

    pub fn heads(&self) -> Vec<Parts> {
        self.seen.lock().unwrap().iter().map(|(head, _, _)| head.clone()).collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An upstream that handles each connection by hand, once a request's head has come.
pub async fn raw_upstream<F>(handle: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let handle = Arc::new(handle);
        while let Ok((mut stream, _)) = listener.accept().await {
            let handle = Arc::clone(&handle);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    let mut byte = [0];
                    match stream.read(&mut byte).await {
                        Ok(1) => head.push(byte[0]),
                        // A health check that only connects.
                        _ => return,
                    }
                }
                handle(stream).await;
            });
        }
    });
    address
}

/// An address where nobody listens.
pub fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub fn configs(addresses: &[SocketAddr], own: bool) -> Vec<UpstreamConfig> {
    let config = |(index, address): (usize, &SocketAddr)| UpstreamConfig {
        own,
        ..UpstreamConfig::new(format!("i{}", index + 1), *address)
    };
    addresses.iter().enumerate().map(config).collect()
}

pub struct Rig {
    pub edge: Edge,
    pub balancer: Balancer,
    pub recorder: Recorder,
    pub settings: Settings,
    pub address: SocketAddr,
    /// What `Host` has to be.
    pub host: String,
}

/// Settings with bounds that may be tighter than a person may make them.
pub fn bounded(bounds: Bounds) -> Settings {
    Settings::new(Snapshot { http: HttpSettings { bounds, ..HttpSettings::default() }, ..Snapshot::default() })
}

#[derive(Default)]
pub struct Options {
    pub own: bool,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub settings: Settings,
    /// Ranges of proxies whose word is believed.
    pub trusted: Vec<&'static str>,
}

impl Rig {
    pub async fn before(upstreams: &[SocketAddr]) -> Self {
        let rig = Self::with(upstreams, Options::default());
        soon(rig.balancer.ready()).await;
        rig
    }

    /// Before instances of ours.
    pub async fn before_own(upstreams: &[SocketAddr]) -> Self {
        let rig = Self::with(upstreams, Options { own: true, ..Options::default() });
        soon(rig.balancer.ready()).await;
        rig
    }

    pub fn with(upstreams: &[SocketAddr], options: Options) -> Self {
        let settings = options.settings;
        let balancer = Balancer::new(configs(upstreams, options.own), settings.clone(), SECRET.to_owned());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let recorder = Recorder::default();
        let trusted = options.trusted.iter().map(|range| range.parse().unwrap()).collect();
        let rules = Rules::strict();
        let secret = Route {
            host: None,
            path: PathRule::Exact("/secret".to_owned()),
            pool: "pool".to_owned(),
            balancer: balancer.clone(),
            rules: Rules { tells_times: false, ..rules.clone() },
        };
        let all = Route { path: PathRule::Prefix("/".to_owned()), rules, ..secret.clone() };
        let config = EdgeConfig {
            listeners: vec![Listener { socket: listener, tls: options.tls }],
            site: Site::new(HostList::new(&[NAME.to_owned()], port, 443), trusted, vec![secret, all]),
            settings: settings.clone(),
            probe_key: probe_key(),
            workers: 1,
            via: "roundtrip".to_owned(),
            flaws: None,
        };
        let edge = Edge::start(config, recorder.clone()).unwrap();
        let address = edge.addresses()[0];
        Self { edge, balancer, recorder, settings, address, host: format!("{NAME}:{port}") }
    }

    pub async fn connect(&self) -> Client {
        Client::on(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends a request, HOST replaced, asks to close, and reads all that comes back.
    pub async fn exchange(&self, request: &str) -> String {
        let mut client = self.connect().await;
        client.write(&request.replace("HOST", &self.host)).await;
        client.rest().await
    }

    /// GET with the right Host; `fields` end with CRLF each.
    pub async fn get(&self, path: &str, fields: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n{fields}\r\n")).await
    }
}

/// A client of raw bytes.
pub struct Client {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub fn on(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub async fn write(&mut self, text: &str) {
        soon(self.stream.write_all(text.as_bytes())).await.unwrap();
    }

    /// All that comes until `text` has come.
    pub async fn read_until(&mut self, text: &str) -> String {
        soon(async {
            loop {
                if let Some(at) = self.read.windows(text.len()).position(|window| window == text.as_bytes()) {
                    let rest = self.read.split_off(at + text.len());
                    return String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
                }
                let mut buffer = [0; 4096];
                let count = self.stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "closed before {text:?}: {:?}", String::from_utf8_lossy(&self.read));
                self.read.extend_from_slice(&buffer[..count]);
            }
        })
        .await
    }

    /// Exactly so many bytes as `into` has.
    pub async fn take(&mut self, into: &mut [u8]) {
        soon(async {
            while self.read.len() < into.len() {
                let mut buffer = [0; 4096];
                let count = self.stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "closed");
                self.read.extend_from_slice(&buffer[..count]);
            }
        })
        .await;
        let rest = self.read.split_off(into.len());
        into.copy_from_slice(&std::mem::replace(&mut self.read, rest));
    }

    /// All that comes until the connection is closed, in whatever way.
    pub async fn rest(&mut self) -> String {
        let _ = soon(self.stream.read_to_end(&mut self.read)).await;
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// The values of a field in a head.
pub fn field(head: &hyper::HeaderMap, name: &str) -> Vec<String> {
    head.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// The problem document that an answer is.
pub fn problem(answer: &str) -> Problem {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}
