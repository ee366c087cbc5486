//! The service hop: the restaurant's rules as a visitor meets them, over a real database.

use std::error::Error;
use std::time::Duration;

use roundtrip::domain::ledger::Account;
use roundtrip::domain::money::Money;
use roundtrip::domain::order::{Expected, LineRequest, OrderId, OrderRequest, OrderState};
use roundtrip::domain::order_life::Deed;
use roundtrip::domain::page::{Cut, OrderFilter, OrderListing, OrderSort, PAGE_MAX, Page};
use roundtrip::domain::permission::Role;
use roundtrip::domain::session::Visitor;
use roundtrip::observe::clock::Tick;
use roundtrip::observe::hop::Hop;
use roundtrip::observe::ids::SpanId;
use roundtrip::observe::span::{Context, Direction, Record, Span, Status, Trace};
use roundtrip::service::{Service, ServiceError};
use roundtrip::settings::runtime::Settings;
use roundtrip::store::bistro::{Bistro, Options};
use roundtrip::store::cache::MenuCache;
use roundtrip::store::hasher::{Cost, Hasher};

type Outcome = Result<(), Box<dyn Error>>;

const PASSWORD: &str = "plate knife fork spoon";
const ALL: OrderListing = OrderListing {
    filter: OrderFilter { state: None, table: None, placed_from: None, placed_to: None },
    sort: OrderSort::NewestFirst,
    cut: Cut { limit: PAGE_MAX, after: None },
};

/// One instance of the application over a database of its own.
struct House {
    _folder: tempfile::TempDir,
    bistro: Bistro,
    hasher: Hasher,
    service: Service,
}

impl House {
    fn open() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let bistro = Bistro::open(&folder.path().join("bistro.db"), Options::default())?;
        let hasher = Hasher::start(Cost::LEAST)?;
        let service = instance(&bistro, &hasher);
        Ok(Self { _folder: folder, bistro, hasher, service })
    }

    async fn staff(&self, role: Role) -> Result<Visitor, Box<dyn Error>> {
        let secret = self.bistro.mint_session(role).await?;
        Ok(self.service.visitor(&span(), Some(secret.expose())).await?)
    }

    async fn order(&self, visitor: &Visitor, request: OrderRequest) -> Result<(Visitor, OrderId), Box<dyn Error>> {
        let placed = self.service.place_order(&span(), visitor, request, None).await?;
        let secret = placed.new_session.ok_or("a stranger gets a session")?;
        let visitor = self.service.visitor(&span(), Some(secret.expose())).await?;
        Ok((visitor, placed.order.id))
    }
}

fn instance(bistro: &Bistro, hasher: &Hasher) -> Service {
    Service::new(
        bistro.clone(),
        hasher.clone(),
        MenuCache::new(&bistro.invalidation(), Settings::default(), 1),
        Settings::default(),
    )
}

fn span_with(detail: bool, bypass_caches: bool) -> Span {
    let context = Context { detail, bypass_caches, ..Context::new_root() };
    Trace::start(context, SpanId::random(), Hop::Api, "Test", Tick::now())
}

fn span() -> Span {
    span_with(false, false)
}

fn table(table: u16, lines: &[(i64, u32)]) -> OrderRequest {
    let lines = lines.iter().map(|&(menu_item_id, quantity)| LineRequest { menu_item_id, quantity }).collect();
    OrderRequest { table, lines }
}

fn attribute<'a>(spans: &'a [Record], name: &str, key: &str) -> Option<&'a serde_json::Value> {
    let span = spans.iter().find(|span| span.name == name)?;
    span.attributes.iter().find(|(known, _)| known == key).map(|(_, value)| value)
}

