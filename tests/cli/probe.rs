//! `roundtrip probe`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use serde_json::Value;

use crate::rig::Place;

fn hops(journey: &Value) -> BTreeSet<&str> {
    journey["spans"].as_array().into_iter().flatten().filter_map(|span| span["hop"].as_str()).collect()
}

const ALL: [&str; 8] = ["api", "balancer", "client", "data", "dns", "http", "service", "tls"];

#[test]
fn a_path_is_followed_through_every_hop() {
    let place = Place::new();
    let server = place.serve(&[]);
    // Each of something else: what the edge has kept goes no further.
    for target in ["/api/v1/menu".to_owned(), format!("{}/api/v1/menu/12", server.text("app"))] {
        let journey = place.run(&["probe", &target, "--json"]).succeeded().json();
        assert_eq!(hops(&journey), ALL.into(), "{journey:#}");
        assert_eq!((&journey["status"], &journey["complete"]), (&200.into(), &true.into()));
        assert_eq!(journey["trace_id"].as_str().map(str::len), Some(32));
        assert!(journey["total_us"].as_f64().is_some_and(|us| us > 0.0));
        for span in journey["spans"].as_array().expect("spans") {
            assert!(span["id"].is_string() && span["name"].is_string() && span["attributes"].is_object(), "{span}");
            assert!(span["start_us"].is_number() && span["duration_us"].is_number(), "{span}");
        }
    }
    let text = place.run(&["probe", "/api/v1/menu/13"]).succeeded().out;
    assert!(text.starts_with("GET /api/v1/menu/13   200 OK in "), "{text}");
    assert!(ALL.iter().all(|hop| text.lines().any(|line| line.starts_with(hop))), "{text}");
    server.stop();
}

#[test]
fn an_order_is_placed_as_a_waiter_and_refused_to_a_chef() {
    let place = Place::new();
    let server = place.serve(&[]);
    let body = r#"{"table":4,"lines":[{"menu_item_id":12,"quantity":2}]}"#;
    std::fs::write(place.path().join("order.json"), body).expect("a file");
    for (role, file, status) in
        [("waiter", "order.json", 201), ("guest", "-", 201), ("manager", "order.json", 201), ("chef", "-", 403)]
    {
        let arguments = ["probe", "--as", role, "--method", "POST", "--body", file, "/api/v1/orders", "--json"];
        let journey = place.run_with(body, &arguments).succeeded().json();
        assert_eq!((&journey["status"], &journey["as"]), (&status.into(), &role.into()), "{journey:#}");
        if status == 201 {
            assert_eq!(hops(&journey), ALL.into(), "{role}");
        }
    }
    place.run(&["probe", "--as", "cook", "/"]).code.filter(|code| *code != 0).expect("no such role");
    server.stop();
}

#[test]
fn without_the_folder_a_probe_shows_its_own_side_and_what_the_server_tells() {
    let place = Place::new();
    let server = place.serve(&[]);
    let url = format!("https://bistro.roundtrip.test:{}/api/v1/menu", server.port("app"));
    let (ca, dns) = (server.text("ca"), server.text("dns"));
    let elsewhere = ["--data-dir", "nowhere"];
    let journey = place.run(&[&["probe", &url, "--ca", ca, "--dns", dns, "--json"], &elsewhere[..]].concat());
    let journey = journey.succeeded().json();
    assert_eq!(hops(&journey), ["client", "dns", "http", "tls"].into());
    let timing = &journey["spans"][0]["attributes"]["http.response.header.server-timing"];
    assert!(timing.as_str().is_some_and(|timing| timing.contains("balancer;dur=")), "{timing}");
    // The folder is not made by one who only looks for it.
    assert!(!place.path().join("nowhere").exists());
    place.run(&[&["probe", "/api/v1/menu"], &elsewhere[..]].concat()).refused("no server runs on nowhere");
    let as_waiter = ["probe", &url, "--as", "waiter", "--ca", ca, "--dns", dns];
    place.run(&[&as_waiter[..], &elsewhere[..]].concat()).refused("--as waiter");
    server.stop();
}

