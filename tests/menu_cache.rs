//! What an instance remembers of the menu: right at every moment, bounded, and read once however many ask.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use roundtrip::domain::menu::MenuItem;
use roundtrip::domain::money::Money;
use roundtrip::domain::order::{LineRequest, OrderRequest};
use roundtrip::domain::pantry::{Delivered, PantryItemId};
use roundtrip::domain::session::Visitor;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::span::{Context, Span, Trace};
use roundtrip::policy::random;
use roundtrip::service::{Service, ServiceError};
use roundtrip::settings::runtime::Settings;
use roundtrip::store::bistro::{Bistro, Express, Options};
use roundtrip::store::cache::{Availability, Invalidation, Items, Key, MenuCache};
use roundtrip::store::hasher::{Cost, Hasher};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Truffle risotto: twenty portions, and nobody sells more.
const RISOTTO: i64 = 15;
/// Orange juice: three oranges.
const JUICE: i64 = 39;
const ORANGES: PantryItemId = 16;
const SOUP: i64 = 1;

/// A database and two instances.
struct House {
    folder: tempfile::TempDir,
    bistro: Bistro,
    settings: Settings,
    one: Service,
    other: Service,
}

impl House {
    fn open(changes: &[(&str, Value)]) -> House {
        let folder = tempfile::tempdir().expect("a folder");
        let bistro = Bistro::open(&folder.path().join("bistro.db"), Options::default()).expect("a database");
        let settings = Settings::default();
        settings.change(changes.iter().map(|(key, value)| (*key, value))).expect("the settings fit");
        let hasher = Hasher::start(Cost::LEAST).expect("a hasher");
        let instance = |seed| {
            let cache = MenuCache::new(&bistro.invalidation(), settings.clone(), seed);
            Service::new(bistro.clone(), hasher.clone(), cache, settings.clone())
        };
        let (one, other) = (instance(1), instance(2));
        House { folder, bistro, settings, one, other }
    }

    async fn order(&self, dish: i64, quantity: u32) -> Result<(), ServiceError> {
        let request = OrderRequest { table: 4, lines: vec![LineRequest { menu_item_id: dish, quantity }] };
        self.one.place_order(&span(), &Visitor::stranger(), request, None).await.map(drop)
    }

    /// So many oranges there are.
    fn oranges(&self, initial: i64) {
        let database = rusqlite::Connection::open(self.folder.path().join("bistro.db")).expect("the database");
        let sql = "UPDATE pantry_item SET initial = ?2 WHERE id = ?1";
        assert_eq!(database.execute(sql, [ORANGES, initial]).expect("an update"), 1);
    }

    /// The supplier brings oranges until there are `needed`.
    async fn oranges_come(&self, needed: i64) {
        let lease = Duration::from_secs(60);
        let express = self.bistro.claim_express(&span(), ORANGES, needed, lease).await.expect("an answer");
        if let Express::Claimed(claim) = express {
            let delivered = Delivered { delivery: "d".to_owned(), cost: Money::from_cents(1) };
            assert_eq!(self.bistro.deliver_purchase(&span(), &claim, delivered).await, Ok(true));
        }
    }

    /// Both instances have read all three.
    async fn warm(&self) {
        for instance in [&self.one, &self.other] {
            instance.menu(&span()).await.expect("the menu");
            for dish in [SOUP, RISOTTO] {
                instance.menu_item(&span(), dish).await.expect("a dish");
            }
        }
    }
}

fn span() -> Span {
    Trace::start(Context::new_root(), SpanId::random(), Hop::Api, "Test", Tick::now())
}

fn available(menu: &[MenuItem], dish: i64) -> bool {
    menu.iter().any(|item| item.id == dish && item.available)
}

#[tokio::test]
async fn what_was_read_once_is_read_from_memory_and_both_are_counted() {
    let house = House::open(&[]);
    for _ in 0..3 {
        house.one.menu_item(&span(), SOUP).await.expect("a dish");
    }
    let figures = house.one.cache_figures();
    assert_eq!((figures.misses, figures.hits, figures.entries), (1, 2, 1));
    assert!(figures.bytes > 0);
}

