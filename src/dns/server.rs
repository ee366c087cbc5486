//! The sockets, and the report of each query.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_proto::op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::DNSClass;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use serde_json::Value;
use tokio::net::{TcpListener, UdpSocket};

use super::DnsError;
use super::faults::{self, Owners, Verdict};
use super::zone::{Answer, DnsConfig, Zones};
use crate::observe::clock::Tick;
use crate::observe::part::DnsPart;
use crate::observe::rcode;
use crate::settings::runtime::Settings;

/// An idle TCP connection is closed after this long (RFC 7766, section 6.2.3: of the order of seconds).
const TCP_IDLE: Duration = Duration::from_secs(5);
/// Answers waiting to be written on one TCP connection.
const TCP_ANSWERS_MAX: usize = 16;
/// UDP answers never need to be split on the way (DNS flag day 2020).
const UDP_PAYLOAD_MAX: u16 = 1_232;
/// Tries to find a port that is free for both protocols.
const PORT_TRIES: usize = 16;

/// Called with the record of each query, before its answer leaves: so it is there when the asker's is.
pub type OnAnswer = Arc<dyn Fn(DnsPart) + Send + Sync>;

/// A running name server. Dropping it ends it.
pub struct DnsServer {
    address: SocketAddr,
    zones: Arc<ArcSwap<Zones>>,
    server: hickory_server::Server<Handler>,
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DnsServer({})", self.address)
    }
}

impl DnsServer {
    /// Binds both sockets and starts to answer.
    pub async fn start(config: DnsConfig, on_answer: OnAnswer) -> Result<Self, DnsError> {
        let zones = Arc::new(ArcSwap::from_pointee(Zones::build(&config, 1)?));
        let (tcp, udp, address) = bind(config.bind).await?;
        let handler = Handler {
            zones: Arc::clone(&zones),
            on_answer,
            turn: AtomicUsize::new(0),
            owners: Owners::new(&config.live.app, &config.live.console)?,
            settings: config.live.settings,
        };
        let mut server = hickory_server::Server::new(handler);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS_MAX);
        Ok(Self { address, zones, server })
    }

    /// Where it listens, on UDP and TCP alike.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it knows, to be replaced while it answers.
    pub fn names(&self) -> Names {
        Names { address: self.address, zones: Arc::clone(&self.zones) }
    }

    /// Stops listening and waits until both sockets are closed.
    pub async fn stop(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            log::warn!("the name server on {} ended badly: {error}", self.address);
        }
    }
}

/// What a server knows.
#[derive(Debug, Clone)]
pub struct Names {
    address: SocketAddr,
    zones: Arc<ArcSwap<Zones>>,
}

impl Names {
    /// Replaces all names, live; the address stays.
    pub fn replace(&self, mut config: DnsConfig) -> Result<(), DnsError> {
        config.bind = self.address;
        // Whoever compares serials sees that there is something new (RFC 1035, section 3.3.13).
        let serial = self.zones.load().serial.wrapping_add(1);
        self.zones.store(Arc::new(Zones::build(&config, serial)?));
        Ok(())
    }
}

/// One port for both: where the system chooses, it may choose one that UDP has taken.
async fn bind(address: SocketAddr) -> Result<(TcpListener, UdpSocket, SocketAddr), DnsError> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let fail = |protocol, source| DnsError::Bind { address, protocol, source };
        let tcp = TcpListener::bind(address).await.map_err(|source| fail("TCP", source))?;
        let chosen = tcp.local_addr().map_err(|source| fail("TCP", source))?;
        match UdpSocket::bind(chosen).await {
            Ok(udp) => return Ok((tcp, udp, chosen)),
            Err(source) if tries == 0 => return Err(fail("UDP", source)),
            Err(_) => {}
        }
    }
}

struct Handler {
    zones: Arc<ArcSwap<Zones>>,
    on_answer: OnAnswer,
    turn: AtomicUsize,
    owners: Owners,
    settings: Settings,
}

