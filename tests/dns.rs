//! The name server and the resolver, over real sockets.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType, rdata};
use roundtrip::client::Resolver;
use roundtrip::dns::{DnsConfig, DnsError, DnsServer, OnAnswer};
use roundtrip::observe::part::DnsPart;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

type Reports = Arc<Mutex<Vec<DnsPart>>>;

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

fn names() -> DnsConfig {
    DnsConfig::new(anywhere())
        .address("bistro.roundtrip.test", ONE)
        .address("i1.roundtrip.test", ONE)
        .address("i1.roundtrip.test", TWO)
        .address("six.roundtrip.test", "::1".parse().expect("an address"))
        .address("bistro.localhost", ONE)
        .address("roundtrip.localhost", ONE)
        .alias("www.bistro.roundtrip.test", "bistro.roundtrip.test")
}

fn recording() -> (Reports, OnAnswer) {
    let reports = Reports::default();
    let kept = Arc::clone(&reports);
    (reports, Arc::new(move |part| kept.lock().expect("the reports").push(part)))
}

async fn start() -> (DnsServer, Reports) {
    let (reports, on_answer) = recording();
    (DnsServer::start(names(), on_answer).await.expect("a server"), reports)
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4_711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    message
}

async fn by_udp(server: SocketAddr, message: &Message) -> Message {
    let socket = UdpSocket::bind(anywhere()).await.expect("a socket");
    socket.connect(server).await.expect("connected");
    socket.send(&message.to_vec().expect("bytes")).await.expect("sent");
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).await.expect("an answer");
    Message::from_vec(&buffer[..length]).expect("a message")
}

async fn by_tcp(server: SocketAddr, message: &Message) -> Message {
    let mut stream = TcpStream::connect(server).await.expect("connected");
    let bytes = message.to_vec().expect("bytes");
    stream.write_u16(bytes.len() as u16).await.expect("sent");
    stream.write_all(&bytes).await.expect("sent");
    let length = stream.read_u16().await.expect("a length");
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.expect("an answer");
    Message::from_vec(&answer).expect("a message")
}

/// The answer, which must be the same by UDP and TCP.
async fn ask(server: &DnsServer, name: &str, kind: RecordType) -> Message {
    let message = query(name, kind);
    let (udp, tcp) = (by_udp(server.address(), &message).await, by_tcp(server.address(), &message).await);
    assert_eq!((udp.metadata, &udp.authorities), (tcp.metadata, &tcp.authorities), "{name} {kind}");
    assert_eq!(udp.answers.len(), tcp.answers.len(), "{name} {kind}");
    assert_eq!(udp.metadata.id, 4_711);
    udp
}

fn kinds(records: &[Record]) -> Vec<RecordType> {
    records.iter().map(Record::record_type).collect()
}

#[tokio::test]
async fn an_address_is_answered_with_authority() {
    let (server, _) = start().await;
    for name in ["bistro.roundtrip.test.", "BISTRO.Roundtrip.Test.", "bistro.localhost.", "roundtrip.localhost."] {
        let answer = ask(&server, name, RecordType::A).await;
        assert!(answer.metadata.authoritative && !answer.metadata.recursion_available, "{name}");
        assert_eq!(
            answer.answers.iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>(),
            [ONE],
            "{name}"
        );
    }
    assert_eq!(kinds(&ask(&server, "six.roundtrip.test.", RecordType::AAAA).await.answers), [RecordType::AAAA]);
    server.stop().await;
}

#[tokio::test]
async fn an_alias_comes_with_its_target() {
    let (server, _) = start().await;
    let answer = ask(&server, "www.bistro.roundtrip.test.", RecordType::A).await;
    assert_eq!(kinds(&answer.answers), [RecordType::CNAME, RecordType::A]);
    let answer = ask(&server, "www.bistro.roundtrip.test.", RecordType::CNAME).await;
    assert_eq!(kinds(&answer.answers), [RecordType::CNAME]);
}

#[tokio::test]
async fn the_zone_names_its_authority_and_its_server() {
    let (server, _) = start().await;
    assert_eq!(kinds(&ask(&server, "roundtrip.test.", RecordType::SOA).await.answers), [RecordType::SOA]);
    let answer = ask(&server, "roundtrip.test.", RecordType::NS).await;
    let RData::NS(rdata::NS(ns)) = &answer.answers[0].data else { panic!("{answer:?}") };
    let glue = ask(&server, &ns.to_ascii(), RecordType::A).await;
    assert_eq!(glue.answers[0].data.ip_addr(), Some(ONE));
}

