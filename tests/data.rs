//! The data hop: real files, real threads, and what must be true after anything.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use roundtrip::domain::menu::MenuItemId;
use roundtrip::domain::money::Money;
use roundtrip::domain::order::{LineRequest, OrderRequest};
use roundtrip::domain::order_rule::Refusal;
use roundtrip::domain::page::{Cut, OrderFilter, OrderListing, OrderSort, PAGE_MAX};
use roundtrip::domain::permission::Role;
use roundtrip::domain::session::{ABSOLUTE_MAX, IDLE_MAX, MINTED_MAX, Owner, PER_PERSON_MAX, PersonId};
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::span::{Context, Record, Span, Trace};
use roundtrip::store::bistro::{Bistro, Idempotency, NewOrder, Options, PlaceError};
use roundtrip::store::control::{ClaimError, Control, SETUP_TOKEN_LIFETIME};
use roundtrip::store::engine::{self, OpenError, PageLimit};
use roundtrip::store::hasher::{Cost, Hasher, HasherError};
use roundtrip::store::{Cause, StoreError, WallClock, control};
use time::OffsetDateTime;

type Outcome = Result<(), Box<dyn Error>>;

/// Twenty portions of it are all there is.
const TRUFFLE_RISOTTO: MenuItemId = 15;
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

    fn pass(&self, time: Duration) {
        self.seconds.fetch_add(time.as_secs() as i64, Relaxed);
    }

    fn open(&self) -> Result<Bistro, OpenError> {
        let engine = engine::Options { page_limit: self.page_limit.clone(), ..engine::Options::default() };
        Bistro::open(&self.path(), Options { engine, clock: self.clock() })
    }

    fn control(&self) -> Result<Control, OpenError> {
        let options = control::Options { clock: self.clock(), ..control::Options::default() };
        Control::open(&self.folder.path().join("control.db"), options)
    }
}

const ALL: OrderListing = OrderListing {
    filter: OrderFilter { state: None, table: None, placed_from: None, placed_to: None },
    sort: OrderSort::NewestFirst,
    cut: Cut { limit: PAGE_MAX, after: None },
};

fn span(detail: bool) -> Span {
    let context = Context { detail, ..Context::new_root() };
    Trace::start(context, SpanId::random(), Hop::Api, "Test", Tick::now())
}

fn order(lines: &[(MenuItemId, u32)]) -> NewOrder {
    let lines = lines.iter().map(|&(menu_item_id, quantity)| LineRequest { menu_item_id, quantity }).collect();
    NewOrder { person: None, request: OrderRequest { table: 4, lines }, idempotency: None }
}

