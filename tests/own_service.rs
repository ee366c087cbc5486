//! Before somebody's own service: everything reaches it and comes back as it is, its journey is shown, and
//! its configuration is loaded again without anybody noticing.

#[path = "edge/rig.rs"]
mod rig;

mod harness;

use std::fs;

use harness::House;
use harness::people::Ask;
use harness::probes::{outgoing, probe};
use hyper::Response;
use rig::{Client, Upstream, body, field, raw_upstream, soon, status};
use roundtrip::observe::hop::Hop;
use roundtrip::settings::startup::FILE;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Larger than the restaurant would take.
const LARGE: usize = 1024 * 1024;

async fn plain(house: &House) -> (Client, String) {
    let address = house.stack.app_http().expect("a plain port");
    (Client::on(TcpStream::connect(address).await.expect("a connection")), format!("localhost:{}", address.port()))
}

async fn get(house: &House, path: &str) -> String {
    let (mut client, host) = plain(house).await;
    client.write(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
    client.rest().await
}

fn write(house: &House, configuration: &str) {
    fs::write(house.folder().join(FILE), configuration).expect("a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_and_path_reaches_it_and_its_answer_comes_back_as_it_is() {
    let upstream = Upstream::start(|head, sent| {
        Response::builder()
            .status(207)
            .header("x-powered-by", "patience")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .body(body(format!("{} {} {}", head.method, head.uri, sent.len())))
            .expect("an answer")
    })
    .await;
    let house = House::before(&[upstream.address]).await;
    let person = house.visitor();
    for (method, path) in [("PROPFIND", "/dav/a%20b?x=1&y"), ("PUT", "/api/v1/session"), ("DELETE", "//twice")] {
        let reply = person.send(Ask::new(method, path).body(vec![b'x'; LARGE])).await;
        assert_eq!((reply.status, reply.text()), (207, format!("{method} {path} {LARGE}")));
        assert_eq!((reply.all("set-cookie"), reply.header("x-powered-by")), (vec!["a=1", "b=2"], "patience"));
        for added in ["content-security-policy", "x-frame-options", "ratelimit", "content-encoding"] {
            assert_eq!(reply.header(added), "", "{added} was not theirs");
        }
        assert!(reply.header("via").starts_with("1.1 roundtrip-"), "{reply:?}");
    }
    let (head, _, _) = upstream.seen.lock().expect("heads")[0].clone();
    assert_eq!(field(&head.headers, "host"), [house.stack.browser_url().trim_start_matches("https://")]);
    assert!(head.headers.keys().all(|name| !name.as_str().starts_with("roundtrip-")), "{head:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_journey_goes_to_the_balancer_and_then_to_one_station() {
    let upstream = Upstream::saying("hello").await;
    let house = House::before(&[upstream.address]).await;
    let (answer, journey) = probe(&house, outgoing(&house, "GET", "/", None)).await;
    assert_eq!((answer.status, journey.your_service.as_deref(), journey.complete), (200, Some("u1"), true));
    let hops = &journey.hops;
    for (reached, hop) in [(hops.http, "http"), (hops.balancer, "balancer"), (hops.service, "service")] {
        assert!(reached.reached && reached.us > 0.0, "{hop}: {journey:?}");
    }
    assert!(!hops.api.reached && !hops.data.reached);
    assert_eq!(journey.summary.turn, Hop::Service);
    let heads = upstream.heads();
    let traceparent = field(&heads[0].headers, "traceparent").join("");
    assert!(traceparent.contains(&journey.summary.trace_id.to_string()), "{traceparent}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plain_port_serves_the_same() {
    let upstream = Upstream::saying("hello").await;
    let house = House::before(&[upstream.address]).await;
    let answer = get(&house, "/").await;
    assert!(status(&answer) == 200 && answer.ends_with("hello"), "{answer}");
    let heads = upstream.heads();
    assert_eq!(field(&heads[0].headers, "x-forwarded-proto"), ["http"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_knows_that_there_is_no_restaurant() {
    let upstream = Upstream::saying("hello").await;
    let house = House::before(&[upstream.address]).await;
    let owner = house.owner().await;
    let presets = owner.get("/api/presets").await.json();
    assert_eq!((&presets["requests"][0]["path"], presets["roles"].as_array().map(Vec::len)), (&json!("/"), Some(1)));
    let stack = owner.get("/api/stack").await.json();
    assert_eq!(
        (&stack["restaurant"], &stack["orders"], &stack["instances"][0]["id"]),
        (&json!(false), &json!(null), &json!("u1"))
    );
    let wish = json!({ "request": "custom", "method": "HEAD", "path": "/typed?x=1", "as": "guest", "connection": "fresh", "caches": "use", "count": 1 });
    let sent = owner.post("/api/journeys", &wish).await.json();
    assert_eq!((&sent["journey"]["path"], &sent["journey"]["your_service"]), (&json!("/typed?x=1"), &json!("u1")));
    for path in ["typed", "/a b", "/a\r\nx: y", "/#x", ""] {
        let mut wish = wish.clone();
        wish["path"] = json!(path);
        owner.post("/api/journeys", &wish).await.is_problem(422, "invalid-body", None);
    }
    let mut waiter = wish.clone();
    waiter["as"] = json!("waiter");
    owner.post("/api/journeys", &waiter).await.is_problem(422, "invalid-body", None);
    assert!(!house.folder().join("bistro.db").exists(), "nothing is kept for a restaurant that is not there");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_configuration_counts_from_the_next_request_on_and_cuts_nobody() {
    let (first, second) = (Upstream::saying("first").await, Upstream::saying("second").await);
    // Says one word of an endless answer for each that it is sent.
    let endless = raw_upstream(|mut stream| async move {
        let mut go_on = [0];
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head).await.expect("is heard");
        loop {
            stream.write_all(b"4\r\nword\r\n").await.expect("is heard");
            if tokio::io::AsyncReadExt::read(&mut stream, &mut go_on).await.unwrap_or(0) == 0 {
                return;
            }
        }
    })
    .await;
    let house = House::before(&[first.address]).await;
    let owner = house.owner().await;
    let nothing = json!({});
    let reload = || owner.post("/api/configuration/reload", &nothing);
    assert!(get(&house, "/x").await.ends_with("first"));

    let pools = |pool: &str, upstream: std::net::SocketAddr, path: &str| {
        format!("[pool.{pool}]\nupstreams = ['http://{upstream}']\n[[route]]\npool = '{pool}'\npath = '{path}'\n")
    };
    write(&house, &pools("events", endless, "/events"));
    assert_eq!(reload().await.json(), json!({ "pools": 2, "routes": 2, "needs_restart": [] }));
    let (mut listener, host) = plain(&house).await;
    let upload = "Transfer-Encoding: chunked\r\n\r\n";
    listener.write(&format!("POST /events HTTP/1.1\r\nHost: {host}\r\n{upload}")).await;
    listener.read_until("word").await;

    write(&house, &pools("x", second.address, "/x"));
    assert_eq!(reload().await.status, 200);
    assert!(get(&house, "/x").await.ends_with("second"));
    assert!(get(&house, "/y").await.ends_with("first"), "what no route is for goes to the upstream of the start");
    listener.write("1\r\nx\r\n").await;
    listener.read_until("word").await;

    write(&house, "[[route]]\npool = 'nowhere'\n");
    let refused = reload().await.is_problem(422, "bad-configuration", None);
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("no pool 'nowhere'")), "{refused}");
    assert!(get(&house, "/x").await.ends_with("second"), "nothing was changed");
    write(&house, "app-port = 1\n");
    assert_eq!(reload().await.json()["needs_restart"], json!(["app-port"]));
    drop(soon(async { listener }).await);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_reads_which_routes_there_are_and_what_their_rules_say() {
    let upstream = Upstream::saying("hello").await;
    let house = House::before(&[upstream.address]).await;
    let owner = house.owner().await;
    let everything = owner.get("/api/site").await.json();
    assert_eq!(everything["routes"].as_array().map(Vec::len), Some(1), "{everything}");
    assert_eq!((&everything["routes"][0]["pool"], &everything["routes"][0]["path"]), (&json!("upstream"), &json!("/")));
    assert_eq!(everything["routes"][0]["body_bytes_max"], json!(null), "nothing is refused");

    let text = format!(
        "[pool.shop]\nupstreams = ['http://{}']\npolicy = 'round_robin'\n[[route]]\nhost = 'shop.example'\npath = '/api'\n\
         pool = 'shop'\ncache = {{ default-ttl = 5 }}\nlimit = {{ requests = 100, seconds = 60, by = {{ cookie = 'sid' }} }}\n\
         body-bytes-max = 1000\nrequest-headers = {{ x-key = 'not to be read' }}\nresponse-headers = {{ x-shop = 'open' }}\n",
        upstream.address
    );
    write(&house, &text);
    let loads = |stack: serde_json::Value| stack["configuration_loads"].as_u64();
    assert_eq!(loads(owner.get("/api/stack").await.json()), Some(0));
    assert_eq!(owner.post("/api/configuration/reload", &json!({})).await.status, 200);
    assert_eq!(loads(owner.get("/api/stack").await.json()), Some(1));
    let site = owner.get("/api/site").await.json();
    assert!(site["hosts"].as_array().is_some_and(|hosts| hosts.contains(&json!("shop.example"))), "{site}");
    let shop = json!({
        "host": "shop.example",
        "path": "/api",
        "exact": false,
        "pool": "shop",
        "policy": "round_robin",
        "cache": { "enabled": true, "default_ttl_s": 5, "object_bytes_max": null },
        "limit": { "kind": "own", "requests": 100, "seconds": 60, "by": { "cookie": "sid" } },
        "body_bytes_max": 1_000,
        "compress": false,
        "idempotency_key": false,
        "tells_times": true,
        "request_headers": ["x-key"],
        "response_headers": [{ "name": "x-shop", "value": "open" }],
    });
    assert_eq!((&site["routes"][0], &site["routes"][1]["path"]), (&shop, &json!("/")), "the most specific goes first");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_speaks_tls_is_trusted_by_the_authority_that_the_pool_names() {
    let other = House::open().await;
    let authority = other.folder().join("ca.pem");
    let (port, ca) = (other.stack.app().port(), authority.display());
    let house = House::before(&[rig::nobody()]).await;
    let owner = house.owner().await;
    let pool = format!("[pool.other]\nupstreams = ['https://localhost:{port}']\n");
    let route = "[[route]]\npool = 'other'\npath = '/other'\n";
    write(&house, &format!("{pool}{route}"));
    assert_eq!(owner.post("/api/configuration/reload", &json!({})).await.status, 200);
    let answer = get(&house, "/other").await;
    assert!(status(&answer) == 502 && answer.contains("/problems/upstream-certificate"), "{answer}");
    write(&house, &format!("{pool}ca = '{ca}'\n{route}"));
    assert_eq!(owner.post("/api/configuration/reload", &json!({})).await.status, 200);
    // It was reached, and says that it is not who was asked for: Host is passed on as it came.
    let answer = get(&house, "/other").await;
    assert!(status(&answer) == 421 && answer.contains("via: 1.1 roundtrip"), "{answer}");
    write(&house, &format!("{pool}ca = '/nowhere.pem'\n{route}"));
    let refused = owner.post("/api/configuration/reload", &json!({})).await.is_problem(422, "bad-configuration", None);
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("pool 'other'")), "{refused}");
    house.stop().await;
    other.stop().await;
}