#[tokio::test]
async fn a_second_read_of_the_menu_comes_from_the_cache_unless_the_source_is_asked_for() -> Outcome {
    let house = House::open()?;
    let first = house.service.menu(&span()).await?;
    assert_eq!(first.len(), 40);
    let again = span_with(true, false);
    assert_eq!(house.service.menu(&again).await?, first);
    let spans = again.trace().finish();
    assert_eq!(attribute(&spans, "Look in the cache", "roundtrip.cache.hit"), Some(&true.into()));
    assert!(!spans.iter().any(|span| span.name == "Wait for a connection"));

    let bypass = span_with(true, true);
    house.service.menu(&bypass).await?;
    let spans = bypass.trace().finish();
    assert_eq!(attribute(&spans, "Look in the cache", "roundtrip.cache.bypassed"), Some(&true.into()));
    assert!(spans.iter().any(|span| span.name == "Look in the cache" && span.status == Status::Skipped));
    assert!(attribute(&spans, "Wait for a connection", "roundtrip.pool.size").is_some());
    assert!(spans.iter().any(|span| span.hop == Hop::Data && span.name == "Read the menu"));
    Ok(())
}

#[tokio::test]
async fn what_sells_out_is_sold_out_at_every_instance_at_once() -> Outcome {
    let house = House::open()?;
    let other = instance(&house.bistro, &house.hasher);
    assert!(other.menu_item(&span(), 15).await?.available);
    assert!(other.menu(&span()).await?.iter().all(|item| item.available));
    house.service.place_order(&span(), &Visitor::stranger(), table(1, &[(15, 20)]), None).await?;
    assert!(!other.menu_item(&span(), 15).await?.available);
    let menu = other.menu(&span()).await?;
    let sold_out: Vec<_> = menu.iter().filter(|item| !item.available).map(|item| item.id).collect();
    assert_eq!(sold_out, [15]);
    let refused = other.place_order(&span(), &Visitor::stranger(), table(1, &[(1, 1), (15, 1)]), None).await;
    assert_eq!(refused, Err(ServiceError::OutOfStock { line: 1, name: "Truffle Risotto".into() }));
    Ok(())
}

#[tokio::test]
async fn an_order_of_another_table_is_not_found_and_the_waiter_sees_it() -> Outcome {
    let house = House::open()?;
    let (mine, my_order) = house.order(&Visitor::stranger(), table(4, &[(12, 2), (31, 1)])).await?;
    let (yours, your_order) = house.order(&Visitor::stranger(), table(5, &[(1, 1)])).await?;
    assert_ne!(mine.person, yours.person);
    let not_found = Err(ServiceError::NotFound { what: "order" });
    assert_eq!(house.service.order(&span(), &mine, &your_order).await, not_found);
    assert_eq!(house.service.order(&span(), &mine, &OrderId::from_bits(1)).await, not_found);
    assert_eq!(house.service.order(&span(), &Visitor::stranger(), &my_order).await, not_found);
    assert_eq!(house.service.order(&span(), &mine, &my_order).await?.total, Money::from_cents(1950));
    assert_eq!(house.service.orders(&span(), &mine, &ALL).await?.items.len(), 1);
    assert_eq!(house.service.orders(&span(), &Visitor::stranger(), &ALL).await?, Page::EMPTY);

    let secret = house.bistro.mint_session(Role::Waiter).await?;
    let waiter = house.service.visitor(&span(), Some(secret.expose())).await?;
    assert_eq!(house.service.order(&span(), &waiter, &my_order).await?.id, my_order);
    let all: Vec<_> =
        house.service.orders(&span(), &waiter, &ALL).await?.items.into_iter().map(|order| order.id).collect();
    assert_eq!(all, [your_order, my_order], "newest first");
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_is_one_order_and_a_changed_one_is_a_conflict() -> Outcome {
    let house = House::open()?;
    let (guest, _) = house.order(&Visitor::stranger(), table(4, &[(1, 1)])).await?;
    let place = async |request| house.service.place_order(&span(), &guest, request, Some("breakfast")).await;
    let first = place(table(4, &[(36, 2)])).await?;
    let second = place(table(4, &[(36, 2)])).await?;
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.order, second.order);
    assert_eq!(place(table(4, &[(36, 3)])).await, Err(ServiceError::IdempotencyConflict));
    assert_eq!(house.bistro.counts().await?.orders, 2);
    Ok(())
}