#[test]
fn a_server_that_is_not_there_is_said_in_one_line() {
    let place = Place::new();
    let port =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
    let done = place.run(&["probe", &format!("http://127.0.0.1:{port}/"), "--json"]).refused("Nothing listens on");
    let journey = done.json();
    assert_eq!((&journey["status"], &journey["spans"][0]["status"]), (&0.into(), &"error".into()));
    place.run(&["probe", "/api/v1/menu"]).refused("no server runs on");
    place.run(&["probe", "ftp://127.0.0.1/"]).refused("http");
    place.run(&["probe", "https://127.0.0.1/", "--ca", "none.pem"]).refused("none.pem");
}

#[test]
fn the_apps_own_addresses_are_all_its_own_origin() {
    let place = Place::new();
    let server = place.serve(&[]);
    let body = r#"{"table":4,"lines":[{"menu_item_id":12,"quantity":2}]}"#;
    let port = server.port("app");
    for origin in [server.text("app").to_owned(), format!("https://bistro.roundtrip.test:{port}")] {
        let url = format!("{origin}/api/v1/orders");
        let arguments = ["probe", "--as", "waiter", "--method", "POST", "--body", "-", &url, "--json"];
        let journey = place.run_with(body, &arguments).succeeded().json();
        assert_eq!(journey["status"], 201, "{journey:#}");
    }
    server.stop();
}

#[test]
fn the_dns_server_and_the_authority_that_were_asked_for_are_used_for_the_app_too() {
    let (place, other) = (Place::new(), Place::new());
    let (server, elsewhere) = (place.serve(&[]), other.serve(&[]));
    let asked = ["probe", "/api/v1/menu", "--json", "--fresh"];
    let (dns, ca) = (elsewhere.text("dns"), elsewhere.text("ca"));
    // Both know the app's name; which of them was asked is in the journey.
    let journey = place.run(&[&asked[..], &["--dns", dns, "--ca", server.text("ca")]].concat()).succeeded().json();
    let spans = journey["spans"].as_array().expect("spans");
    let port = dns.rsplit_once(':').map(|(_, port)| port.to_owned()).expect("a port");
    let says = |span: &Value| span["attributes"]["server.port"].to_string().trim_matches('"') == port;
    assert!(spans.iter().any(|span| span["hop"] == "dns" && says(span)), "{journey:#}");
    place.run(&[&asked[..], &["--ca", ca]].concat()).refused("certificate");
    place.run(&[&asked[..], &["--ca", "none.pem"]].concat()).refused("none.pem");
    server.stop();
    elsewhere.stop();
}

#[test]
fn a_session_that_is_resumed_shows_no_certificate() {
    let place = Place::new();
    let server = place.serve(&[]);
    for (more, resumed) in [(&[][..], false), (&["--resume"], true)] {
        let journey = place.run(&[&["probe", "/api/v1/menu", "--json"], more].concat()).succeeded().json();
        assert_eq!((&journey["status"], &journey["complete"]), (&200.into(), &true.into()), "{journey:#}");
        let spans = journey["spans"].as_array().expect("spans");
        let sides: Vec<&Value> = spans.iter().map(|span| &span["attributes"]["tls.resumed"]).collect();
        // The client's side and the edge's agree.
        let told: Vec<&&Value> = sides.iter().filter(|told| !told.is_null()).collect();
        assert_eq!(told, [&&Value::Bool(resumed); 2], "{journey:#}");
        let checked = spans.iter().any(|span| span["name"] == "Check the certificate");
        assert_eq!(checked, !resumed, "{journey:#}");
    }
    let body = ["probe", "--resume", "--method", "POST", "/api/v1/orders"];
    place.run(&body).refused("--resume sends it twice");
    server.stop();
}
