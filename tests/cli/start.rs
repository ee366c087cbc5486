//! Starts: what is refused leaves nothing behind, and what is let in is let in by every name.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use crate::harness::people::{Ask, Person};
use crate::rig::{PORTS, Place, Server};
use crate::{mode, snapshot};

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