#[tokio::test]
async fn what_no_restaurant_could_serve_is_refused_with_the_place_of_the_mistake() -> Outcome {
    let house = House::open()?;
    let crowd = vec![(1, 1); 41];
    let cases: [(OrderRequest, Option<&str>, &str); 7] = [
        (table(0, &[(1, 1)]), None, "/table"),
        (table(21, &[(1, 1)]), None, "/table"),
        (table(1, &[]), None, "/lines"),
        (table(1, &crowd), None, "/lines"),
        (table(1, &[(1, 1), (1, 0)]), None, "/lines/1/quantity"),
        (table(1, &[(1, 51)]), None, "/lines/0/quantity"),
        (table(1, &[(1, 1)]), Some(""), "idempotency-key"),
    ];
    for (request, key, expected) in cases {
        match house.service.place_order(&span(), &Visitor::stranger(), request, key).await {
            Err(ServiceError::Invalid { pointer, .. }) => assert_eq!(pointer, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let unknown = house.service.place_order(&span(), &Visitor::stranger(), table(1, &[(1, 1), (77, 1)]), None).await;
    assert_eq!(unknown, Err(ServiceError::UnknownDish { line: 1, id: 77 }));
    let dish = house.service.menu_item(&span(), 41).await;
    assert_eq!(dish, Err(ServiceError::NotFound { what: "dish" }));
    assert_eq!(house.bistro.counts().await?.orders, 0);
    Ok(())
}

#[tokio::test]
async fn a_sign_in_fails_alike_for_a_wrong_name_a_wrong_password_and_none_set() -> Outcome {
    let house = House::open()?;
    let phc = house.hasher.hash(PASSWORD).await?;
    assert!(house.bistro.set_staff_password("manager", &phc).await?);
    for (name, password) in [("nobody", PASSWORD), ("manager", "plate knife fork spork"), ("chef", PASSWORD)] {
        let failed = house.service.sign_in(&span(), name, password).await;
        assert_eq!(failed, Err(ServiceError::SignInFailed), "{name}");
    }
    // The failure of a moment ago is remembered, for that name alone.
    match house.service.sign_in(&span(), "manager", PASSWORD).await {
        Err(ServiceError::Throttled { retry_after }) => assert!(retry_after <= Duration::from_secs(1)),
        other => panic!("{other:?}"),
    }
    let phc = house.hasher.hash(PASSWORD).await?;
    assert!(house.bistro.set_staff_password("waiter", &phc).await?);
    let (visitor, secret) = house.service.sign_in(&span(), "waiter", PASSWORD).await?;
    assert_eq!((visitor.role, visitor.name.as_deref()), (Role::Waiter, Some("waiter")));
    assert_eq!(house.service.visitor(&span(), Some(secret.expose())).await?, visitor);
    house.service.sign_in(&span(), "waiter", PASSWORD).await?;
    house.service.sign_out(&span(), secret.expose()).await?;
    assert_eq!(house.service.visitor(&span(), Some(secret.expose())).await?, Visitor::stranger());
    Ok(())
}

#[tokio::test]
async fn a_made_up_session_is_a_stranger() -> Outcome {
    let house = House::open()?;
    for secret in [None, Some(""), Some("waiter"), Some(&*"0".repeat(64)), Some("' OR 1=1 --")] {
        assert_eq!(house.service.visitor(&span(), secret).await?, Visitor::stranger());
    }
    Ok(())
}

#[tokio::test]
async fn the_trace_of_an_order_tells_each_step_once_and_nests() -> Outcome {
    let house = House::open()?;
    let span = span_with(true, false);
    house.service.place_order(&span, &Visitor::stranger(), table(4, &[(12, 2), (31, 1)]), None).await?;
    let spans = span.trace().finish();
    for name in [
        "Place the order",
        "Wait for the writer",
        "BEGIN IMMEDIATE",
        "Price the dishes",
        "Check the stock through the recipes",
        "Take stock from the pantry",
        "Write the order",
        "Queue the ticket",
        "Book the ledger",
        "COMMIT to the WAL",
        "Wake the request",
    ] {
        assert_eq!(spans.iter().filter(|span| span.name == name).count(), 1, "{name}");
    }
    let fact = attribute(&spans, "Price the dishes", "roundtrip.service.fact");
    assert_eq!(fact, Some(&"2 x 7.50 + 4.50 = 19.50".into()));
    assert_eq!(attribute(&spans, "COMMIT to the WAL", "roundtrip.writer.batch"), Some(&1.into()));
    assert_eq!(attribute(&spans, "Write the order", "db.rows_changed"), Some(&4.into()));
    assert!(spans.iter().any(|span| span.name == "Wake the request" && span.direction == Direction::Back));

    for child in &spans {
        if let Some(parent) = spans.iter().find(|span| Some(span.id) == child.parent) {
            assert!(parent.start <= child.start && child.end <= parent.end, "{} leaves {}", child.name, parent.name);
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_manager_reads_a_ledger_that_sums_to_zero() -> Outcome {
    let house = House::open()?;
    house.service.place_order(&span(), &Visitor::stranger(), table(4, &[(12, 2), (31, 1)]), None).await?;
    let ledger = house.service.ledger(&span(), &ALL.cut).await?;
    assert_eq!((ledger.count, ledger.sum), (2, Money::ZERO));
    let moved: Vec<_> = ledger.balances.iter().filter(|(_, balance)| *balance != Money::ZERO).collect();
    assert_eq!(moved, [&(Account::Receivable, Money::from_cents(1950)), &(Account::Sales, Money::from_cents(-1950))]);
    Ok(())
}

#[tokio::test]
async fn the_leaves_of_an_order_s_trace_add_up_to_its_time() -> Outcome {
    let house = House::open()?;
    let mut best = 0.0_f64;
    // The best of ten: what the system takes away between two steps is none of the trace's gaps.
    for _ in 0..10 {
        let span = span();
        let begun = Tick::now();
        house.service.place_order(&span, &Visitor::stranger(), table(4, &[(12, 2), (31, 1)]), None).await?;
        let whole = Tick::now().since(begun);
        let spans = span.trace().finish();
        let leaves = spans.iter().filter(|span| !spans.iter().any(|other| other.parent == Some(span.id)));
        let sum: Duration = leaves.map(|leaf| leaf.end.since(leaf.start)).sum();
        assert!(sum <= whole, "leaves overlap: {sum:?} of {whole:?}");
        best = best.max(sum.as_secs_f64() / whole.as_secs_f64());
    }
    assert!(best >= 0.95, "leaves have gaps: {best}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guests_at_several_instances_leave_books_that_agree() -> Outcome {
    let house = House::open()?;
    let guests: Vec<_> = (0..60_i64)
        .map(|number| {
            let service = instance(&house.bistro, &house.hasher);
            tokio::spawn(async move {
                let request = table(1 + (number % 20) as u16, &[(1 + number % 14, 2), (16 + number % 25, 1)]);
                let placed = service.place_order(&span(), &Visitor::stranger(), request, None).await?;
                let secret = placed.new_session.as_ref().map(|secret| secret.expose());
                let guest = service.visitor(&span(), secret).await?;
                service.order(&span(), &guest, &placed.order.id).await
            })
        })
        .collect();
    for guest in guests {
        let order = guest.await??;
        assert_eq!(order.total, order.lines.iter().map(|line| line.line_total).sum());
    }
    let audit = house.bistro.audit().await?;
    assert_eq!((audit.orders, audit.ledger_sum, audit.wrong), (60, Money::ZERO, Vec::new()));
    assert_eq!(house.bistro.figures().jobs, 60);
    Ok(())
}

#[tokio::test]
async fn every_list_and_every_change_finds_its_rows_by_an_index() -> Outcome {
    let house = House::open()?;
    let waiter = house.staff(Role::Waiter).await?;
    let manager = house.staff(Role::Manager).await?;
    let (guest, _) = house.order(&Visitor::stranger(), table(4, &[(12, 2), (31, 1)])).await?;
    let plans = |span: &Span| -> Vec<String> {
        let spans = span.trace().finish();
        let attributes = spans.iter().flat_map(|span| &span.attributes);
        let plans = attributes.filter(|(key, _)| key == "db.query.plan").flat_map(|(_, plan)| plan.as_array().cloned());
        plans.flatten().filter_map(|line| line.as_str().map(str::to_owned)).collect()
    };
    let assert_no_scan = |plans: &[String], what: &str| {
        // `chosen` is the page itself, `json_each` the dishes of an order; accounts there are six, and all are wanted.
        let few = ["SCAN chosen", "SCAN CONSTANT ROW", "SCAN account", "SCAN open_day_line", "SCAN json_each"];
        let is_few = |line: &str| few.iter().any(|few| line.starts_with(few));
        let scans: Vec<_> = plans.iter().filter(|line| line.starts_with("SCAN") && !is_few(line)).collect();
        assert!(!plans.is_empty() && scans.is_empty(), "{what}: {plans:?}");
    };
    let (state, table_4) = (Some(OrderState::Placed), Some(4));
    for (visitor, state, table, index) in [
        (&waiter, None, None, "orders_by_time"),
        (&waiter, state, None, "orders_by_state"),
        (&waiter, None, table_4, "orders_by_table"),
        (&waiter, state, table_4, "orders_by_state"),
        (&guest, state, table_4, "orders_by_person"),
    ] {
        for sort in OrderSort::ALL {
            let (span, cut) = (span_with(true, false), Cut { limit: 2, after: None });
            let filter = OrderFilter { state, table, ..OrderFilter::default() };
            house.service.orders(&span, visitor, &OrderListing { filter, sort, cut }).await?;
            let plans = plans(&span);
            let what = format!("{:?} {filter:?} {sort:?}", visitor.role);
            assert_no_scan(&plans, &what);
            let by_total = sort.by_total() && index != "orders_by_person";
            let index = if by_total { "orders_by_total" } else { index };
            assert!(
                plans.iter().any(|line| line.contains(&format!("SEARCH orders USING INDEX {index} "))),
                "{what}: {plans:?}"
            );
        }
    }
    let span = span_with(true, false);
    let key = Some("key");
    let draft = house.service.draft_order(&span, &guest, table(4, &[(12, 1)]), key).await?.order.id;
    for deed in [Deed::Edit(table(5, &[(15, 2)])), Deed::Place, Deed::Cancel] {
        house.service.change_order(&span, &guest, draft.clone(), deed, Expected::Any, None).await?;
    }
    house.service.order_events(&span, &guest, &draft).await?;
    let closing = span_with(true, false);
    house.service.close_day(&closing, manager.person.ok_or("staff have a number")?, key).await?;
    let walks = |line: &String| line.starts_with("SEARCH entry USING") || line.contains("(day_id<?)");
    let closed = plans(&closing);
    assert!(!closed.iter().any(walks), "neither a day nor all days are added up: {closed:?}");
    assert_no_scan(&closed, "closing");
    house.service.days(&span, &ALL.cut).await?;
    house.service.ledger(&span, &ALL.cut).await?;
    let plans = plans(&span);
    // A few rows each, read whole on purpose: the accounts, and the days of a page.
    let long: Vec<_> =
        plans.into_iter().filter(|line| !["SCAN account", "SCAN business_day"].contains(&line.as_str())).collect();
    assert_no_scan(&long, "the rest");
    Ok(())
}
