//! What people are told while the disk is full, by the program itself.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use super::rig::{Disk, Failure, Operation, Outcome};
use crate::harness::{PATIENCE, order_of};
use crate::program::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_503_with_a_time_to_come_back_and_reads_and_later_orders_are_served() -> Outcome {
    let disk = Disk::new()?;
    std::fs::set_permissions(disk.files(), PermissionsExt::from_mode(0o700))?;
    let mut place = Place::new();
    for (name, value) in disk.environment() {
        place = place.with(name, value.display().to_string().leak());
    }
    let server = place.serve(&["--instances", "1", "--data-dir", &disk.files().display().to_string()]);
    let guest = server.visitor();
    let placed = guest.post("/api/v1/orders", &order_of(1, 1)).await;
    assert_eq!(placed.status, 201, "{}", placed.text());

    disk.fail(Operation::Write, 1, Failure::Full, true)?;
    let refused = guest.post("/api/v1/orders", &order_of(2, 1)).await;
    assert!(refused.header("retry-after").parse::<u64>()? >= 1);
    refused.is_problem(503, "data-unavailable", Some("data"));
    let id = placed.json()["id"].as_str().ok_or("an id")?.to_owned();
    assert_eq!(guest.get(&format!("/api/v1/orders/{id}")).await.status, 200);
    assert_eq!(guest.get("/api/v1/menu/7").await.status, 200);

    assert!(disk.heal()? > 0);
    let since = Instant::now();
    while guest.post("/api/v1/orders", &order_of(2, 1)).await.status != 201 {
        assert!(since.elapsed() < PATIENCE, "it does not come back");
    }
    server.signal(rustix::process::Signal::TERM);
    server.ended().succeeded();
    assert_eq!(crate::harness::audit(&disk.files()).await, 2);
    Ok(())
}
