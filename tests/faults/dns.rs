//! The name server: late, failing, silent, denying, misleading.

use roundtrip::client::{Outgoing, Resolver};
use roundtrip::observe::hop::Hop;
use serde_json::{Value, json};

use crate::breaking::{answered, console_lives, ends_by_itself, failed_by, fresh, heals, send, set, struck, withdraw};
use crate::harness::House;
use crate::harness::probes::{attribute, span};

async fn resolves(house: &House, name: &str) -> bool {
    Resolver::at(house.stack.dns()).resolve(name).await.is_ok()
}

/// Over a new connection, with the name as it is remembered.
fn remembering(house: &House) -> Outgoing {
    Outgoing { bypass_caches: false, ..fresh(house) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_late_at_dns_and_the_record_says_why() {
    let house = House::with_one_instance().await;
    let key = "fault.dns.delay";
    set(&house, key, json!(60));
    let journey = answered(&house, fresh(&house)).await;
    let late = struck(&journey, key);
    assert_eq!(late.len(), 1);
    assert!(late[0].name == "Look in the zone" && late[0].duration_us >= 60_000.0, "{late:?}");
    assert!(journey.hops.dns.us >= 60_000.0);
    console_lives(&house).await;
    ends_by_itself(&house, key, json!({ "strength": 10 })).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_ends_the_request_at_dns_but_never_the_consoles() {
    let house = House::with_one_instance().await;
    let key = "fault.dns.servfail";
    set(&house, key, json!(true));
    let (message, _) = failed_by(send(&house, fresh(&house)).await, Hop::Dns, key);
    assert!(message.contains("SERVFAIL"), "{message}");
    assert!(!resolves(&house, "bistro.roundtrip.test").await && resolves(&house, "console.roundtrip.test").await);
    console_lives(&house).await;
    // It knew no more, so nothing was remembered.
    withdraw(&house, key);
    answered(&house, remembering(&house)).await;
    ends_by_itself(&house, key, json!({})).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_query_is_asked_again_and_then_given_up() {
    let house = House::with_one_instance().await;
    let key = "fault.dns.drop";
    set(&house, key, json!(true));
    let (message, journey) = failed_by(send(&house, fresh(&house)).await, Hop::Dns, key);
    assert!(message.contains("gave no answer"), "{message}");
    assert_eq!(struck(&journey, key).len(), 2, "two datagrams were read and not answered");
    console_lives(&house).await;
    ends_by_itself(&house, key, json!({})).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_denied_is_soon_asked_for_again() {
    let house = House::with_one_instance().await;
    let key = "fault.dns.nxdomain";
    set(&house, key, json!(true));
    let (message, journey) = failed_by(send(&house, fresh(&house)).await, Hop::Dns, key);
    assert!(message.contains("NXDOMAIN"), "{message}");
    assert_eq!(attribute(&journey, "dns.ttl_s"), Some(&json!(1)), "RFC 2308: the SOA says for how long");
    for name in ["bistro.localhost", "www.bistro.roundtrip.test"] {
        assert!(!resolves(&house, name).await, "{name}");
    }
    assert!(resolves(&house, "supplier.roundtrip.test").await, "only the app's names are denied");
    console_lives(&house).await;
    // The client has remembered the no: it is over with its time.
    withdraw(&house, key);
    heals(&house).await;
    ends_by_itself(&house, key, json!({})).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_remembers_the_name_goes_on() {
    let house = House::with_one_instance().await;
    answered(&house, remembering(&house)).await;
    set(&house, "fault.dns.nxdomain", json!(true));
    let journey = answered(&house, remembering(&house)).await;
    assert!(span(&journey, "Remembered from the last answer").is_some());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_address_is_dialled_in_vain_and_soon_forgotten() {
    let house = House::with_one_instance().await;
    let key = "fault.dns.dead_address";
    set(&house, key, json!(true));
    let (_, journey) = failed_by(send(&house, fresh(&house)).await, Hop::Tls, key);
    let dialled = span(&journey, "TCP connect").expect("it dialled");
    assert_eq!(dialled.attributes["network.peer.address"], json!("127.255.255.255"));
    console_lives(&house).await;
    withdraw(&house, key);
    heals(&house).await;
    ends_by_itself(&house, key, json!({})).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_may_be_remembered_for_as_long_as_the_setting_says() {
    let house = House::with_one_instance().await;
    let asked = async |seconds: u64| -> Value {
        set(&house, "dns.ttl", json!(seconds));
        let journey = answered(&house, fresh(&house)).await;
        attribute(&journey, "dns.ttl_s").expect("a TTL").clone()
    };
    assert_eq!(asked(30).await, json!(30));
    assert_eq!(asked(3_600).await, json!(3_600));
    // Not at all: the next asks again, though it may remember.
    assert_eq!(asked(0).await, json!(0));
    let journey = answered(&house, remembering(&house)).await;
    assert!(span(&journey, "Look up the name").is_some());
    house.stop().await;
}
