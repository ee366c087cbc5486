//! What a guest's browser gets: the page, its files, and the headers that guard both.

use roundtrip::web::accept_encoding::Coding;
use roundtrip::web::assets::{self, IMMUTABLE, TREE_HASH};
use serde_json::json;

use crate::harness::House;
use crate::harness::people::Ask;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_runs_its_own_scripts_alone_by_a_nonce_that_is_used_once() {
    let house = House::open().await;
    let visitor = house.visitor();
    let first = visitor.get("/").await;
    let nonces = [first.is_page(), visitor.get("/").await.is_page(), visitor.get("/").await.is_page()];
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2] && nonces[0] != nonces[2], "{nonces:?}");
    // Every file that the page names is there.
    let html = first.text();
    let named = html.split('"').filter(|text| text.starts_with("/static/"));
    let mut count = 0;
    for path in named {
        let file = visitor.get(path).await;
        assert_eq!((file.status, file.header("cache-control")), (200, IMMUTABLE), "{path}");
        count += 1;
    }
    assert!(count >= 2, "{html}");
    assert!(!html.contains("{{"), "{html}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_compressed_as_the_browser_takes_them_and_kept_for_ever() {
    let house = House::open().await;
    let visitor = house.visitor();
    let path = format!("/static/{TREE_HASH}/styles/tokens.css");
    let asset = assets::find("styles/tokens.css").expect("a file");
    for (accept, encoding, bytes) in [
        ("", "", asset.plain),
        ("identity", "", asset.plain),
        ("gzip", "gzip", asset.compressed(Coding::Gzip).expect("compressed")),
        ("gzip, deflate, br, zstd", "br", asset.compressed(Coding::Brotli).expect("compressed")),
        ("br;q=0, gzip", "gzip", asset.compressed(Coding::Gzip).expect("compressed")),
    ] {
        let file = visitor.send(Ask::new("GET", &path).header("accept-encoding", accept)).await;
        assert_eq!((file.status, file.header("content-encoding")), (200, encoding), "{accept}");
        assert_eq!(file.body, bytes, "{accept}");
        assert_eq!((file.header("cache-control"), file.header("vary")), (IMMUTABLE, "accept-encoding"));
        assert_eq!(file.header("content-type"), asset.media_type);
        file.is_guarded();
    }
    for gone in [format!("/static/{TREE_HASH}/none.css"), "/static/00/styles/tokens.css".to_owned()] {
        visitor.get(&gone).await.is_problem(404, "not-found", Some("service"));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_guarded_and_tells_browsers_nothing_for_ever() {
    let house = House::open().await;
    let visitor = house.visitor();
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/api/v1/menu"),
        ("GET", "/api/v1/orders"),
        ("GET", "/api/v1/session"),
        ("GET", "/api/openapi.json"),
        ("GET", "/healthz"),
        ("GET", "/nothing"),
        ("PUT", "/"),
        ("TRACE", "/"),
        ("POST", "/api/v1/orders"),
        ("DELETE", "/api/v1/session"),
    ] {
        let reply = visitor.send(visitor.fair(method, path)).await;
        reply.is_guarded();
        // It would break the user's other local servers.
        assert_eq!(reply.header("strict-transport-security"), "", "{method} {path}");
        assert_eq!(reply.header("server"), "", "{method} {path}");
        if path.starts_with("/api/v1") {
            assert_eq!(reply.header("access-control-allow-origin"), "", "{method} {path}");
        }
    }
    for (path, kept) in [
        ("/api/v1/menu", "public, max-age=0, s-maxage=2"),
        ("/api/v1/menu/12", "public, max-age=0, s-maxage=2"),
        ("/api/v1/menu/9999", "no-store"),
        ("/api/v1/orders", "no-store"),
        ("/api/v1/session", "no-store"),
    ] {
        let reply = visitor.get(path).await;
        assert_eq!(reply.header("cache-control"), kept, "{path}");
        assert!(reply.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_menu_is_told_so_by_the_instance_and_by_the_edge() {
    let house = House::open().await;
    let visitor = house.visitor();
    for edge_keeps in [true, false] {
        let menu = visitor.get("/api/v1/menu").await;
        let tag = menu.header("etag").to_owned();
        assert!(tag.starts_with('"') && menu.status == 200, "{menu:?}");
        assert_eq!(visitor.get("/api/v1/menu").await.header("etag"), tag);
        let again = visitor.send(Ask::new("GET", "/api/v1/menu").header("if-none-match", &tag)).await;
        assert_eq!((again.status, again.header("etag"), again.body.len()), (304, tag.as_str(), 0));
        let other = visitor.send(Ask::new("GET", "/api/v1/menu").header("if-none-match", "\"x\"")).await;
        assert_eq!((other.status, other.header("etag")), (200, tag.as_str()));
        assert_eq!(menu.header("cache-status").is_empty(), !edge_keeps);
        house.edge_keeps_nothing();
    }
    house.stack.settings().change([("api.menu.shared_ttl", &json!(0))]).expect("fits");
    let menu = visitor.get("/api/v1/menu").await;
    assert_eq!((menu.header("cache-control"), menu.header("etag")), ("no-store", ""));
    house.stop().await;
}
