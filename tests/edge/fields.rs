//! What a proxy changes in a head, and what it lets nobody say.

use hyper::Response;

use crate::rig::{Options, Rig, Upstream, body, field, soon, status};

#[tokio::test]
async fn what_is_for_one_connection_only_is_stripped_both_ways() {
    let upstream = Upstream::start(|_, _| {
        Response::builder()
            .header("connection", "x-private")
            .header("x-private", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-authenticate", "Basic")
            .header("x-kept", "1")
            .body(body("hello"))
            .unwrap()
    })
    .await;
    let rig = Rig::before(&[upstream.address]).await;
    let sent = "Connection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nProxy-Authorization: x\r\n\
                TE: gzip, trailers\r\nUpgrade: websocket\r\nX-Kept: 1\r\n";
    let answer = rig.get("/", sent).await;
    for gone in ["x-private", "keep-alive", "proxy-authenticate"] {
        assert!(!answer.contains(gone), "{gone}: {answer}");
    }
    assert!(answer.contains("x-kept: 1") && answer.contains("via: 1.1 roundtrip"));
    let head = &upstream.heads()[0].headers;
    for gone in ["x-mine", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade"] {
        assert!(!head.contains_key(gone), "{gone}");
    }
    assert_eq!(field(head, "connection"), ["te"], "RFC 9110, section 10.1.4");
    assert_eq!((field(head, "te"), field(head, "x-kept")), (vec!["trailers".into()], vec!["1".into()]));
}

#[tokio::test]
async fn what_was_said_about_the_origin_is_replaced_and_our_own_fields_never_come_from_outside() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let lies = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=6.6.6.6\r\nVia: 1.0 fred\r\n\
                roundtrip-hop: hop-secret.0000000000000001.11\r\nroundtrip-probe: x\r\nroundtrip-any: x\r\n";
    assert_eq!(status(&rig.get("/", lies).await), 200);
    let head = &upstream.heads()[0].headers;
    assert_eq!(field(head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(field(head, "x-forwarded-proto"), ["http"]);
    assert_eq!(field(head, "x-forwarded-host"), [rig.host.as_str()]);
    assert_eq!(field(head, "forwarded"), [format!("for=127.0.0.1;host=\"{}\";proto=http", rig.host)]);
    assert_eq!(field(head, "via"), ["1.0 fred", "1.1 roundtrip"]);
    let ours = |name: &str| name.starts_with("roundtrip-") || name == "x-forwarded-prefix";
    assert!(!head.keys().any(|name| ours(name.as_str())), "{head:?}");
}

#[tokio::test]
async fn a_request_that_has_been_here_before_goes_in_a_circle() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    assert_eq!(status(&rig.get("/", "Via: 1.1 fred, 1.1 roundtrip\r\n").await), 508);
    assert_eq!(status(&rig.get("/", "Via: 1.1 fred (caf\u{e9}), 1.1 roundtrip\r\n").await), 508);
}

#[tokio::test]
async fn a_field_name_with_an_underscore_is_refused() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    assert_eq!(status(&rig.get("/", "X_Forwarded_For: 1\r\n").await), 400);
}

#[tokio::test]
async fn times_stand_before_the_upstream_s_own_but_not_where_a_secret_is_checked() {
    let upstream =
        Upstream::start(|_, _| Response::builder().header("server-timing", "api;dur=1").body(body("hi")).unwrap())
            .await;
    let rig = Rig::before(&[upstream.address]).await;
    let answer = rig.get("/", "").await;
    let timings: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("server-timing: ")).collect();
    let [ours, theirs] = timings[..] else { panic!("{answer}") };
    assert!(ours.starts_with("http;dur=") && ours.contains(", balancer;dur="), "{ours}");
    assert_eq!(theirs, "api;dur=1");
    let answer = rig.get("/secret", "").await;
    assert_eq!(answer.matches("server-timing").count(), 1);
}

#[tokio::test]
async fn what_a_trusted_proxy_said_about_the_origin_stays_and_ours_is_added() {
    let upstream = Upstream::saying("hello").await;
    let trusted = vec!["127.0.0.0/8", "10.0.0.0/8"];
    let rig = Rig::with(&[upstream.address], Options { trusted, ..Options::default() });
    soon(rig.balancer.ready()).await;
    let said = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: shop.example\r\nX-Forwarded-Prefix: /shop\r\nForwarded: for=7.7.7.7\r\n";
    assert_eq!(status(&rig.get("/", said).await), 200);
    let head = &upstream.heads()[0].headers;
    assert_eq!(field(head, "x-forwarded-for"), ["6.6.6.6, 7.7.7.7, 10.0.0.1, 127.0.0.1"]);
    assert_eq!(field(head, "x-forwarded-proto"), ["https"]);
    assert_eq!(field(head, "x-forwarded-host"), ["shop.example"]);
    assert_eq!(field(head, "x-forwarded-prefix"), ["/shop"]);
    let ours = format!("for=7.7.7.7, for=127.0.0.1;host=\"{}\";proto=http", rig.host);
    assert_eq!(field(head, "forwarded"), [ours]);
    assert_eq!(status(&rig.get("/", "roundtrip-hop: x\r\n").await), 200);
    assert!(!upstream.heads()[1].headers.contains_key("roundtrip-hop"), "our own fields are nobody's to send");
}

#[tokio::test]
async fn what_connection_names_is_removed_whatever_else_stands_in_its_line() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let named = "Connection: caf\u{e9}, x-one\r\nConnection: X-Two;q=1 , \tx-three\r\n";
    let fields = format!("{named}X-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\nX-Kept: 4\r\n");
    assert_eq!(status(&rig.get("/", &fields).await), 200);
    let head = &upstream.heads()[0].headers;
    let left: Vec<&str> = head.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-")).collect();
    assert!(
        left.contains(&"x-kept") && !left.iter().any(|name| ["x-one", "x-two", "x-three"].contains(name)),
        "{left:?}"
    );
}