#[tokio::test]
async fn an_order_that_sells_a_dish_out_drops_that_dish_and_the_menu_at_every_instance_and_nothing_else() {
    let house = House::open(&[]);
    house.warm().await;
    house.order(RISOTTO, 20).await.expect("placed");
    for instance in [&house.one, &house.other] {
        let before = instance.cache_figures();
        assert_eq!((before.entries, before.invalidations, before.written), (1, 2, 0));
        assert!(!instance.menu_item(&span(), RISOTTO).await.expect("a dish").available);
        assert!(!available(&instance.menu(&span()).await.expect("the menu"), RISOTTO));
        instance.menu_item(&span(), SOUP).await.expect("a dish");
        let after = instance.cache_figures();
        assert_eq!((after.misses - before.misses, after.hits - before.hits), (2, 1), "the soup stayed");
    }
}

#[tokio::test]
async fn written_through_a_change_is_in_every_cache_before_the_order_is_answered_and_nobody_misses_it() {
    let house = House::open(&[("data.cache.mode", json!("write-through"))]);
    house.warm().await;
    house.order(RISOTTO, 20).await.expect("placed");
    for instance in [&house.one, &house.other] {
        let before = instance.cache_figures();
        assert_eq!((before.entries, before.invalidations, before.written), (3, 0, 2));
        assert!(!instance.menu_item(&span(), RISOTTO).await.expect("a dish").available);
        let menu = instance.menu(&span()).await.expect("the menu");
        assert_eq!(*menu, house.bistro.menu(&span()).await.expect("the menu"));
        assert_eq!(instance.cache_figures().misses, before.misses);
    }
}

#[tokio::test]
async fn an_order_that_leaves_enough_of_everything_touches_no_entry() {
    let house = House::open(&[]);
    house.warm().await;
    house.order(RISOTTO, 5).await.expect("placed");
    assert_eq!((house.other.cache_figures().entries, house.other.cache_figures().invalidations), (3, 0));
}

#[tokio::test]
async fn in_every_mode_the_caches_say_what_the_database_says_whatever_is_ordered_and_delivered() {
    for mode in ["aside", "write-through", "off"] {
        let house = House::open(&[("data.cache.mode", json!(mode))]);
        house.oranges(30);
        for step in 0..60_u64 {
            let draw = random::split_mix(step);
            // Refused when there is not enough: that is a step, too.
            match draw % 3 {
                0 => house.oranges_come(3 + (draw >> 8) as i64 % 20).await,
                _ => drop(house.order(JUICE, 1 + (draw >> 8) as u32 % 4).await),
            }
            let truth = house.bistro.menu(&span()).await.expect("the menu");
            for instance in [&house.one, &house.other] {
                assert_eq!(*instance.menu(&span()).await.expect("the menu"), truth, "{mode}, step {step}");
                let dish = instance.menu_item(&span(), JUICE).await.expect("a dish");
                assert_eq!(dish.available, available(&truth, JUICE), "{mode}, step {step}");
            }
        }
        let figures = house.one.cache_figures();
        let changed = figures.invalidations + figures.written;
        assert!((mode == "off") == (changed == 0), "{mode}: the walk sold it out and had it back: {figures:?}");
        assert_eq!(house.bistro.audit().await.map(|audit| audit.wrong), Ok(Vec::new()));
    }
}

#[tokio::test]
async fn switched_off_it_keeps_nothing_and_switched_on_again_it_says_nothing_old() {
    let house = House::open(&[]);
    house.warm().await;
    let set = |mode: &str| house.settings.change([("data.cache.mode", &json!(mode))]).expect("fits");
    set("off");
    let before = house.one.cache_figures();
    house.one.menu_item(&span(), SOUP).await.expect("a dish");
    assert_eq!((house.one.cache_figures().hits, house.one.cache_figures().misses), (before.hits, before.misses));
    house.order(RISOTTO, 20).await.expect("placed");
    set("aside");
    assert!(!house.one.menu_item(&span(), RISOTTO).await.expect("a dish").available);
}

#[tokio::test]
async fn that_there_is_no_such_dish_is_remembered_without_pushing_out_one_that_there_is() {
    let house = House::open(&[("data.cache.entries_max", json!(1))]);
    house.one.menu_item(&span(), SOUP).await.expect("a dish");
    for _ in 0..2 {
        for dish in 1_000..1_020 {
            let none = house.one.menu_item(&span(), dish).await;
            assert_eq!(none, Err(ServiceError::NotFound { what: "dish" }));
        }
    }
    house.one.menu_item(&span(), SOUP).await.expect("a dish");
    let figures = house.one.cache_figures();
    assert_eq!((figures.negative_hits, figures.misses, figures.hits, figures.entries), (20, 21, 1, 1));
    assert_eq!((figures.negative_entries, figures.evictions), (20, 0));
}

