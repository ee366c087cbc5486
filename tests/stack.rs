//! Stacks as values: one loses an instance and no answer, two share nothing, one starts again with its data.

mod harness;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::people::Ask;
use harness::probes::{outgoing, probe};
use harness::{House, PASSWORD, PATIENCE, audit, order_of};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use roundtrip::client::{Client, ClientConfig, Outgoing, Resolver, Roots};
use roundtrip::domain::permission::Role;
use roundtrip::policy::health::State;
use roundtrip::settings::balancer::BalancerPolicy;
use roundtrip::web::probe::ProbeKey;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

/// Below what the edge allows one address.
const CLIENTS: usize = 24;
const EACH: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_killed_amid_concurrent_reads_loses_none_of_them() {
    for victim in ["i1", "i2", "i3"] {
        let house = Arc::new(House::open().await);
        house.edge_keeps_nothing();
        let answered = Arc::new(AtomicUsize::new(0));
        let halfway = Arc::new(Notify::new());
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let (person, answered, halfway) = (house.visitor(), answered.clone(), halfway.clone());
            clients.spawn(async move {
                let mut statuses = Vec::new();
                for _ in 0..EACH {
                    statuses.push(person.get("/api/v1/menu").await.status);
                    if answered.fetch_add(1, Ordering::SeqCst) == CLIENTS * EACH / 3 {
                        halfway.notify_one();
                    }
                }
                statuses
            });
        }
        tokio::time::timeout(PATIENCE, halfway.notified()).await.expect("a third is answered");
        assert!(house.stack.kill_instance(victim).await);
        assert!(!house.stack.kill_instance(victim).await, "it is gone");
        let dead = house.stack.instances().into_iter().find(|instance| instance.id == victim);
        assert_eq!(dead.map(|instance| instance.state), Some(State::Stopped), "on purpose, not ill");
        let statuses: Vec<u16> = clients.join_all().await.into_iter().flatten().collect();
        assert_eq!(statuses.len(), CLIENTS * EACH);
        assert!(statuses.iter().all(|status| *status == 200), "{victim}: {statuses:?}");
        Arc::into_inner(house).expect("nobody else holds it").stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_instance_gone_is_a_problem_document_of_the_balancer_and_no_hang() {
    let house = House::with_one_instance().await;
    house.edge_keeps_nothing();
    assert_eq!(house.visitor().get("/api/v1/menu").await.status, 200);
    assert!(house.stack.kill_instance("i1").await);
    let reply = house.visitor().get("/api/v1/menu").await;
    assert!(matches!(reply.status, 502 | 503), "{reply:?}");
    let document = reply.json();
    assert_eq!((&document["hop"], reply.header("content-type")), (&json!("balancer"), "application/problem+json"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_that_is_dropped_leaves_nobody_listening() {
    let House { stack, console, door, .. } = House::with_one_instance().await;
    let addresses = [stack.instances()[0].address.expect("an address"), stack.app()];
    console.stop().await;
    door.stop().await;
    // The console's threads let go of it as they end.
    let last = async {
        while Arc::strong_count(&stack) > 1 {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(PATIENCE, last).await.expect("nobody else holds it");
    drop(stack);
    for address in addresses {
        let refused = async { while tokio::net::TcpStream::connect(address).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, refused).await.expect("its port is free");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stacks_in_one_process_share_nothing() {
    let (one, other) = (House::with_one_instance().await, House::with_one_instance().await);
    let (books, waiter) = (other.books(), one.staff("waiter").await);

    // Orders and people.
    let placed = waiter.post("/api/v1/orders", &order_of(12, 1)).await;
    assert_eq!(placed.status, 201);
    assert_eq!((one.books().orders, other.books()), (1, books));

    // Sessions and passwords.
    let there = other.visitor();
    there.take_cookies_of(&waiter);
    assert_eq!(there.get("/api/v1/session").await.json()["role"], "guest");
    assert_eq!(there.get(placed.header("location")).await.status, 404);
    let name = json!({ "name": "waiter", "password": PASSWORD });
    assert_eq!(other.visitor().post("/api/v1/session", &name).await.status, 401);

    // Caches: one has read the menu, the other has not.
    one.edge_keeps_nothing();
    for (house, hit) in [(&one, false), (&one, true), (&other, false)] {
        let (_, journey) = probe(house, outgoing(house, "GET", "/api/v1/menu", None)).await;
        assert_eq!(journey.sides.cache.as_ref().map(|cache| cache.hit), Some(hit));
        // Journeys.
        let known = [&one, &other].map(|house| house.stack.recorder().journey(journey.summary.trace_id).is_some());
        assert_eq!(known, [std::ptr::eq(house, &one), std::ptr::eq(house, &other)]);
    }

    // Settings.
    one.stack.settings().change([("balancer.policy", &json!("round_robin"))]).expect("fits");
    assert_eq!(other.stack.settings().snapshot().balancer.policy, BalancerPolicy::P2cPeakEwma);

    // Secrets: who may have the one watched may not have the other watched.
    let client = Client::new(ClientConfig {
        resolver: Resolver::at(other.stack.dns()),
        roots: Roots::Pem(other.ca_pem.clone().into_bytes()),
        probe_key: Some(ProbeKey::new(&one.control_key)),
        ca_path: None,
        detail: true,
    });
    let mut live = other.stack.recorder().subscribe();
    let request = outgoing(&other, "GET", "/api/v1/nothing", None);
    assert_eq!(client.expect("a client").send(request).await.expect("an answer").status, 404);
    let journey = tokio::time::timeout(PATIENCE, live.recv()).await.expect("in time").expect("a journey");
    assert!(!journey.summary.probe && journey.spans.iter().all(|span| span.attributes.is_empty()));
    let minted = one.stack.mint_session(Role::Manager).await.expect("an answer").expect("a session");
    let cookie = format!("__Host-rt_bistro={}", minted.expose());
    for (house, status) in [(&one, 200), (&other, 401)] {
        let ask = Ask::new("GET", "/api/v1/ledger").header("cookie", &cookie);
        assert_eq!(house.visitor().send(ask).await.status, status);
    }
    // An end of one is not an end of the other.
    one.stop().await;
    assert_eq!(other.visitor().get("/api/v1/menu").await.status, 200);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_answers_nobody_but_its_own_edge() {
    let house = House::with_one_instance().await;
    let [instance] = &house.stack.instances()[..] else { panic!("one instance") };
    let secret = "0".repeat(64);
    for claim in [None, Some(format!("{secret}.00f067aa0ba902b7.11")), Some(String::new())] {
        let headers = claim.into_iter().map(|claim| ("roundtrip-hop".to_owned(), claim)).collect();
        let url = format!("http://{}/api/v1/menu", instance.target);
        let answer = house.outside_client().send(Outgoing { headers, ..Outgoing::get(url) }).await.expect("an answer");
        assert_eq!(answer.status, 403);
        assert!(String::from_utf8_lossy(&answer.body).contains("/problems/not-from-the-edge"));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_and_a_start_the_orders_and_the_guests_are_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::on(folder.path(), 3).await;
    // A paused kitchen stays paused: orders stay as they are placed.
    let paused = house.staff("chef").await.post("/api/v1/kitchen/pause", &json!({})).await;
    assert_eq!(paused.status, 204);
    let (guest, before) = (house.visitor(), house.visitor());
    let mut places = Vec::new();
    for _ in 0..3 {
        let placed = guest.post("/api/v1/orders", &order_of(12, 2)).await;
        assert_eq!(placed.status, 201);
        places.push((placed.header("location").to_owned(), placed.json()));
    }
    before.take_cookies_of(&guest);
    house.stack.settings().change([("data.cache.ttl", &json!(1))]).expect("fits");
    let authority = house.ca_fingerprint.clone();
    house.stop().await;
    assert_eq!(audit(folder.path()).await, 3);

    let house = House::on(folder.path(), 2).await;
    let after = house.visitor();
    after.take_cookies_of(&guest);
    for (place, order) in places {
        assert_eq!(after.get(&place).await.json(), order);
    }
    assert_eq!(after.get("/api/v1/orders").await.json()["orders"].as_array().map(Vec::len), Some(3));
    // What was set at run time is not; who people trust is.
    assert_eq!(house.stack.settings().snapshot().data.cache.ttl.as_secs(), 30);
    assert_eq!(house.ca_fingerprint, authority);
    house.stop().await;
}

/// The code and the number of addresses that the stack's DNS gives for `name`.
async fn names_of(house: &House, name: &str) -> (ResponseCode, usize) {
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii(name).expect("a name"), RecordType::A));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    socket.send_to(&query.to_vec().expect("bytes"), house.stack.dns()).await.expect("sent");
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).await.expect("an answer");
    let answer = Message::from_vec(&bytes[..length]).expect("a message");
    (answer.metadata.response_code, answer.answers.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_of_an_instance_goes_with_it_and_the_others_stay() {
    let house = House::open().await;
    let becomes = async |name: &str, wanted| {
        tokio::time::timeout(PATIENCE, async { while names_of(&house, name).await != wanted {} })
            .await
            .unwrap_or_else(|_| panic!("{name} does not become {wanted:?}"))
    };
    let (there, gone) = ((ResponseCode::NoError, 1), (ResponseCode::NXDomain, 0));
    for name in ["i1", "i2", "i3", "instances"] {
        becomes(&format!("{name}.roundtrip.test."), there).await;
    }
    assert!(house.stack.kill_instance("i2").await);
    becomes("i2.roundtrip.test.", gone).await;
    for name in ["i1", "i3", "instances", "bistro"] {
        assert_eq!(names_of(&house, &format!("{name}.roundtrip.test.")).await, there, "{name}");
    }
    assert!(house.stack.kill_instance("i1").await && house.stack.kill_instance("i3").await);
    becomes("instances.roundtrip.test.", gone).await;
    assert_eq!(names_of(&house, "bistro.roundtrip.test.").await, there);
    house.stop().await;
}
