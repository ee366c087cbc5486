//! `roundtrip instances`, `restart` and `release`.

use crate::rig::Place;

#[test]
fn instances_are_listed_added_emptied_and_removed() {
    let place = Place::new();
    let _server = place.serve(&["--instances", "2"]);
    let ids = |arguments: &[&str]| -> Vec<String> {
        let told = place.run(arguments).succeeded().out;
        told.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    assert_eq!(ids(&["instances", "list"]), ["i1", "i2"]);
    assert_eq!(ids(&["instances", "add"]), ["i1", "i2", "i3"]);
    let drained = place.run(&["instances", "drain", "i2"]).succeeded().out;
    assert!(drained.lines().any(|line| line.starts_with("i2") && line.contains("draining")), "{drained}");
    assert_eq!(ids(&["instances", "remove", "i2"]), ["i1", "i3"]);
    place.run(&["instances", "remove", "i2"]).refused("No instance is called 'i2'");
}

#[test]
fn a_restart_and_a_release_are_told_step_by_step() {
    let place = Place::new();
    let _server = place.serve(&["--instances", "2"]);
    let told = place.run(&["restart", "--rolling"]).succeeded().out;
    assert_eq!(told.lines().collect::<Vec<_>>(), ["i1 runs v1", "i2 runs v1"]);
    let told = place.run(&["release", "v2", "--watch", "1s"]).succeeded().out;
    assert!(told.contains("i1 is watched for 1 s") && told.contains("i2 runs v2"), "{told}");
    place.run(&["release", "v2"]).refused("All instances run v2 already");
    place.run(&["release", "--back"]).refused("Nothing is being rolled out");
}
