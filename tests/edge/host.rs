//! Whom a request is for: Host, the target and its forms, the method.

use crate::rig::{Rig, Upstream, field, problem, status};
use roundtrip::observe::hop::Hop;

#[tokio::test]
async fn a_request_for_another_host_is_misdirected() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for host in ["evil.example", "bistro.localhost", "bistro.localhost:1", "localhost:8444"] {
        let answer = rig.exchange(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((status(&answer), problem(&answer).hop), (421, Some(Hop::Http)), "{host}");
    }
    assert!(upstream.heads().is_empty());
    assert_eq!(status(&rig.get("/", "").await), 200);
}

#[tokio::test]
async fn there_is_exactly_one_valid_host() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for hosts in
        ["", "Host: HOST\r\nHost: HOST\r\n", "Host: HOST\r\nHost: evil\r\n", "Host: a b/c\r\n", "Host: x@HOST\r\n"]
    {
        let answer = rig.exchange(&format!("GET / HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")).await;
        assert_eq!(status(&answer), 400, "{hosts}");
    }
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn the_authority_of_an_absolute_target_beats_host() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let answer = rig.exchange("GET http://HOST/a?b=c HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 200);
    let answer = rig.exchange("GET http://evil/ HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 421);
    let [head] = &upstream.heads()[..] else { panic!() };
    assert_eq!((head.uri.to_string(), field(&head.headers, "host")), ("/a?b=c".into(), vec![rig.host.clone()]));
}

#[tokio::test]
async fn connect_and_trace_are_refused_and_unknown_methods_pass() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let trace = rig.exchange("TRACE / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&trace), 405);
    assert!(trace.contains("\r\nallow: "));
    let connect = rig.exchange("CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&connect), 405);
    let brew = rig.exchange("BREW /pot HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n").await;
    assert_eq!((status(&brew), upstream.heads()[0].method.as_str()), (200, "BREW"));
}

#[tokio::test]
async fn a_host_that_is_none_is_refused() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for host in
        ["", "a b", "user@HOST", "HOST/path", "bistro.localhost:99999", "bistro.localhost:x", ":80", "[::1", "a,b@c"]
    {
        let answer = rig.exchange(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(status(&answer), 400, "{host}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{host}");
    }
    // RFC 9112, section 3.2: even where the target names one.
    assert_eq!(status(&rig.exchange("GET http://HOST/ HTTP/1.1\r\n\r\n").await), 400);
    assert!(upstream.heads().is_empty());
}

#[tokio::test]
async fn options_for_the_server_as_a_whole_stays_that() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let end = "HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n";
    for (target, expected) in [("*", "*"), ("http://HOST", "*"), ("http://HOST/", "/"), ("http://HOST/a?b", "/a?b")] {
        assert_eq!(status(&rig.exchange(&format!("OPTIONS {target} {end}")).await), 200, "{target}");
        assert_eq!(upstream.heads().last().unwrap().uri.to_string(), expected, "{target}");
    }
    assert_eq!(status(&rig.exchange(&format!("GET http://HOST?q {end}")).await), 200);
    assert_eq!(upstream.heads().last().unwrap().uri.to_string(), "/?q", "RFC 9112, section 3.2.1");
}

#[tokio::test]
async fn http_1_0_is_answered_and_its_connection_closed() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let answer = rig.exchange("GET / HTTP/1.0\r\nHost: HOST\r\n\r\n").await;
    assert!(status(&answer) == 200 && answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert_eq!(field(&upstream.heads()[0].headers, "via"), ["1.0 roundtrip"]);
    assert_eq!(status(&rig.exchange("GET / HTTP/1.0\r\n\r\n").await), 400, "whose it is nobody knows");
}

#[tokio::test]
async fn an_options_goes_no_further_than_max_forwards_says() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let options = "OPTIONS / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n";
    let last = rig.exchange(&format!("{options}Max-Forwards: 0\r\n\r\n")).await;
    assert!(status(&last) == 405 && last.contains("\r\nallow: "), "{last}");
    assert!(upstream.heads().is_empty());
    assert_eq!(status(&rig.exchange(&format!("{options}Max-Forwards: 2\r\n\r\n")).await), 200);
    assert_eq!(field(&upstream.heads()[0].headers, "max-forwards"), ["1"]);
    assert_eq!(status(&rig.get("/", "Max-Forwards: 0\r\n").await), 200, "of other methods it means nothing");
}

#[tokio::test]
async fn a_method_that_begins_as_h2_does_is_http_1_1_all_the_same() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for pieces in [["P", "OST /a"], ["PR", "OPFIND /a"], ["", "PATCH /a"]] {
        let mut client = rig.connect().await;
        client.write(pieces[0]).await;
        client.write(&format!("{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", pieces[1], rig.host)).await;
        assert_eq!(status(&client.rest().await), 200, "{pieces:?}");
    }
}
