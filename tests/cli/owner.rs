//! `roundtrip owner`, with and without a running server.

use serde_json::json;

use crate::harness::people::Person;
use crate::rig::Place;

const FIRST: &str = "plate-knife-fork-spoon";
const SECOND: &str = "salt-pepper-oil-vinegar";

async fn sign_in(person: &Person, name: &str, password: &str) -> u16 {
    person.post("/api/session", &json!({ "name": name, "password": password })).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_is_made_while_nothing_runs_and_given_a_new_password_while_it_does() {
    let place = Place::new();
    let stdin = "--password-stdin";
    place.run_with("short\n", &["owner", "create", stdin]).refused("at least 15");
    place.run_with(&format!("{FIRST}\n"), &["owner", "reset", stdin]).refused("owner create");
    place.run_with(&format!("{FIRST}\n"), &["owner", "create", stdin, "--name", "ada"]).succeeded();
    place.run_with(&format!("{SECOND}\n"), &["owner", "create", stdin]).refused("owner reset");

    let server = place.serve(&[]);
    assert!(server.said["setup_url"].is_null(), "{}", server.said);
    let owner = server.stranger();
    assert_eq!(sign_in(&owner, "ada", FIRST).await, 200);
    assert_eq!(owner.get("/api/session").await.json()["name"], "ada");
    place.run(&["owner", "link"]).refused("owner reset");
    place.run_with(&format!("{SECOND}\n"), &["owner", "create", stdin]).refused("owner reset");
    place.run_with("short\n", &["owner", "reset", stdin]).refused("at least 15");
    assert_eq!(owner.get("/api/session").await.status, 200);

    place.run_with(&format!("{SECOND}\n"), &["owner", "reset", stdin, "--name", "grace"]).succeeded();
    assert_eq!(owner.get("/api/session").await.status, 401, "signed out everywhere");
    assert_eq!(sign_in(&server.stranger(), "ada", FIRST).await, 401);
    assert_eq!(sign_in(&server.stranger(), "grace", SECOND).await, 200);
    server.stop();

    // A file may hold the password, too.
    std::fs::write(place.path().join("password"), format!("{FIRST}\n")).expect("a file");
    place.run(&["owner", "reset", "--password-file", "password"]).succeeded();
    let server = place.serve(&[]);
    assert_eq!(sign_in(&server.stranger(), "owner", FIRST).await, 200);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_link_replaces_the_old_one() {
    let place = Place::new();
    place.run(&["owner", "link"]).refused("no server runs on");
    let server = place.serve(&[]);
    let link = place.run(&["owner", "link"]).succeeded().out;
    let token = |link: &str| link.trim_end().split_once("/#").expect("a token").1.to_owned();
    let claim = async |token: String| {
        let body = json!({ "token": token, "name": "owner", "password": FIRST });
        server.stranger().post("/api/setup", &body).await.status
    };
    assert_eq!(claim(token(server.text("setup_url"))).await, 403);
    assert_eq!(claim(token(&link)).await, 201);
    server.stop();
}

#[test]
fn nobody_is_asked_for_a_password_where_nobody_is() {
    let place = Place::new();
    place.run(&["owner", "create"]).refused("--password-stdin");
    assert!(!place.data().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_held_to_the_same_rule_with_and_without_a_server() {
    let place = Place::new();
    let long = "x".repeat(65);
    let wrong = ["", " ada", "ada ", "a\u{7}da", long.as_str()];
    let refused = |verb: &str| {
        for name in wrong {
            let arguments = ["owner", verb, "--password-stdin", "--name", name];
            place.run_with(&format!("{FIRST}\n"), &arguments).refused("the name was not taken");
        }
    };
    refused("create");
    assert!(!place.data().exists());
    let server = place.serve(&[]);
    refused("create");
    server.stop();
}