fn with_key(person: PersonId, lines: &[(MenuItemId, u32)], fingerprint: u8) -> NewOrder {
    let idempotency = Idempotency { route: "orders", key: "a key".into(), fingerprint: [fingerprint; 32] };
    NewOrder { person: Some(person), idempotency: Some(idempotency), ..order(lines) }
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
async fn a_new_house_has_forty_dishes_that_can_all_be_had_and_staff_without_a_password() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let menu = bistro.menu(&span(false)).await?;
    assert_eq!(menu.len(), 40);
    assert!(menu.iter().all(|item| item.available && !item.description.is_empty() && item.price > Money::ZERO));
    let staff = bistro.staff().await?;
    assert_eq!(staff.iter().map(|member| member.role).collect::<Vec<_>>(), Role::STAFF);
    assert!(staff.iter().all(|member| !member.has_password));
    assert_eq!(bistro.audit().await?.wrong, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_acknowledged_order_is_there_after_reopening() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let placed = bistro.place_order(&span(false), order(&[(HOUSE_SALAD, 2), (31, 1)])).await?;
    assert_eq!(placed.order.total, Money::from_cents(1950));
    assert_eq!(placed.queue_waiting, Some(1));
    bistro.close().await?;
    let bistro = house.open()?;
    assert_eq!(bistro.order(&span(false), &placed.order.id).await?, Some(placed.order.clone()));
    assert_eq!(bistro.list_orders(&span(false), None, &ALL).await?.items.len(), 1);
    assert_eq!(bistro.list_orders(&span(false), Some(placed.order.owner), &ALL).await?.items, [placed.order]);
    let counts = bistro.counts().await?;
    assert_eq!((counts.orders, counts.waiting, counts.menu_items), (1, 1, 40));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_guests_want_the_last_twenty_portions_and_twenty_get_one() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let guests: Vec<_> = (0..200)
        .map(|_| {
            let bistro = bistro.clone();
            tokio::spawn(async move { bistro.place_order(&span(false), order(&[(TRUFFLE_RISOTTO, 1)])).await })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for guest in guests {
        match guest.await? {
            Ok(placed) => drop(ids.insert(placed.order.id)),
            Err(refused) => {
                let sold_out = Refusal::OutOfStock { line: 0, name: "Truffle Risotto".into() };
                assert_eq!(refused, PlaceError::Refused(sold_out));
            }
        }
    }
    assert_eq!(ids.len(), 20);
    let audit = bistro.audit().await?;
    assert_eq!((audit.orders, audit.ledger_sum, audit.stock_min), (20, Money::ZERO, 0));
    assert_eq!(audit.wrong, Vec::<String>::new());
    let ledger = bistro.ledger(&span(false), &ALL.cut).await?;
    assert_eq!((ledger.count, ledger.entries.items.len(), ledger.sum), (40, 40, Money::ZERO));
    let item = bistro.menu_item(&span(false), TRUFFLE_RISOTTO).await?;
    assert!(item.is_some_and(|item| !item.available));
    Ok(())
}

#[tokio::test]
async fn a_refused_order_leaves_nothing_behind_not_even_its_guest() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let refused = bistro.place_order(&span(false), order(&[(HOUSE_SALAD, 1), (99, 1)])).await;
    assert_eq!(refused, Err(PlaceError::Refused(Refusal::UnknownDish { line: 1, id: 99 })));
    let refused = bistro.place_order(&span(false), order(&[(TRUFFLE_RISOTTO, 12), (TRUFFLE_RISOTTO, 9)])).await;
    let sold_out = Refusal::OutOfStock { line: 1, name: "Truffle Risotto".into() };
    assert_eq!(refused, Err(PlaceError::Refused(sold_out)));
    assert_eq!(bistro.audit().await?.orders, 0);
    assert_eq!(bistro.figures().commits, 0);
    bistro.close().await?;
    let people = rusqlite::Connection::open(house.path())?.query_row(
        "SELECT count(*) FROM person WHERE role = 'guest'",
        [],
        |row| row.get::<_, i64>(0),
    )?;
    assert_eq!(people, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_is_one_order_however_often_and_at_once_it_comes() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let guest = bistro.place_order(&span(false), order(&[(HOUSE_SALAD, 1)])).await?.order.owner;
    let same: Vec<_> = (0..10)
        .map(|_| {
            let bistro = bistro.clone();
            tokio::spawn(async move { bistro.place_order(&span(false), with_key(guest, &[(1, 2)], 1)).await })
        })
        .collect();
    let mut replayed = 0;
    let mut ids = BTreeSet::new();
    for placed in same {
        let placed = placed.await??;
        replayed += i32::from(placed.replayed);
        ids.insert(placed.order.id);
    }
    assert_eq!((ids.len(), replayed), (1, 9));
    let other = bistro.place_order(&span(false), with_key(guest, &[(2, 1)], 2)).await;
    assert_eq!(other, Err(PlaceError::IdempotencyConflict));
    let waiter = bistro.staff().await?[0].person;
    assert!(!bistro.place_order(&span(false), with_key(waiter, &[(2, 1)], 2)).await?.replayed, "another's key");
    house.pass(Duration::from_secs(24 * 60 * 60));
    assert!(!bistro.place_order(&span(false), with_key(guest, &[(2, 1)], 2)).await?.replayed, "a day later");
    assert_eq!(bistro.audit().await?.orders, 4);
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
async fn a_session_ends_when_idle_when_old_and_when_told() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let waiter = bistro.staff().await?[0].person;
    let secret = bistro.create_session(&span(false), waiter).await?;
    let found = bistro.session(&span(false), &secret).await?.ok_or("a new session is live")?;
    assert_eq!((found.person, found.role, found.name.as_deref()), (waiter, Role::Waiter, Some("waiter")));
    // Used again and again it outlives the idle time, but not the absolute one.
    let step = IDLE_MAX / 2;
    let mut lived = Duration::ZERO;
    while lived + step < ABSOLUTE_MAX {
        house.pass(step);
        lived += step;
        assert!(bistro.session(&span(false), &secret).await?.is_some(), "after {lived:?}");
        // What was noted in passing is committed before this returns: the writer has one queue.
        bistro.set_staff_password("nobody", "").await?;
    }
    house.pass(step);
    assert_eq!(bistro.session(&span(false), &secret).await?, None);

    let idle = bistro.create_session(&span(false), waiter).await?;
    house.pass(IDLE_MAX);
    assert_eq!(bistro.session(&span(false), &idle).await?, None);

    let told = bistro.create_session(&span(false), waiter).await?;
    bistro.delete_session(&span(false), &told).await?;
    assert_eq!(bistro.session(&span(false), &told).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_person_has_five_sessions_at_most_and_minted_ones_push_none_out() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let waiter = bistro.staff().await?[0].person;
    let mut secrets = Vec::new();
    for _ in 0..=PER_PERSON_MAX {
        house.pass(Duration::from_secs(1));
        secrets.push(bistro.create_session(&span(false), waiter).await?);
    }
    let minted = bistro.mint_session(Role::Waiter).await?;
    assert!(bistro.session(&span(false), &secrets[0]).await?.is_none(), "the oldest went");
    for secret in &secrets[1..] {
        assert!(bistro.session(&span(false), secret).await?.is_some());
    }
    assert_eq!(bistro.session(&span(false), &minted).await?.map(|session| session.role), Some(Role::Waiter));
    house.pass(MINTED_MAX);
    assert_eq!(bistro.session(&span(false), &minted).await?, None);
    assert!(bistro.mint_session(Role::Owner).await.is_err());
    let guest = bistro.mint_session(Role::Guest).await?;
    assert_eq!(bistro.session(&span(false), &guest).await?.map(|session| session.role), Some(Role::Guest));
    Ok(())
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_before() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let waiter = bistro.staff().await?[0].person;
    let secret = bistro.create_session(&span(false), waiter).await?;
    assert!(bistro.set_staff_password("waiter", "$argon2id$…").await?);
    assert!(!bistro.set_staff_password("nobody", "$argon2id$…").await?);
    assert_eq!(bistro.session(&span(false), &secret).await?, None);
    assert!(bistro.staff().await?[0].has_password);
    Ok(())
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index_and_says_so() -> Outcome {
    let house = House::new()?;
    let bistro = house.open()?;
    let span = span(true);
    let placed = bistro.place_order(&span, order(&[(HOUSE_SALAD, 1)])).await?;
    let owner = placed.order.owner;
    bistro.place_order(&span, with_key(owner, &[(1, 1)], 1)).await?;
    bistro.place_order(&span, with_key(owner, &[(1, 1)], 1)).await?;
    bistro.order(&span, &placed.order.id).await?;
    bistro.ledger(&span, &ALL.cut).await?;
    bistro.menu_item(&span, 1).await?;
    bistro.credentials(&span, "waiter").await?;
    let secret = bistro.create_session(&span, owner).await?;
    bistro.session(&span, &secret).await?;
    bistro.delete_session(&span, &secret).await?;
    let spans = span.trace().finish();
    let plans = texts(&spans, "db.query.plan");
    assert!(plans.len() > 30, "{plans:?}");
    for table in ["orders", "order_line", "ticket", "entry", "session", "person", "idempotency_key", "pantry_item"] {
        let scans: Vec<_> = plans.iter().filter(|plan| plan.starts_with(&format!("SCAN {table}"))).collect();
        assert!(scans.is_empty(), "{scans:?}");
    }
    assert!(texts(&spans, "db.query.text").iter().any(|sql| sql.contains("INSERT INTO orders")));
    Ok(())
}

#[tokio::test]
async fn set_up_happens_once_with_a_live_token() -> Outcome {
    let house = House::new()?;
    let control = house.control()?;
    let owner = |name: &str| Owner { name: name.into(), password_phc: "$argon2id$…".into() };
    let first = control.create_setup_token().await?;
    let token = control.create_setup_token().await?;
    assert!(!control.is_setup_token_live(&first).await?, "a newer link replaces the older");
    assert_eq!(control.claim(&first, owner("thief")).await, Err(ClaimError::BadToken));
    house.pass(SETUP_TOKEN_LIFETIME);
    assert_eq!(control.claim(&token, owner("late")).await, Err(ClaimError::BadToken));

    let token = control.create_setup_token().await?;
    let (one, two) = tokio::join!(control.claim(&token, owner("one")), control.claim(&token, owner("two")));
    let session = one.or(two.clone())?;
    assert!(two.is_err(), "one token, one owner");
    assert!(control.session(&session).await?.is_some());
    assert!(!control.create_owner(owner("third")).await?);
    let token = control.create_setup_token().await?;
    assert_eq!(control.claim(&token, owner("third")).await, Err(ClaimError::OwnerExists));

    let rotated = control.create_session(Some(&session)).await?;
    assert_eq!(control.session(&session).await?, None, "signing in leaves the old session behind");
    control.reset_owner(owner("new")).await?;
    assert_eq!(control.session(&rotated).await?, None);
    control.close().await?;
    assert_eq!(house.control()?.owner().await?.map(|owner| owner.name), Some("new".to_owned()));
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
