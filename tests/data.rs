//! The data hop: real files, real threads, and what must be true after anything.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use roundtrip::domain::menu::MenuItemId;
use roundtrip::domain::order::{LineRequest, OrderRequest};
use roundtrip::domain::order_rule::Refusal;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::span::{Context, Record, Span, Trace};
use roundtrip::store::bistro::{Bistro, NewOrder, Options, PlaceError};
use roundtrip::store::engine::{self, OpenError, PageLimit};
use roundtrip::store::hasher::{Cost, Hasher, HasherError};
use roundtrip::store::{Cause, StoreError, WallClock};
use time::OffsetDateTime;

type Outcome = Result<(), Box<dyn Error>>;

const HOUSE_SALAD: MenuItemId = 12;

/// A data folder, with a clock that only moves when told.
struct House {
    folder: tempfile::TempDir,
    seconds: Arc<AtomicI64>,
    page_limit: PageLimit,
}

impl House {
    fn new() -> std::io::Result<Self> {
        let seconds = Arc::new(AtomicI64::new(1_800_000_000));
        Ok(Self { folder: tempfile::tempdir()?, seconds, page_limit: PageLimit::default() })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bistro.db")
    }

    fn clock(&self) -> WallClock {
        let seconds = Arc::clone(&self.seconds);
        WallClock::new(move || OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Relaxed).unsigned_abs()))
    }

    fn open(&self) -> Result<Bistro, OpenError> {
        let engine = engine::Options { page_limit: self.page_limit.clone(), ..engine::Options::default() };
        Bistro::open(&self.path(), Options { engine, clock: self.clock() })
    }
}

fn span(detail: bool) -> Span {
    let context = Context { detail, ..Context::new_root() };
    Trace::start(context, SpanId::random(), Hop::Api, "Test", Tick::now())
}

fn order(lines: &[(MenuItemId, u32)]) -> NewOrder {
    let lines = lines.iter().map(|&(menu_item_id, quantity)| LineRequest { menu_item_id, quantity }).collect();
    NewOrder { person: None, request: OrderRequest { table: 4, lines }, idempotency: None }
}

/// Texts of an attribute over all spans.
fn texts<'a>(spans: &'a [Record], key: &str) -> Vec<&'a str> {
    let values = spans.iter().flat_map(|span| &span.attributes).filter(|(name, _)| name == key);
    values
        .flat_map(|(_, value)| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice))
        .filter_map(|value| value.as_str())
        .collect()
}

#[tokio::test]
async fn a_refused_guest_is_nobody_in_the_file_either() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let refused = bistro.place_order(&span(false), order(&[(HOUSE_SALAD, 1), (99, 1)])).await;
    assert_eq!(refused, Err(PlaceError::Refused(Refusal::UnknownDish { line: 1, id: 99 })));
    bistro.close().await?;
    let guests = "SELECT count(*) FROM person WHERE role = 'guest'";
    let guests = rusqlite::Connection::open(house.path())?.query_row(guests, [], |row| row.get::<_, i64>(0))?;
    assert_eq!(guests, 0);
    Ok(())
}

#[tokio::test]
async fn a_full_disk_refuses_orders_whole_while_reads_go_on_and_space_brings_them_back() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    house.page_limit.set(Some(1));
    let mut acknowledged = 0;
    let refused = loop {
        match bistro.place_order(&span(false), order(&[(HOUSE_SALAD, 1), (1, 1), (2, 1)])).await {
            Ok(_) => acknowledged += 1,
            Err(refused) => break refused,
        }
    };
    assert!(
        matches!(refused, PlaceError::Store(StoreError::Unavailable { cause: Cause::Full, .. })),
        "{refused:?} after {acknowledged}"
    );
    assert_eq!(bistro.menu(&span(false)).await?.len(), 40);
    let audit = bistro.audit().await?;
    assert_eq!((audit.orders, audit.wrong), (acknowledged, Vec::new()));
    house.page_limit.set(None);
    bistro.place_order(&span(false), order(&[(HOUSE_SALAD, 1)])).await?;
    assert_eq!(bistro.audit().await?.orders, acknowledged + 1);
    assert_eq!(bistro.figures().fences, 0);
    Ok(())
}

#[tokio::test]
async fn a_request_recorded_in_full_says_which_statements_ran_how_often_and_by_what_plan() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let span = span(true);
    bistro.place_order(&span, order(&[(HOUSE_SALAD, 1), (1, 1)])).await?;
    let spans = span.trace().finish();
    assert!(texts(&spans, "db.query.text").iter().any(|sql| sql.contains("INSERT INTO orders")));
    assert!(texts(&spans, "db.query.plan").iter().any(|plan| plan.contains("SEARCH recipe_line USING PRIMARY KEY")));
    let runs = spans.iter().flat_map(|span| &span.attributes).filter(|(name, _)| name == "roundtrip.data.runs");
    let lines =
        runs.filter_map(|(_, runs)| runs.as_object()).flatten().find(|(sql, _)| sql.contains("INTO order_line"));
    assert_eq!(lines.map(|(_, times)| times), Some(&2.into()));
    Ok(())
}

#[tokio::test]
async fn a_hash_verifies_its_password_alone_and_names_its_cost() -> Outcome {
    let hasher = Hasher::start(Cost::default())?;
    let phc = hasher.hash("correct horse battery").await?;
    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    assert!(hasher.verify(&phc, "correct horse battery").await?);
    assert!(!hasher.verify(&phc, "Correct horse battery").await?);
    assert_ne!(hasher.hash("correct horse battery").await?, phc, "each has its own salt");
    hasher.verify_nobody("correct horse battery").await?;
    assert!(matches!(hasher.verify("plain text", "plain text").await, Err(HasherError::Internal(_))));
    Ok(())
}

#[tokio::test]
async fn the_hasher_s_queue_is_bounded_and_who_is_let_in_is_served() -> Outcome {
    // Dear enough that the thread can't finish one before a hundred have knocked.
    let hasher = Hasher::start(Cost { memory_kib: 64 * 1_024, passes: 3 })?;
    let phc = Hasher::start(Cost::LEAST)?.hash("a password of mine").await?;
    let dear = hasher.hash("a password of mine");
    let others = futures_of(100, || hasher.verify(&phc, "a password of mine"));
    let (dear, others) = tokio::join!(dear, others);
    assert!(dear.is_ok());
    let busy = others.iter().filter(|result| **result == Err(HasherError::Busy)).count();
    let right = others.iter().filter(|result| **result == Ok(true)).count();
    assert_eq!(busy + right, 100);
    assert!((31..=33).contains(&right), "{right} were let in");
    Ok(())
}

/// Starts all before it waits for the first.
async fn futures_of<F: Future>(count: usize, make: impl Fn() -> F) -> Vec<F::Output> {
    let mut all: Vec<_> = (0..count).map(|_| Box::pin(make())).collect();
    let mut results: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in all.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}
