//! Handshakes that are slow or cut, and certificates that are wrong.

use std::collections::BTreeSet;
use std::fs;

use roundtrip::client::{Connection, Outgoing};
use roundtrip::observe::hop::Hop;
use serde_json::json;

use crate::breaking::{
    answered, console_lives, ends_by_itself, failed_by, fresh, heals, kept, send, set, struck, withdraw,
};
use crate::harness::House;
use crate::harness::probes::attribute;
use crate::rig::soon;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_handshake_delays_new_connections_alone() {
    let house = House::with_one_instance().await;
    let key = "fault.tls.delay";
    set(&house, key, json!(60));
    let journey = answered(&house, fresh(&house)).await;
    let late = struck(&journey, key);
    assert_eq!(late.len(), 1);
    assert!(late[0].name == "Show the certificate" && late[0].duration_us >= 60_000.0, "{late:?}");
    let journey = answered(&house, kept(&house)).await;
    assert!(struck(&journey, key).is_empty(), "a kept connection feels nothing");
    console_lives(&house).await;
    ends_by_itself(&house, key, json!({ "strength": 10 })).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_is_cut_ends_at_tls_and_what_is_open_goes_on() {
    let house = House::with_one_instance().await;
    let key = "fault.tls.cut";
    answered(&house, fresh(&house)).await;
    set(&house, key, json!(true));
    answered(&house, kept(&house)).await;
    let (message, _) = failed_by(send(&house, fresh(&house)).await, Hop::Tls, key);
    assert!(message.contains("broke the handshake off"), "{message}");
    console_lives(&house).await;
    withdraw(&house, key);
    heals(&house).await;
    ends_by_itself(&house, key, json!({})).await;
    house.stop().await;
}

fn files(house: &House) -> BTreeSet<String> {
    let entries = fs::read_dir(house.folder()).expect("a folder");
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().to_string_lossy().into_owned();
    // SQLite's own come and go.
    entries.map(name).filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_certificate_is_refused_for_what_is_wrong_with_it() {
    let house = House::with_one_instance().await;
    let resuming = || Outgoing { resume: true, ..fresh(&house) };
    let leaf = fs::read(house.folder().join("leaf.pem")).expect("the leaf");
    for (key, reason) in [
        ("fault.tls.expired", "has expired"),
        ("fault.tls.wrong_name", "for other names"),
        ("fault.tls.unknown_signer", "an authority that this client does not trust"),
    ] {
        // With a session to resume, which would show no certificate.
        answered(&house, resuming()).await;
        let resumed = answered(&house, resuming()).await;
        assert_eq!(attribute(&resumed, "tls.resumed"), Some(&json!(true)));
        let before = files(&house);
        set(&house, key, json!(true));
        for refused in [resuming(), fresh(&house)] {
            let (message, _) = failed_by(send(&house, refused).await, Hop::Tls, key);
            assert!(message.contains(reason), "{message}");
        }
        answered(&house, Outgoing { connection: Connection::Kept, ..kept(&house) }).await;
        console_lives(&house).await;
        assert_eq!(files(&house), before, "nothing of it is on disk");
        withdraw(&house, key);
        heals(&house).await;
    }
    assert_eq!(fs::read(house.folder().join("leaf.pem")).expect("the leaf"), leaf);
    ends_by_itself(&house, "fault.tls.expired", json!({})).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_shows_its_own_certificate_whatever_the_app_shows() {
    let house = House::with_one_instance().await;
    let shown = async || {
        let stream = soon(house.sealed(house.console.address())).await;
        let (_, session) = stream.get_ref();
        session.peer_certificates().expect("a certificate")[0].clone()
    };
    let before = shown().await;
    for key in ["fault.tls.expired", "fault.tls.wrong_name", "fault.tls.unknown_signer", "fault.tls.cut"] {
        set(&house, key, json!(true));
        assert_eq!(shown().await, before, "{key}");
        withdraw(&house, key);
    }
    house.stop().await;
}
