//! Starts: what is refused leaves nothing behind, and what is let in is let in by every name.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use crate::harness::people::{Ask, Person};
use crate::rig::{PORTS, Place, Server};
use crate::{mode, snapshot};

#[test]
fn a_first_start_that_is_refused_leaves_no_folder() {
    let place = Place::new();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken = tcp.local_addr().expect("an address").port().to_string();
    let taken_udp = udp.local_addr().expect("an address").port().to_string();
    std::fs::create_dir(place.path().join("empty")).expect("a folder");
    std::fs::set_permissions(place.path().join("empty"), PermissionsExt::from_mode(0o700)).expect("a mode");
    for (flag, port) in [("--console-port", &taken), ("--http-port", &taken), ("--dns-port", &taken_udp)] {
        let mut arguments = [&["serve"], &PORTS[..]].concat();
        let at = arguments.iter().position(|argument| *argument == flag).expect("the flag");
        arguments[at + 1] = port;
        place.run(&arguments).refused(flag);
        assert!(!place.data().exists(), "{flag}");
        place.run(&[&arguments[..], &["--data-dir", "a/b"]].concat()).refused(flag);
        assert!(!place.path().join("a").exists(), "{flag}");
        place.run(&[&arguments[..], &["--data-dir", "empty"]].concat()).refused(flag);
        assert_eq!(snapshot(place.path()), Default::default(), "{flag}");
        assert!(place.path().join("empty").exists(), "it was there before");
    }
}

#[test]
fn others_reach_no_machine_without_an_owner_and_nothing_is_made() {
    let place = Place::new();
    place.run(&[&["serve", "--bind", "192.168.0.1"], &PORTS[..]].concat()).refused("roundtrip owner create");
    for every in ["0.0.0.0", "::"] {
        place.run(&[&["serve", "--bind", every], &PORTS[..]].concat()).refused("name the address");
    }
    assert!(!place.data().exists());
}

#[test]
fn a_folder_that_others_may_enter_is_refused_and_keeps_its_mode() {
    let place = Place::new();
    let shared = place.path().join("shared");
    std::fs::create_dir(&shared).expect("a folder");
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o755)).expect("a mode");
    place.run(&[&["serve", "--data-dir", "shared"], &PORTS[..]].concat()).refused("chmod 700");
    let create = ["owner", "create", "--password-stdin", "--data-dir", "shared"];
    place.run_with("plate-knife-fork-spoon\n", &create).refused("chmod 700");
    assert_eq!(mode(&shared), 0o755);
    assert_eq!(snapshot(&shared), Default::default());
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o700)).expect("a mode");
    place.serve(&["--data-dir", "shared"]).stop();
}

#[test]
fn switches_in_the_environment_are_on_or_off_as_people_write_them() {
    let place = Place::new().with("ROUNDTRIP_JSON", "1").with("ROUNDTRIP_OPEN", "0");
    place.serve(&[]).stop();
    let place = Place::new().with("ROUNDTRIP_JSON", "true").with("ROUNDTRIP_OPEN", "no");
    place.serve(&[]).stop();
}

#[test]
fn commands_find_the_folder_where_the_file_says() {
    let place = Place::new();
    std::fs::write(place.path().join("roundtrip.toml"), "data-dir = \"elsewhere\"\n").expect("a file");
    let create = ["owner", "create", "--password-stdin"];
    place.run_with("plate-knife-fork-spoon\n", &create).succeeded();
    assert!(place.path().join("elsewhere").join("control.db").exists());
    let server = place.serve(&[]);
    place.run(&["probe", "/api/v1/menu"]).succeeded();
    place.run(&["trust", "export"]).succeeded();
    place.run(&["owner", "link"]).refused("owner reset");
    // A flag goes before it.
    place.run(&["probe", "/", "--data-dir", "nowhere"]).refused("no server runs on nowhere");
    server.stop();
    assert!(!place.data().exists());
}

