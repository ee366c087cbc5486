//! `--cert`: a certificate of the operator's own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::sealed;
use crate::rig::{PORTS, Place, Server};
use crate::snapshot;

/// Writes `shop.pem` and `shop.key`, by an authority whose certificate is returned.
fn certificate(place: &Place, names: &[&str], days: i64) -> String {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).expect("an authority").pem();
    let key = KeyPair::generate().expect("a key");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut shop = CertificateParams::new(names).expect("names");
    shop.not_before = OffsetDateTime::now_utc() - Duration::days(60);
    shop.not_after = OffsetDateTime::now_utc() + Duration::days(days);
    let shop = shop.signed_by(&key, &Issuer::new(ca, ca_key)).expect("a certificate");
    fs::write(place.path().join("shop.pem"), shop.pem()).expect("a file");
    fs::write(place.path().join("shop.key"), key.serialize_pem()).expect("a file");
    fs::set_permissions(place.path().join("shop.key"), PermissionsExt::from_mode(0o600)).expect("a mode");
    pem
}

const OWN: [&str; 4] = ["--cert", "shop.pem", "--key", "shop.key"];

#[test]
fn a_certificate_that_is_of_no_use_is_refused_before_anything_is_made() {
    let place = Place::new();
    let start = |more: &[&str]| place.run(&[&["serve"], &PORTS[..], more].concat());
    start(&OWN).refused("shop.pem can't be used: there is no such file");
    certificate(&place, &["shop.example"], -1);
    start(&OWN).refused("it expired on ");
    certificate(&place, &["shop.example"], 30);
    fs::set_permissions(place.path().join("shop.key"), PermissionsExt::from_mode(0o644)).expect("a mode");
    start(&OWN).refused("can be read by others (mode 644)");
    let chain = fs::read(place.path().join("shop.pem")).expect("a chain");
    certificate(&place, &["shop.example"], 30);
    fs::write(place.path().join("shop.pem"), chain).expect("the other chain");
    start(&OWN).refused("is not that of its first certificate");
    fs::write(place.path().join("shop.key"), "rubbish").expect("a key");
    start(&OWN).refused("shop.key can't be used: it holds no private key");
    start(&["--cert", "shop.pem"]).refused("--key");
    start(&["--hsts", "60"]).refused("hsts needs a certificate of your own");
    assert!(!place.data().exists());
}

#[test]
fn a_public_address_takes_a_certificate_of_ones_own() {
    let place = Place::new();
    place.run_with("plate-knife-fork-spoon\n", &["owner", "create", "--password-stdin"]).succeeded();
    let before = snapshot(&place.data());
    // RFC 5737's block for documentation: no machine has it.
    place.run(&[&["serve", "--bind", "192.0.2.1"], &PORTS[..]].concat()).refused("--cert FILE --key FILE");
    assert_eq!(snapshot(&place.data()), before);
}

/// The answer of a server on this machine to `GET /` for `host`, whose certificate `ca` vouches for.
async fn answer(server: &Server, which: &str, host: &str, path: &str, ca: &str) -> String {
    let port = server.port(which);
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = sealed::connect_as(host, to, ca.as_bytes()).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.expect("an answer");
    String::from_utf8_lossy(&text).to_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_names_are_answered_with_it_and_this_machines_with_the_local_one() {
    let place = Place::new();
    let ca = certificate(&place, &["shop.example", "*.shop.example"], 30);
    let server = place.serve(&[&OWN[..], &["--hsts", "86400"]].concat());
    let local = fs::read_to_string(server.text("ca")).expect("the local authority");
    for (which, path) in [("app", "/api/v1/menu"), ("app", "/none"), ("console", "/sign-in"), ("console", "/none")] {
        for name in ["shop.example", "www.shop.example"] {
            let answer = answer(&server, which, name, path, &ca).await;
            assert!(!answer.starts_with("http/1.1 421"), "{answer}");
            assert!(answer.contains("\r\nstrict-transport-security: max-age=86400\r\n"), "{name}{path}: {answer}");
        }
        let answer = answer(&server, which, "localhost", path, &local).await;
        assert!(!answer.starts_with("http/1.1 421"), "{answer}");
        assert!(!answer.contains("strict-transport"), "{answer}");
    }
    // Commands of this machine find whom they trust, all the same.
    place.run(&["probe", "/api/v1/menu"]).succeeded();
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_for_this_machine_itself_goes_before_the_local_one_and_promises_nothing() {
    let place = Place::new();
    let ca = certificate(&place, &["localhost", "127.0.0.1"], 30);
    let server = place.serve(&[&OWN[..], &["--hsts", "86400"]].concat());
    for host in ["localhost", "127.0.0.1"] {
        let answer = answer(&server, "app", host, "/api/v1/menu", &ca).await;
        assert!(answer.starts_with("http/1.1 200") && !answer.contains("strict-transport"), "{answer}");
    }
    place.run(&["probe", "/api/v1/menu"]).succeeded();
    server.stop();
}
