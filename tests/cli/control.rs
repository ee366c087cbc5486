//! Settings, faults and tokens from the command line.

use roundtrip::settings::fault::ROWS;
use serde_json::json;

use crate::harness::people::Ask;
use crate::rig::Place;

#[test]
fn a_setting_is_listed_read_and_changed() {
    let place = Place::new();
    let server = place.serve(&[]);
    let listed = place.run(&["settings", "list", "--json"]).succeeded().json();
    let faults = place.run(&["settings", "list", "--faults", "--json"]).succeeded().json();
    let count = |value: &serde_json::Value| value["settings"].as_array().expect("settings").len();
    assert!(count(&faults) == ROWS.len() && count(&listed) > count(&faults));
    let text = place.run(&["settings", "list", "--faults"]).succeeded().out;
    assert!(
        text.contains("fault.dns.delay = off (off, 0 to 5000 ms, for=)") && !text.contains("balancer.policy"),
        "{text}"
    );
    assert_eq!(place.run(&["settings", "get", "balancer.policy"]).succeeded().out, "p2c_peak_ewma\n");
    let one = place.run(&["settings", "get", "balancer.policy", "--json"]).succeeded().json();
    assert_eq!((&one["hop"], &one["value"]), (&json!("balancer"), &json!("p2c_peak_ewma")));
    place.run(&["settings", "get", "balancer.polcy"]).refused("did you mean 'balancer.policy'?");
    place.run(&["settings", "set", "fault.dns.dely=1"]).refused("did you mean 'fault.dns.delay'?");
    assert!(place.run(&["settings", "set", "balancer.policy"]).err.contains("it must be KEY=VALUE"));
    server.stop();
    place.run(&["settings", "get", "balancer.policy"]).refused("no server runs on");
    place.run(&["restore"]).refused("no server runs on");
}

#[test]
fn a_fault_is_switched_on_in_a_few_characters_and_one_command_ends_all() {
    let place = Place::new();
    let server = place.serve(&[]);
    let set = ["settings", "set", "fault.instance.slow=300,instance=i2+i3,vary=20,for=600", "fault.tls.expired=on"];
    let text = place.run(&set).succeeded().out;
    assert!(text.contains("fault.instance.slow = 300,vary=20,instance=i2+i3,for=600"), "{text}");
    // What `get` says, `set` takes.
    let said = place.run(&["settings", "get", "fault.instance.slow"]).succeeded().out;
    place.run(&["settings", "set", &format!("fault.instance.slow={}", said.trim())]).succeeded();
    place.run(&["settings", "set", r#"fault.api.errors={"probability":50}"#]).succeeded();
    place.run(&["settings", "set", "fault.instance.slow=300,instnce=i2"]).refused("has no instnce");
    let restored = place.run(&["restore", "--json"]).succeeded().json();
    assert_eq!(restored["ended"], json!(["fault.tls.expired", "fault.instance.slow", "fault.api.errors"]));
    assert_eq!(place.run(&["restore"]).succeeded().out, "No fault was on.\n");
    assert_eq!(place.run(&["settings", "get", "fault.tls.expired"]).succeeded().out, "off\n");
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_made_used_listed_and_revoked() {
    let place = Place::new();
    let server = place.serve(&[]);
    let made = place.run(&["token", "create", "ci", "--scope", "read,change", "--days", "7"]).succeeded();
    let token = made.out.trim().to_owned();
    assert!(token.starts_with("rtk_") && made.err.contains("not shown again"), "{made:?}");
    let ask = || Ask::new("GET", "/api/settings").header("authorization", &format!("Bearer {token}"));
    assert_eq!(server.stranger().send_bare(ask()).await.status, 200);
    let listed = place.run(&["token", "list"]).succeeded().out;
    assert!(listed.contains("  ci  read change  until ") && !listed.contains(&token), "{listed}");
    place.run(&["token", "create", "ci"]).refused("that name already");
    place.run(&["token", "create", "x", "--days", "91"]).refused("1 to 90");
    let all = place.run(&["token", "list", "--json"]).succeeded().json();
    let id = all["tokens"][0]["id"].to_string();
    place.run(&["token", "revoke", &id]).succeeded();
    place.run(&["token", "revoke", &id]).refused("no token of that number");
    server.stranger().send_bare(ask()).await.is_problem(401, "bad-token", None);
    assert_eq!(place.run(&["token", "list"]).succeeded().out, "There is no token.\n");
    server.stop();
}