/// The status of the app, the console and the door under one host name.
async fn answers(server: &Server, at: &str, host: &str) -> [u16; 3] {
    let mut statuses = [0; 3];
    for (status, (scheme, key)) in statuses.iter_mut().zip([("https", "app"), ("https", "console"), ("http", "http")]) {
        let port = server.port(key);
        let person = Person::at(server.client(), format!("{scheme}://{at}:{port}"));
        let path = if key == "console" { "/sign-in" } else { "/" };
        *status = person.send(Ask::new("GET", path).header("host", &format!("{host}:{port}"))).await.status;
    }
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_console_and_door_answer_to_the_same_names_of_the_machine() {
    let place = Place::new();
    let server = place.serve(&[]);
    let mut names = vec!["localhost".to_owned(), "[::1]".to_owned()];
    if let Some(host) = roundtrip::tls::host_name() {
        names.extend([format!("{host}.local"), host]);
    }
    for name in names {
        let statuses = answers(&server, "127.0.0.1", &name).await;
        assert!(!statuses.contains(&421), "{name}: {statuses:?}");
    }
    assert_eq!(answers(&server, "127.0.0.1", "www.bistro.roundtrip.test").await, [200, 421, 421]);
    assert_eq!(answers(&server, "127.0.0.1", "127.0.0.2").await, [421; 3]);
    server.stop();
}

/// Only Linux has the whole of 127.0.0.0/8 without being asked.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_that_is_bound_is_one_of_its_names() {
    let place = Place::new();
    let server = place.serve(&["--bind", "127.0.0.2"]);
    let statuses = answers(&server, "127.0.0.2", "127.0.0.2").await;
    assert!(!statuses.contains(&421), "{statuses:?}");
    server.stop();
}

#[test]
fn a_configuration_is_checked_without_starting_anything_and_loaded_again_by_a_command() {
    let place = Place::new();
    let file = place.path().join("roundtrip.toml");
    let check = || place.run(&["config", "check"]);
    assert!(check().succeeded().out.contains("Everything goes to the restaurant"));
    std::fs::write(&file, "[pool.shop]\nupstreams = ['http://127.0.0.1:1']\n[[route]]\npool = 'shop'\n")
        .expect("a file");
    assert!(check().succeeded().out.contains("*/  →  shop: http://127.0.0.1:1"));
    let server = place.serve(&[]);
    place.run(&["config", "reload"]).succeeded();
    std::fs::write(&file, "[[route]]\npool = 'shp'\n").expect("a file");
    check().refused("there is no pool 'shp'");
    place.run(&["config", "reload"]).refused("there is no pool 'shp'");
    std::fs::write(&file, "[[route]]\npool = 'bistro'\nresponse-headers = { Host = 'x' }\n").expect("a file");
    check().refused("the proxy itself decides");
    server.stop();
    assert!(!place.data().join("bistro.db").exists(), "the restaurant was not part of it");
}

#[test]
fn an_upstream_that_is_no_address_is_refused_in_one_line() {
    let place = Place::new();
    for (url, why) in [("127.0.0.1:3000", "must begin with http://"), ("http://a/path", "a path can't be given")] {
        place.run(&["serve", "--upstream", url]).refused(why);
    }
    assert!(!place.data().exists());
}

#[test]
fn settings_are_listed_and_changed_together_or_not_at_all() {
    let place = Place::new();
    let server = place.serve(&[]);
    let listed = place.run(&["settings", "list"]).succeeded().out;
    assert!(listed.contains("balancer.policy = p2c_peak_ewma (round_robin, ") && listed.contains("http.cache.enabled"));
    let changed = place.run(&["settings", "set", "balancer.policy=round_robin", "data.cache.ttl=0"]).succeeded().out;
    assert!(changed.contains("balancer.policy = round_robin") && changed.contains("data.cache.ttl = 0 s"), "{changed}");
    place.run(&["settings", "set", "balancer.policy=random", "data.cache.ttl=-1"]).refused("data.cache.ttl: takes");
    place.run(&["settings", "set", "balancer.polcy=random"]).refused("there is no such setting");
    let listed = place.run(&["settings", "list"]).succeeded().out;
    assert!(listed.contains("balancer.policy = round_robin"), "nothing was changed");
    server.stop();
}
