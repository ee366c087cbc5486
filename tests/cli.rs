//! The built binary as people and scripts use it: what it prints, what it refuses, what it leaves behind.
#![cfg(unix)]

mod harness;

#[path = "cli/backup.rs"]
mod backup;
#[path = "cli/certificate.rs"]
mod certificate;
#[path = "cli/control.rs"]
mod control;
#[path = "cli/data.rs"]
mod data;
#[path = "cli/owner.rs"]
mod owner;
#[path = "cli/probe.rs"]
mod probe;
#[path = "cli/rig.rs"]
mod rig;
#[path = "cli/start.rs"]
mod start;
#[path = "cli/stop.rs"]
mod stop;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rig::Place;
use serde_json::Value;

/// Every file below `folder`, with its bytes.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            files.insert(path, bytes);
        }
    }
    files
}

/// Nothing below `folder` was made, removed or written.
#[track_caller]
pub fn is_untouched(folder: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let after = snapshot(folder);
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(before));
    for (path, bytes) in before {
        assert!(after[path] == *bytes, "{} was written", path.display());
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

#[test]
fn the_first_line_is_one_object_with_the_documented_fields_and_no_other() {
    let place = Place::new();
    let server = place.serve(&[]);
    let mut keys: Vec<&String> = server.said.as_object().expect("an object").keys().collect();
    keys.sort();
    assert_eq!(keys, ["app", "ca", "console", "data_dir", "dns", "http", "pid", "setup_url"]);
    assert!(server.text("console").starts_with("https://roundtrip.localhost:"));
    assert!(server.text("app").starts_with("https://bistro.localhost:"));
    assert!(server.text("dns").starts_with("127.0.0.1:"));
    let (link, token) = server.text("setup_url").split_once("/#").expect("a token in the fragment");
    assert_eq!((link, token.len()), (server.text("http"), 32));
    let data = place.data().canonicalize().expect("the data folder");
    assert_eq!(Path::new(server.text("data_dir")), data);
    assert_eq!(Path::new(server.text("ca")), data.join("ca.pem"));
    server.stop();
}

#[test]
fn the_data_folder_is_its_owners_alone_and_the_link_is_written_nowhere() {
    let place = Place::new();
    let server = place.serve(&[]);
    assert_eq!(mode(&place.data()), 0o700);
    for name in ["control.key", "run.json", "control.db", "bistro.db", "lock"] {
        assert_eq!(mode(&place.data().join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&place.data().join("ca.key")), 0o400);
    let (_, token) = server.text("setup_url").split_once('#').expect("a token");
    for (path, bytes) in snapshot(&place.data()) {
        assert!(!String::from_utf8_lossy(&bytes).contains(token), "{}", path.display());
    }
    let run: Value =
        serde_json::from_slice(&std::fs::read(place.data().join("run.json")).expect("run.json")).expect("JSON");
    assert_eq!((&run["pid"], &run["setup_url"]), (&server.said["pid"], &Value::Null));
    server.stop();
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_and_touches_nothing() {
    let place = Place::new();
    let server = place.serve(&[]);
    let before = snapshot(&place.data());
    let second = ["serve", "--json", "--console-port", "0", "--app-port", "0", "--http-port", "0", "--dns-port", "0"];
    let done = place.run(&second).refused("another Roundtrip uses");
    assert_eq!(done.out, "");
    is_untouched(&place.data(), &before);
    place.run(&["probe", "/api/v1/menu"]).succeeded();
    server.stop();
}

#[test]
fn a_port_that_was_asked_for_and_is_busy_is_refused_and_touches_nothing() {
    let place = Place::new();
    place.serve(&[]).stop();
    let before = snapshot(&place.data());
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let tcp = tcp.local_addr().map(|address| (address.port().to_string(), tcp)).expect("an address");
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let udp = udp.local_addr().map(|address| (address.port().to_string(), udp)).expect("an address");
    let flags = ["--console-port", "--app-port", "--http-port", "--dns-port"];
    for busy in flags {
        let port = if busy == "--dns-port" { &udp.0 } else { &tcp.0 };
        let ports = flags.iter().flat_map(|flag| [*flag, if *flag == busy { port } else { "0" }]);
        let arguments: Vec<&str> = ["serve", "--json"].into_iter().chain(ports).collect();
        let done = place.run(&arguments).refused(busy);
        assert!(done.err.contains(port.as_str()), "{done:?}");
        is_untouched(&place.data(), &before);
    }
}

#[test]
fn what_the_command_line_and_the_file_say_wrong_is_refused_before_anything_is_made() {
    let place = Place::new();
    for bad in [&["--nonsense"][..], &["serve", "--app-port", "99999"], &["serve", "--bind", "nowhere"], &["cook"]] {
        let done = place.run(bad);
        assert!(done.code.is_some_and(|code| code != 0) && !done.err.is_empty(), "{done:?}");
    }
    place.run(&["serve", "--instances", "0"]).refused("instances is 0");
    let file = place.path().join("roundtrip.toml");
    for (text, why) in [
        ("app-prot = 1\n", "did you mean 'app-port'?"),
        ("app-port = \"x\"\n", "roundtrip.toml"),
        ("app-port = \n", "roundtrip.toml"),
    ] {
        std::fs::write(&file, text).expect("a file");
        place.run(&["serve"]).refused(why);
    }
    assert!(!place.data().exists());
}

#[test]
fn the_file_is_read_and_a_flag_goes_before_it() {
    let place = Place::new();
    let elsewhere = place.path().join("elsewhere");
    let text = format!("instances = 1\ndata-dir = {:?}\napp-port = 1\n", elsewhere);
    std::fs::write(place.path().join("roundtrip.toml"), text).expect("a file");
    let server = place.serve(&[]);
    assert!(elsewhere.join("run.json").exists() && !place.data().exists());
    assert_ne!(server.port("app"), 1);
    server.stop();
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let place = Place::new();
    place.serve(&[]).stop();
    let key = place.data().join("ca.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("a mode");
    let before = snapshot(&place.data());
    let ports = ["--console-port", "0", "--app-port", "0", "--http-port", "0", "--dns-port", "0"];
    place.run(&[&["serve"], &ports[..]].concat()).refused("chmod 400");
    is_untouched(&place.data(), &before);
}

#[test]
fn the_authority_is_exported_without_its_key() {
    let place = Place::new();
    place.run(&["trust", "export"]).refused("the first start of the server makes it");
    place.serve(&[]).stop();
    let pem = place.run(&["trust", "export"]).succeeded().out;
    assert_eq!(pem, std::fs::read_to_string(place.data().join("ca.pem")).expect("the authority"));
    assert!(pem.contains("BEGIN CERTIFICATE") && !pem.contains("PRIVATE"), "{pem}");
    place.run(&["trust", "export", "--out", "out.pem"]).succeeded();
    assert_eq!(std::fs::read_to_string(place.path().join("out.pem")).expect("a file"), pem);
}

#[test]
fn a_dry_run_of_trust_shows_the_authority_and_changes_nothing() {
    let place = Place::new();
    place.run(&["trust", "install"]).refused("the first start of the server makes it");
    place.serve(&[]).stop();
    let before = snapshot(place.path());
    let pem = String::from_utf8(before[&place.data().join("ca.pem")].clone()).expect("text");
    let fingerprint = roundtrip::tls::fingerprint_sha256(&pem).expect("a fingerprint");
    for verb in ["install", "uninstall"] {
        let shown = place.run(&["trust", verb, "--dry-run"]).succeeded().out;
        assert!(shown.contains(&fingerprint) && !shown.contains("done"), "{shown}");
    }
    is_untouched(place.path(), &before);
    std::fs::write(place.path().join("foreign.pem"), "rubbish").expect("a file");
    place.run(&["trust", "install", "--ca", "foreign.pem"]).refused("no authority of Roundtrip's");
}
