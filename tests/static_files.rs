//! The files of the front, as the app and the console give them: forms, conditions, ranges.

mod harness;

use harness::House;
use harness::people::{Ask, Person};
use harness::reply::Reply;
use roundtrip::web::accept_encoding::Coding;
use roundtrip::web::assets::{self, ASSETS, Asset, IMMUTABLE, TREE_HASH};

const FILE: &str = "styles/tokens.css";

fn asset() -> &'static Asset {
    assets::find(FILE).expect("a file")
}

/// Asks for [`FILE`] under these fields.
async fn ask(person: &Person, method: &str, fields: &[(&str, &str)]) -> Reply {
    let ask = Ask::new(method, &format!("/static/{TREE_HASH}/{FILE}"));
    person.send(fields.iter().fold(ask, |ask, (name, value)| ask.header(name, value))).await
}

async fn get(person: &Person, fields: &[(&str, &str)]) -> Reply {
    ask(person, "GET", fields).await
}

/// At the app, through its edge, and at the console.
fn both(house: &House) -> [Person; 2] {
    [house.visitor(), house.stranger()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_form_of_a_file_has_a_strong_tag_of_its_own() {
    let house = House::open().await;
    for person in both(&house) {
        let mut tags = Vec::new();
        for (accept, coding) in [
            ("identity", None),
            ("gzip", Some(Coding::Gzip)),
            ("zstd, gzip;q=0.9", Some(Coding::Zstd)),
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("br;q=0.2, gzip;q=0.3", Some(Coding::Gzip)),
            ("*", Some(Coding::Brotli)),
        ] {
            let file = get(&person, &[("accept-encoding", accept)]).await;
            let bytes = coding.map_or(asset().plain, |coding| asset().compressed(coding).expect("compressed"));
            assert_eq!((file.status, file.body.as_slice()), (200, bytes), "{accept}");
            assert_eq!(file.header("content-encoding"), coding.map_or("", Coding::token), "{accept}");
            assert_eq!((file.header("vary"), file.header("accept-ranges")), ("accept-encoding", "bytes"));
            tags.push(file.header("etag").to_owned());
        }
        assert!(tags.iter().all(|tag| tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"')), "{tags:?}");
        assert_eq!((&tags[1], &tags[3]), (&tags[4], &tags[5]));
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 4);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_the_file_is_told_so_and_sent_nothing() {
    let house = House::open().await;
    for person in both(&house) {
        let tag = get(&person, &[("accept-encoding", "br")]).await.header("etag").to_owned();
        for held in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            for method in ["GET", "HEAD"] {
                let reply = ask(&person, method, &[("accept-encoding", "br"), ("if-none-match", &held)]).await;
                assert_eq!((reply.status, reply.body.len()), (304, 0), "{held}");
                // As the client named it.
                assert_eq!(reply.header("etag").trim_start_matches("W/"), tag);
                assert_eq!((reply.header("cache-control"), reply.header("vary")), (IMMUTABLE, "accept-encoding"));
                assert_eq!(reply.header("content-type"), "");
                reply.is_guarded();
            }
        }
        // Another form is another file.
        assert_eq!(get(&person, &[("accept-encoding", "gzip"), ("if-none-match", &tag)]).await.status, 200);
        assert_eq!(get(&person, &[("accept-encoding", "br"), ("if-match", &tag)]).await.status, 200);
    }
    house
        .visitor()
        .send(Ask::new("GET", &format!("/static/{TREE_HASH}/{FILE}")).header("if-match", "\"other\""))
        .await
        .is_problem(412, "changed", Some("api"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_a_part_of_the_form_that_would_be_sent() {
    let house = House::open().await;
    for person in both(&house) {
        for (accept, coding) in [("identity", None), ("br", Some(Coding::Brotli))] {
            let whole = coding.map_or(asset().plain, |coding| asset().compressed(coding).expect("compressed"));
            let length = whole.len();
            for (range, part) in [("bytes=0-9", 0..10), ("bytes=-7", length - 7..length), ("bytes=100-", 100..length)] {
                let reply = get(&person, &[("accept-encoding", accept), ("range", range)]).await;
                assert_eq!((reply.status, reply.body.as_slice()), (206, &whole[part.clone()]), "{accept} {range}");
                assert_eq!(reply.header("content-range"), format!("bytes {}-{}/{length}", part.start, part.end - 1));
                assert_eq!(reply.header("content-encoding"), coding.map_or("", Coding::token));
                assert_eq!(
                    (reply.header("content-length"), reply.all("etag").len()),
                    (part.len().to_string().as_str(), 1)
                );
            }
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_beyond_the_end_is_416_and_one_that_is_not_understood_is_no_range() {
    let house = House::open().await;
    let length = asset().plain.len();
    for (person, hop) in both(&house).iter().zip([Some("api"), None]) {
        let reply = get(person, &[("range", &format!("bytes={length}-"))]).await;
        reply.is_problem(416, "range", hop);
        assert_eq!(
            (reply.header("content-range"), reply.header("cache-control")),
            (&*format!("bytes */{length}"), "no-store")
        );
        for range in ["bytes=0-1,4-5", "bytes=9-2", "lines=0-1", "bytes"] {
            let reply = get(person, &[("range", range)]).await;
            assert_eq!((reply.status, reply.body.len()), (200, length), "{range}");
        }
        // HEAD has no ranges (RFC 9110, section 14.2).
        let head = ask(person, "HEAD", &[("range", "bytes=0-1")]).await;
        assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, &*length.to_string(), 0));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_of_another_version_is_the_whole_file() {
    let house = House::open().await;
    for person in both(&house) {
        let tag = get(&person, &[]).await.header("etag").to_owned();
        let range = ("range", "bytes=0-9");
        assert_eq!(get(&person, &[range, ("if-range", &tag)]).await.status, 206);
        for other in ["\"other\"", &format!("W/{tag}"), "Sat, 01 Jan 2000 00:00:00 GMT"] {
            assert_eq!(get(&person, &[range, ("if-range", other)]).await.status, 200, "{other}");
        }
        // The condition goes first.
        assert_eq!(get(&person, &[range, ("if-none-match", &tag)]).await.status, 304);
    }
    house.stop().await;
}

#[test]
fn a_compressed_form_is_kept_only_where_it_is_smaller() {
    for asset in ASSETS {
        for coding in Coding::ALL {
            assert!(asset.compressed(coding).is_none_or(|bytes| bytes.len() < asset.plain.len()), "{}", asset.path);
        }
    }
    let sum = |coding| ASSETS.iter().filter_map(|asset| asset.compressed(coding)).map(<[u8]>::len).sum::<usize>();
    assert!(sum(Coding::Brotli) < sum(Coding::Gzip));
}
