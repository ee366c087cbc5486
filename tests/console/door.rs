//! The one plain page.

use serde_json::json;

use crate::harness::House;
use crate::harness::people::Ask;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_says_what_it_leads_to() {
    let house = House::open().await;
    let caller = house.caller();
    let page = caller.get("/").await;
    page.is_page();
    let port = house.door.address().port();
    let name_test = format!("connect-src 'self' http://roundtrip.localhost:{port};");
    assert!(page.header("content-security-policy").contains(&name_test), "{page:?}");
    let facts = |owner: bool| {
        json!({
            "ca_sha256": house.ca_fingerprint,
            "ca_file": "/roundtrip-ca.pem",
            "console": house.console_url(),
            "console_fallback": format!("https://localhost:{}", house.console.address().port()),
            "http_port": port,
            "owner": owner,
            "app": house.stack.browser_url(),
        })
    };
    assert_eq!(caller.get("/api/door").await.json(), facts(false));
    house.owner().await;
    assert_eq!(caller.get("/api/door").await.json(), facts(true));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authoritys_certificate_is_there_to_download_and_its_key_is_not() {
    let house = House::open().await;
    let file = house.caller().get("/roundtrip-ca.pem").await;
    assert_eq!((file.status, file.text()), (200, house.ca_pem.clone()));
    assert!(file.header("content-disposition").starts_with("attachment"));
    assert!(!file.text().contains("PRIVATE"));
    file.is_guarded();
    for path in ["/ca.key", "/roundtrip-ca.key", "/api/setup", "/api/session", "/setup"] {
        house.caller().get(path).await.is_problem(404, "no-such-address", None);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_name_test_may_be_seen_by_another_origin() {
    let house = House::open().await;
    let caller = house.caller();
    let host = format!("roundtrip.localhost:{}", house.door.address().port());
    let here = caller.send(Ask::new("GET", "/here").header("host", &host)).await;
    assert_eq!((here.status, here.header("cross-origin-resource-policy")), (204, "cross-origin"));
    let page = caller.send(Ask::new("GET", "/").header("host", &host)).await;
    assert_eq!((page.status, page.header("cross-origin-resource-policy")), (200, "same-origin"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_answers_to_its_own_names_alone() {
    let house = House::open().await;
    let caller = house.caller();
    for host in ["evil.example", "localhost", &format!("evil.example:{}", house.door.address().port())] {
        for path in ["/", "/here", "/api/door", "/roundtrip-ca.pem"] {
            caller.send(Ask::new("GET", path).header("host", host)).await.is_problem(421, "wrong-host", None);
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_door_does_not_take_is_a_problem_document() {
    let house = House::open().await;
    let caller = house.caller();
    let file = format!("/static/{}/styles/tokens.css", roundtrip::web::assets::TREE_HASH);
    for path in ["/", "/here", "/api/door", "/roundtrip-ca.pem", "/favicon.ico", &file] {
        for method in ["POST", "PUT", "DELETE"] {
            let reply = caller.send(Ask::new(method, path)).await;
            reply.is_problem(405, "method-not-allowed", None);
            assert_eq!(reply.header("allow"), "GET, HEAD", "{method} {path}");
        }
    }
    for path in ["/nothing", "/static/00/styles/tokens.css", "/static/", "/api/"] {
        caller.get(path).await.is_problem(404, "no-such-address", None);
    }
    house.stop().await;
}
