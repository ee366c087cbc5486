//! What only the inside can see.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use proptest::prelude::*;
use rusqlite::hooks::{AuthContext, Authorization};

use super::*;
use crate::domain::order::{LineRequest, OrderRequest};
use crate::domain::session::PersonId;
use crate::settings::runtime::Settings;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn order(person: Option<PersonId>, key: &str) -> NewOrder {
    let lines = [1, 12, 31].map(|menu_item_id| LineRequest { menu_item_id, quantity: 1 }).into();
    let idempotency = Idempotency { route: "orders", key: key.to_owned(), fingerprint: [1; 32] };
    NewOrder { person, request: OrderRequest { table: 1, lines }, idempotency: Some(idempotency) }
}

#[tokio::test]
async fn a_second_order_prepares_no_statement() -> Outcome {
    let folder = tempfile::tempdir()?;
    let bistro = Bistro::open(&folder.path().join("bistro.db"), Options::default())?;
    // SQLite asks the authorizer while it prepares, and at no other time
    // (sqlite.org/c3ref/set_authorizer.html).
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    let count = move |_: AuthContext<'_>| {
        counter.fetch_add(1, Relaxed);
        Authorization::Allow
    };
    let span = unwatched("test");
    let install = bistro.engine.write(&span, "test", move |transaction| {
        let install =
            |connection: &rusqlite::Connection| Ok((connection.authorizer(Some(count))?, Touched::Changed(0)));
        transaction.db.step("test", &[], install)
    });
    let installed: Result<(), StoreError> = install.await;
    installed?;
    let guest = bistro.place_order(&span, order(None, "first")).await?.order.owner;
    bistro.place_order(&span, order(Some(guest), "second")).await?;
    let before = asked.swap(0, Relaxed);
    assert!(before > 0, "the first of a kind prepares");
    bistro.place_order(&span, order(None, "third")).await?;
    bistro.place_order(&span, order(Some(guest), "fourth")).await?;
    bistro.place_order(&span, order(Some(guest), "fourth")).await?;
    bistro.place_order(&span, order(Some(guest), "fourth")).await?;
    asked.store(0, Relaxed);
    for key in ["fifth", "fifth", "sixth"] {
        bistro.place_order(&span, order(Some(guest), key)).await?;
    }
    assert_eq!(asked.load(Relaxed), 0);
    Ok(())
}

/// Counts rows of `orders`, its lines, guests, their sessions and keys.
fn rows(path: &Path) -> rusqlite::Result<[i64; 5]> {
    let db = rusqlite::Connection::open(path)?;
    let count = |what: &str| db.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0));
    let guests = count("person WHERE role = 'guest'")?;
    Ok([count("orders")?, count("order_line")?, guests, count("session")?, count("idempotency_key")?])
}

#[tokio::test]
async fn a_draft_left_alone_for_a_day_goes_with_its_guest_and_what_was_placed_stays() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bistro.db");
    let seconds = Arc::new(AtomicU64::new(1_800_000_000));
    let now = Arc::clone(&seconds);
    let clock = WallClock::new(move || OffsetDateTime::UNIX_EPOCH + Duration::from_secs(now.load(Relaxed)));
    let bistro = Bistro::open(&path, Options { clock, ..Options::default() })?;
    let span = unwatched("test");
    let placed = bistro.place_order(&span, order(None, "placed")).await?.order;
    let mut idle = vec![bistro.draft_order(&span, order(Some(placed.owner), "draft")).await?.order.id];
    for number in 0..5 {
        idle.push(bistro.draft_order(&span, order(None, &format!("draft-{number}"))).await?.order.id);
    }
    assert_eq!(rows(&path)?, [7, 21, 6, 6, 7]);
    seconds.fetch_add(24 * 60 * 60 - 1, Relaxed);
    bistro.draft_order(&span, order(None, "a second too early")).await?;
    assert_eq!(rows(&path)?[0], 8);
    seconds.fetch_add(1, Relaxed);
    let last = bistro.draft_order(&span, order(None, "last")).await?.order;
    // Those placed and begun since, and the guests of these three.
    assert_eq!(rows(&path)?, [3, 9, 3, 2, 2]);
    for id in &idle {
        assert_eq!(bistro.order(&span, id).await?, None);
    }
    assert!(bistro.order(&span, &placed.id).await?.is_some() && bistro.order(&span, &last.id).await?.is_some());
    assert_eq!(bistro.audit().await?.wrong, Vec::<String>::new());
    let db = rusqlite::Connection::open(&path)?;
    assert!(db.execute("DELETE FROM orders WHERE placed_at_ms > 0", []).is_err(), "what was placed is never deleted");
    Ok(())
}

/// A restaurant whose clock is right when it is opened, and what sets it wrong.
fn restaurant(folder: &Path) -> Result<(Bistro, Settings), OpenError> {
    let settings = Settings::default();
    let options = Options { clock: WallClock::skewed(settings.clone()), ..Options::default() };
    Ok((Bistro::open(&folder.join("bistro.db"), options)?, settings))
}

fn skew(settings: &Settings, seconds: i64) {
    settings.change([("fault.clock.skew", &serde_json::json!(seconds))]).expect("it fits");
}

const DAY_S: i64 = 24 * 60 * 60;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn a_repeat_with_its_key_has_the_first_answer_however_wrong_the_clock_is_and_was(
        skews in prop::collection::vec(prop_oneof![Just(-DAY_S), Just(DAY_S), -DAY_S..=DAY_S], 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            let (bistro, settings) = restaurant(folder.path()).expect("a restaurant");
            let span = unwatched("test");
            let first = bistro.place_order(&span, order(None, "first")).await.expect("an order").order;
            for (number, seconds) in skews.into_iter().enumerate() {
                skew(&settings, seconds);
                // Whoever else orders has what is too old deleted.
                let other = order(None, &format!("other-{number}"));
                let placed = bistro.place_order(&span, other.clone()).await.expect("another's order").order;
                skew(&settings, -seconds);
                for (whose, new, known) in [
                    ("the person's", order(Some(first.owner), "first"), &first),
                    ("a stranger's", order(None, "first"), &first),
                    ("one under skew", other, &placed),
                ] {
                    let again = bistro.place_order(&span, new).await.expect("the first answer");
                    assert!(again.replayed && again.order == *known, "{whose}, {seconds} s");
                }
            }
        });
    }
}

#[tokio::test]
async fn no_clock_that_is_wrong_deletes_a_session_that_is_live_by_the_right_one_or_by_its_own() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (bistro, settings) = restaurant(folder.path())?;
    let span = unwatched("test");
    let staff = async || bistro.mint_session(crate::domain::permission::Role::Chef).await;
    let of_now = staff().await?;
    for seconds in [DAY_S, -DAY_S] {
        skew(&settings, seconds);
        let of_then = staff().await?;
        staff().await?;
        assert!(bistro.session_unseen(&span, &of_then).await?.is_some(), "{seconds}");
    }
    skew(&settings, 0);
    assert!(bistro.session_unseen(&span, &of_now).await?.is_some());
    Ok(())
}