#[tokio::test]
async fn smaller_bounds_hold_from_the_next_look_on() {
    let house = House::open(&[]);
    for dish in 1..=40 {
        house.one.menu_item(&span(), dish).await.expect("a dish");
    }
    house.settings.change([("data.cache.entries_max", &json!(10))]).expect("fits");
    house.one.menu_item(&span(), 40).await.expect("a dish");
    let figures = house.one.cache_figures();
    assert_eq!((figures.entries, figures.evictions, figures.hits), (10, 30, 1));
    house.settings.change([("data.cache.bytes_max", &json!(1_024))]).expect("fits");
    house.one.menu_item(&span(), 40).await.expect("a dish");
    assert!(house.one.cache_figures().bytes <= 1_024);
}

fn cache() -> (MenuCache, Invalidation) {
    let invalidation = Invalidation::default();
    (MenuCache::new(&invalidation, Settings::default(), 1), invalidation)
}

fn nothing() -> Items {
    Items::default()
}

#[tokio::test]
async fn misses_that_come_together_read_the_database_once() {
    let (cache, _invalidation) = cache();
    let (reads, gate) = (Cell::new(0), Notify::new());
    let get = || async {
        let read = async || {
            reads.set(reads.get() + 1);
            gate.notified().await;
            Ok(Some(nothing()))
        };
        cache.get(&span(), Key::Menu, read).await
    };
    let open = async {
        while cache.figures().joined < 4 {
            tokio::task::yield_now().await;
        }
        gate.notify_one();
    };
    let (a, b, c, d, e, ()) = tokio::join!(get(), get(), get(), get(), get(), open);
    assert!([a, b, c, d, e].into_iter().all(|said| said == Ok(Some(nothing()))));
    assert_eq!((reads.get(), cache.figures().misses), (1, 5));
    assert_eq!(get().await, Ok(Some(nothing())), "from memory");
    assert_eq!(reads.get(), 1);
}

#[tokio::test]
async fn when_the_one_who_reads_for_all_is_gone_another_reads() {
    let (cache, _invalidation) = cache();
    let cache = Arc::new(cache);
    let shared = Arc::clone(&cache);
    let never = tokio::task::LocalSet::new();
    never
        .run_until(async move {
            let first = tokio::task::spawn_local(async move {
                shared.get(&span(), Key::Menu, async || std::future::pending().await).await
            });
            let second = async {
                while cache.figures().misses < 1 {
                    tokio::task::yield_now().await;
                }
                cache.get(&span(), Key::Menu, async || Ok(Some(nothing()))).await
            };
            let leaves = async {
                while cache.figures().joined < 1 {
                    tokio::task::yield_now().await;
                }
                first.abort();
            };
            let (second, ()) = tokio::join!(second, leaves);
            assert_eq!(second, Ok(Some(nothing())));
        })
        .await;
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_kept_after_it_and_nobody_who_comes_after_it_gets_it() {
    let (cache, invalidation) = cache();
    let gate = Notify::new();
    let old = cache_get(&cache, async || {
        gate.notified().await;
        Ok(Some(nothing()))
    });
    let change = async {
        while cache.figures().misses < 1 {
            tokio::task::yield_now().await;
        }
        invalidation.changed(&[Availability { dish: 1, available: false }]);
        // It comes after the change, while the read of before is still under way.
        let after = cache_get(&cache, async || Ok(None)).await;
        gate.notify_one();
        after
    };
    let (old, after) = tokio::join!(old, change);
    assert_eq!((old, after), (Ok(Some(nothing())), Ok(None)));
    let now = cache_get(&cache, async || Ok(Some(nothing()))).await;
    assert_eq!(now, Ok(None), "what was read after the change is kept");
}

async fn cache_get(
    cache: &MenuCache,
    read: impl AsyncFnOnce() -> Result<Option<Items>, roundtrip::store::StoreError>,
) -> Result<Option<Items>, roundtrip::store::StoreError> {
    cache.get(&span(), Key::Item(1), read).await
}
