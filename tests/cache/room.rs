//! What slow clients hold counts: memory is bounded whatever they do.

use serde_json::json;
use tokio::io::AsyncReadExt;

use super::rig::{Client, Rig, Upstream, soon, until};
use super::{answer, cache_status, set};

/// More than all the buffers on the way to a client hold.
const LARGE: usize = 32 << 20;

/// An edge that has room for one large answer and half of another, before an upstream that has nothing else.
async fn rig() -> (Rig, Upstream) {
    let upstream = Upstream::start(|_, _| answer(200, &["cache-control: max-age=60"], vec![b'x'; LARGE])).await;
    let rig = Rig::before(&[upstream.address]).await;
    set(&rig, "http.cache.bytes", json!(LARGE + LARGE / 2));
    set(&rig, "http.cache.object_bytes", json!(LARGE));
    (rig, upstream)
}

/// The head of an answer of which nothing more is read.
async fn begin(rig: &Rig, path: &str) -> (Client, String) {
    let mut client = rig.connect().await;
    client.write(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", rig.host)).await;
    let head = client.read_until("\r\n\r\n").await;
    (client, cache_status(&head).to_owned())
}

/// Reads the rest.
async fn finish(mut client: Client) {
    let mut piece = vec![0; 1 << 20];
    while soon(client.stream.read(&mut piece)).await.unwrap() > 0 {}
}

#[tokio::test]
async fn a_body_that_somebody_still_reads_takes_the_room_of_the_next() {
    let (rig, _upstream) = rig().await;
    let (slow, said) = begin(&rig, "/a").await;
    assert_eq!(said, "roundtrip; fwd=uri-miss; stored");
    until(|| rig.edge.cache().figures().entries == 1).await;
    let (quick, said) = begin(&rig, "/b").await;
    assert_eq!(said, "roundtrip; fwd=uri-miss", "the chunks of the first are there as long as it is read");
    finish(quick).await;
    finish(slow).await;
    let (quick, said) = begin(&rig, "/b").await;
    assert_eq!(said, "roundtrip; fwd=uri-miss; stored");
    finish(quick).await;
}

#[tokio::test]
async fn a_body_that_has_gone_from_the_store_takes_room_until_it_is_read() {
    let (rig, _upstream) = rig().await;
    finish(begin(&rig, "/a").await.0).await;
    let (slow, said) = begin(&rig, "/a").await;
    assert!(said.starts_with("roundtrip; hit"), "{said}");
    let (quick, said) = begin(&rig, "/b").await;
    assert_eq!(said, "roundtrip; fwd=uri-miss; stored");
    finish(quick).await;
    until(|| rig.edge.cache().figures().evictions == 1).await;
    let (quick, said) = begin(&rig, "/c").await;
    assert_eq!(said, "roundtrip; fwd=uri-miss", "what was put out is there as long as it is read");
    finish(quick).await;
    finish(slow).await;
    let (quick, said) = begin(&rig, "/c").await;
    assert_eq!(said, "roundtrip; fwd=uri-miss; stored");
    finish(quick).await;
}