impl Handler {
    async fn verdict(&self, request: &Request) -> Verdict {
        let [question] = request.queries.queries() else { return Verdict::default() };
        faults::of_query(&self.settings, &self.owners, question.original().name()).await
    }

    fn answer(&self, request: &Request, verdict: &Verdict) -> Answer {
        let [question] = request.queries.queries() else {
            // Nobody sends several questions, and what it would mean is undefined (RFC 9619).
            return Answer { code: ResponseCode::FormErr, ..Answer::default() };
        };
        if request.metadata.op_code != OpCode::Query {
            return Answer { code: ResponseCode::NotImp, ..Answer::default() };
        }
        if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Answer { code: ResponseCode::BADVERS, ..Answer::default() };
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let question = question.original();
        let (name, kind) = (question.name(), question.query_type());
        if let Some(instead) = verdict.instead {
            return instead.answer(&self.zones.load(), name, kind);
        }
        let ttl_s = u32::try_from(self.settings.snapshot().dns.ttl.as_secs()).unwrap_or(u32::MAX);
        self.zones.load().answer(name, question.query_class(), kind, turn).remembered_for(ttl_s)
    }

    fn report(&self, request: &Request, answer: &Answer, verdict: &Verdict, start: Tick) {
        let transport = if request.protocol() == Protocol::Udp { "udp" } else { "tcp" };
        let mut attributes = Vec::with_capacity(8);
        let mut put = |name: &'static str, value: Value| attributes.push((name.into(), value));
        if let [question] = request.queries.queries() {
            put("dns.question.name", question.original().name().to_ascii().into());
            put("dns.question.type", question.query_type().to_string().into());
            if question.query_class() != DNSClass::IN {
                put("dns.question.class", question.query_class().to_string().into());
            }
        }
        if verdict.lost {
            put("error.type", "lost".into());
        } else {
            put("dns.response_code", rcode::name(answer.code).into());
        }
        put("dns.authoritative", answer.authoritative.into());
        put("dns.answers", answer.answers.len().into());
        put("network.transport", transport.into());
        (self.on_answer)(DnsPart {
            source_port: request.src().port(),
            query_id: request.metadata.id,
            start,
            end: Tick::now(),
            fault: verdict.strike.map(|strike| strike.fault.key()),
            attributes,
        });
    }
}

async fn respond<R: ResponseHandler>(handler: &Handler, request: &Request, mut response: R) -> ResponseInfo {
    let start = Tick::now();
    let mut metadata = Metadata::response_from_request(&request.metadata);
    if request.metadata.message_type == MessageType::Response {
        // Answering an answer would let two servers talk for ever.
        return Header { metadata, counts: HeaderCounts::default() }.into();
    }
    let verdict = handler.verdict(request).await;
    let answer = handler.answer(request, &verdict);
    metadata.response_code = answer.code;
    metadata.authoritative = answer.authoritative;
    let edns = request.edns.as_ref().map(|asked| {
        let mut edns = Edns::new();
        edns.set_max_payload(asked.max_payload().clamp(512, UDP_PAYLOAD_MAX));
        edns.set_version(0);
        edns
    });
    let builder = MessageResponseBuilder::new(&request.queries, edns.as_ref());
    let none = || std::iter::empty();
    let message = builder.build(metadata, &answer.answers, &answer.authorities, none(), none());
    handler.report(request, &answer, &verdict, start);
    if verdict.lost {
        return Header { metadata, counts: HeaderCounts::default() }.into();
    }
    match response.send_response(message).await {
        Ok(info) => info,
        Err(error) => {
            log::debug!("an answer to {} was lost: {error}", request.src());
            Header { metadata, counts: HeaderCounts::default() }.into()
        }
    }
}

impl RequestHandler for Handler {
    // What #[async_trait] would write; one method is not worth the dependency.
    fn handle_request<'life0, 'life1, 'async_trait, R, T>(
        &'life0 self,
        request: &'life1 Request,
        response: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        R: ResponseHandler + 'async_trait,
        T: Time + 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(respond(self, request, response))
    }
}
