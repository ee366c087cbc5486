//! What commands do with the control key.

use roundtrip::web::secret;
use serde_json::{Value, json};

use crate::harness::people::Ask;
use crate::harness::probes::outgoing;
use crate::harness::reply::Reply;
use crate::harness::{House, PASSWORD};

async fn command(house: &House, path: &str, body: &Value) -> Reply {
    let key = format!("Roundtrip-Control {}", secret::hex(&house.control_key));
    house.stranger().send(Ask::new("POST", path).json(body).header("authorization", &key)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_is_made_once_then_only_reset() {
    let house = House::open().await;
    let body = |reset: bool| json!({ "name": "ada", "password": PASSWORD, "reset": reset });
    command(&house, "/api/control/owner", &body(true)).await.is_problem(409, "no-owner", None);
    let short = json!({ "name": "ada", "password": "short", "reset": false });
    assert_eq!(command(&house, "/api/control/owner", &short).await.pointers(), ["/password"]);
    let link = command(&house, "/api/control/setup-link", &json!({})).await;
    assert!(link.json()["url"].as_str().is_some_and(|url| url.starts_with(&format!("{}/#", house.door_url()))));
    assert_eq!(command(&house, "/api/control/owner", &body(false)).await.status, 204);
    command(&house, "/api/control/owner", &body(false)).await.is_problem(409, "owner-exists", None);
    command(&house, "/api/control/setup-link", &json!({})).await.is_problem(409, "owner-exists", None);
    assert_eq!(command(&house, "/api/control/owner", &body(true)).await.status, 204);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_minted_for_staff_and_not_for_others() {
    let house = House::open().await;
    for role in ["waiter", "chef", "manager"] {
        let reply = command(&house, "/api/control/sessions", &json!({ "role": role })).await;
        let cookie = reply.json()["cookie"].as_str().expect("a cookie").to_owned();
        let ask = Ask::new("GET", "/api/v1/session").header("cookie", &cookie);
        assert_eq!(house.visitor().send(ask).await.json()["role"], role);
    }
    let guest = command(&house, "/api/control/sessions", &json!({ "role": "guest" })).await;
    assert_eq!(guest.json(), json!({ "cookie": null }));
    for wrong in ["owner", "cook", ""] {
        let reply = command(&house, "/api/control/sessions", &json!({ "role": wrong })).await;
        reply.is_problem(422, "invalid-body", None);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_of_another_process_hands_in_its_side_and_gets_the_whole() {
    let house = House::open().await;
    let answer = house.stack.client().send(outgoing(&house, "GET", "/api/v1/menu", None)).await.expect("an answer");
    let part = serde_json::to_value(&answer.part).expect("a part");
    let journey = command(&house, "/api/control/journeys", &part).await.json();
    assert_eq!((&journey["complete"], &journey["trace_id"]), (&json!(true), &part["trace_id"]));
    assert_eq!(journey["hops"]["data"]["reached"], true);
    let bad = command(&house, "/api/control/journeys", &json!({ "trace_id": "x" })).await;
    bad.is_problem(400, "bad-part", None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probes_part_may_nest_deeper_than_a_form_but_not_without_end() {
    let house = House::open().await;
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({ "deeper": inner }));
    let part = "/api/control/journeys";
    command(&house, part, &nested(20)).await.is_problem(400, "bad-part", None);
    command(&house, part, &nested(60)).await.is_problem(400, "too-deep", None);
    command(&house, "/api/control/sessions", &nested(20)).await.is_problem(400, "too-deep", None);
    house.stop().await;
}