#[tokio::test]
async fn an_unknown_name_is_denied_and_the_denial_may_be_remembered() {
    let (server, _) = start().await;
    let answer = ask(&server, "nobody.roundtrip.test.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert!(answer.metadata.authoritative && answer.answers.is_empty());
    assert_eq!(kinds(&answer.authorities), [RecordType::SOA]);
}

#[tokio::test]
async fn a_name_without_such_a_record_is_no_error() {
    let (server, _) = start().await;
    let answer = ask(&server, "bistro.roundtrip.test.", RecordType::AAAA).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.is_empty());
    assert_eq!(kinds(&answer.authorities), [RecordType::SOA]);
}

#[tokio::test]
async fn what_is_not_ours_is_refused() {
    let (server, _) = start().await;
    for name in ["example.com.", "test.", "localhost.", "evil.localhost.", "."] {
        let answer = ask(&server, name, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused, "{name}");
        assert!(!answer.metadata.authoritative, "{name}");
    }
}

#[tokio::test]
async fn several_addresses_take_turns() {
    let (server, _) = start().await;
    let mut firsts = Vec::new();
    for _ in 0..4 {
        let answer = by_udp(server.address(), &query("i1.roundtrip.test.", RecordType::A)).await;
        assert_eq!(answer.answers.len(), 2);
        firsts.extend(answer.answers[0].data.ip_addr());
    }
    assert_eq!(firsts[0], firsts[2]);
    assert_eq!(firsts[1], firsts[3]);
    assert_ne!(firsts[0], firsts[1]);
}

#[tokio::test]
async fn each_query_is_reported_with_its_port_and_id() {
    let (server, reports) = start().await;
    let socket = UdpSocket::bind(anywhere()).await.expect("a socket");
    let message = query("nobody.roundtrip.test.", RecordType::A);
    socket.send_to(&message.to_vec().expect("bytes"), server.address()).await.expect("sent");
    socket.recv(&mut [0; 512]).await.expect("an answer");
    let reports = reports.lock().expect("the reports");
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(report.source_port, socket.local_addr().expect("an address").port());
    assert_eq!(report.query_id, 4_711);
    assert!(report.start <= report.end);
    for (name, value) in [("dns.question.type", "A"), ("dns.response_code", "NXDOMAIN"), ("network.transport", "udp")] {
        assert!(report.attributes.iter().any(|(known, said)| known == name && *said == value), "{name}: {report:?}");
    }
}

#[tokio::test]
async fn names_can_be_replaced_while_it_runs() {
    let (server, _) = start().await;
    let other = DnsConfig::new(anywhere()).address("new.roundtrip.test", TWO);
    server.names().replace(other).expect("replaced");
    assert_eq!(ask(&server, "new.roundtrip.test.", RecordType::A).await.answers[0].data.ip_addr(), Some(TWO));
    let gone = ask(&server, "bistro.roundtrip.test.", RecordType::A).await;
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_error_and_a_stopped_server_frees_it() {
    let (server, _) = start().await;
    let address = server.address();
    let again = DnsServer::start(DnsConfig::new(address), recording().1).await;
    assert!(matches!(again, Err(DnsError::Bind { .. })), "{again:?}");
    server.stop().await;
    let again = DnsServer::start(DnsConfig::new(address), recording().1).await.expect("a server");
    assert_eq!(again.address(), address);
}

#[tokio::test]
async fn rubbish_does_not_stop_it() {
    let (server, _) = start().await;
    let socket = UdpSocket::bind(anywhere()).await.expect("a socket");
    for rubbish in [&b""[..], b"x", &[0xff; 300], &[0; 12]] {
        socket.send_to(rubbish, server.address()).await.expect("sent");
    }
    let mut response = query("bistro.roundtrip.test.", RecordType::A);
    response.metadata.message_type = MessageType::Response;
    socket.send_to(&response.to_vec().expect("bytes"), server.address()).await.expect("sent");
    assert_eq!(ask(&server, "bistro.roundtrip.test.", RecordType::A).await.answers.len(), 1);
}

#[tokio::test]
async fn the_resolver_asks_once_and_then_remembers() {
    let (server, reports) = start().await;
    let resolver = Resolver::at(server.address());
    for _ in 0..3 {
        assert_eq!(resolver.resolve("www.bistro.roundtrip.test").await, Ok(vec![ONE]));
        assert!(resolver.resolve("nobody.roundtrip.test").await.is_err());
    }
    assert_eq!(reports.lock().expect("the reports").len(), 2, "one for each name, the denial included");
}

#[tokio::test]
async fn the_resolver_takes_the_other_kind_of_address_when_there_is_no_first() {
    let (server, reports) = start().await;
    let resolver = Resolver::at(server.address());
    assert_eq!(resolver.resolve("six.roundtrip.test").await, Ok(vec!["::1".parse().expect("an address")]));
    assert_eq!(reports.lock().expect("the reports").len(), 2, "A, then AAAA");
}

#[tokio::test]
async fn the_resolver_asks_nobody_for_an_address() {
    let resolver = Resolver::at("127.0.0.1:9".parse().expect("an address"));
    assert_eq!(resolver.resolve("127.0.0.2").await, Ok(vec![TWO]));
}

/// A server that answers one query with the datagrams that `answers` makes of it.
async fn liar(answers: impl Fn(Message) -> Vec<Message> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind(anywhere()).await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        let (length, peer) = socket.recv_from(&mut buffer).await.expect("a query");
        let mut answer = Message::from_vec(&buffer[..length]).expect("a message");
        answer.metadata.message_type = MessageType::Response;
        for answer in answers(answer) {
            socket.send_to(&answer.to_vec().expect("bytes"), peer).await.expect("sent");
        }
    });
    address
}

