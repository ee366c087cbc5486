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
