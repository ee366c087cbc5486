//! What a client may cost is a setting: a change holds for connections that begin after it.

use serde_json::{Value, json};

use crate::frames::{Frames, SETTINGS, WINDOW_UPDATE};
use crate::rig::{Rig, Upstream, status};

fn set(rig: &Rig, key: &str, value: Value) {
    rig.settings.change([(key, &value)]).unwrap();
}

/// A request with `fields` and `body`.
fn request(rig: &Rig, target: &str, fields: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{fields}\r\n{body}", rig.host, body.len())
}

#[tokio::test]
async fn a_bound_that_is_changed_holds_for_the_next_connection_and_not_for_those_there_are() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    let long = format!("/{}", "a".repeat(300));
    let field = format!("X: {}\r\n", "a".repeat(1_100));
    let fields = "X: a\r\n".repeat(16);
    for (key, least, asks, refused) in [
        ("http.target.bytes_max", 256, request(&rig, &long, "", ""), 414),
        ("http.head.bytes_max", 1_024, request(&rig, "/", &field, ""), 431),
        ("http.head.fields_max", 16, request(&rig, "/", &fields, ""), 431),
        ("http.body.bytes_max", 1_024, request(&rig, "/", "", &"a".repeat(1_025)), 413),
    ] {
        let mut before = rig.connect().await;
        before.write(&asks).await;
        assert_eq!(status(&before.read_until("hello").await), 200, "{key}");
        set(&rig, key, json!(least));
        before.write(&asks).await;
        assert_eq!(status(&before.read_until("hello").await), 200, "{key}");
        let mut after = rig.connect().await;
        after.write(&asks).await;
        assert_eq!(status(&after.rest().await), refused, "{key}");
    }
}

#[tokio::test]
async fn the_number_of_connections_is_asked_for_at_each() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    for key in ["http.connections.max", "http.connections.of_loopback_max"] {
        let mut first = rig.connect().await;
        first.write(&request(&rig, "/", "", "")).await;
        assert_eq!(status(&first.read_until("hello").await), 200, "{key}");
        set(&rig, key, json!(1));
        assert_eq!(rig.connect().await.rest().await, "", "{key}: there is one already");
        set(&rig, key, json!(100));
        let mut second = rig.connect().await;
        second.write(&request(&rig, "/", "", "")).await;
        assert_eq!(status(&second.read_until("hello").await), 200, "{key}");
    }
}

#[tokio::test]
async fn the_bounds_of_h2_are_told_as_they_are_set() {
    let upstream = Upstream::saying("hello").await;
    let rig = Rig::before(&[upstream.address]).await;
    set(&rig, "http.h2.streams_max", json!(7));
    set(&rig, "http.h2.stream_window", json!(70_000));
    set(&rig, "http.h2.connection_window", json!(140_000));
    let mut client = Frames::connect(&rig).await;
    let told = client.next_of(&[SETTINGS]).await.unwrap();
    // MAX_CONCURRENT_STREAMS and INITIAL_WINDOW_SIZE.
    assert_eq!((told.setting(3), told.setting(4)), (Some(7), Some(70_000)));
    let window = client.next_of(&[WINDOW_UPDATE]).await.unwrap();
    assert_eq!((window.stream, window.code() + 65_535), (0, 140_000));
}