fn with(message: &Message, ip: [u8; 4]) -> Message {
    let mut message = message.clone();
    let name = message.queries[0].name().clone();
    message.add_answer(Record::from_rdata(name, 30, RData::A(rdata::A(ip.into()))));
    message
}

#[tokio::test]
async fn the_resolver_ignores_an_answer_with_another_id_or_question() {
    let server = liar(|query| {
        let mut other_id = with(&query, [6, 6, 6, 6]);
        other_id.metadata.id = query.metadata.id.wrapping_add(1);
        let mut other_question = with(&query, [6, 6, 6, 6]);
        other_question.queries[0].set_name(Name::from_ascii("evil.test.").expect("a name"));
        let mut no_answer = with(&query, [6, 6, 6, 6]);
        no_answer.metadata.message_type = MessageType::Query;
        vec![other_id, other_question, no_answer, with(&query, [127, 0, 0, 1])]
    });
    assert_eq!(Resolver::at(server.await).resolve("bistro.roundtrip.test").await, Ok(vec![ONE]));
}

#[tokio::test]
async fn the_resolver_does_not_believe_records_of_other_names() {
    let server = liar(|query| {
        let mut answer = with(&query, [6, 6, 6, 6]);
        answer.answers[0].name = Name::from_ascii("evil.test.").expect("a name");
        vec![answer]
    });
    assert!(Resolver::at(server.await).resolve("bistro.roundtrip.test").await.is_err());
}

#[tokio::test]
async fn the_resolver_says_that_nobody_answers() {
    let socket = UdpSocket::bind(anywhere()).await.expect("a socket");
    let free = socket.local_addr().expect("an address");
    drop(socket);
    let error = Resolver::at(free).resolve("bistro.roundtrip.test").await.expect_err("no server");
    assert!(error.to_string().contains(&free.to_string()), "{error}");
}

#[tokio::test]
async fn an_answer_too_long_for_a_datagram_is_asked_for_again_by_tcp() {
    let (reports, on_answer) = recording();
    let addresses: Vec<IpAddr> = (1..=60).map(|last| IpAddr::from([127, 0, 1, last])).collect();
    let config =
        addresses.iter().fold(DnsConfig::new(anywhere()), |config, ip| config.address("many.roundtrip.test", *ip));
    let server = DnsServer::start(config, on_answer).await.expect("a server");
    let mut found = Resolver::at(server.address()).resolve("many.roundtrip.test").await.expect("addresses");
    found.sort();
    assert_eq!(found, addresses);
    let transports: Vec<_> = reports
        .lock()
        .expect("the reports")
        .iter()
        .map(|report| {
            report.attributes.iter().find(|(name, _)| name == "network.transport").map(|(_, value)| value.clone())
        })
        .collect();
    assert_eq!(transports, [Some("udp".into()), Some("tcp".into())]);
}

#[tokio::test]
async fn the_system_knows_localhost() {
    let found = Resolver::system().resolve("localhost").await.expect("addresses");
    assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
}
