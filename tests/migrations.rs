//! What becomes of a database that another version of the program has written.
#![cfg(unix)]

mod harness;

#[path = "cli/rig.rs"]
mod rig;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use roundtrip::domain::event::Event;
use roundtrip::domain::ledger::Account;
use roundtrip::domain::money::Money;
use roundtrip::domain::order::{LineRequest, OrderId, OrderRequest, OrderState, TicketState};
use roundtrip::domain::page::{Cut, PAGE_MAX};
use roundtrip::domain::session::PersonId;
use roundtrip::store::WallClock;
use roundtrip::store::bistro::{Bistro, Idempotency, NewOrder, Options};
use roundtrip::store::control::{self, Control};
use roundtrip::store::engine::{OpenError, unwatched};
use rusqlite::Connection;
use time::OffsetDateTime;

type Outcome = Result<(), Box<dyn Error>>;

/// "rtBI".
const APPLICATION: i32 = 0x7274_4249;

/// Makes a restaurant of schema 1 with three hundred orders.
fn schema_1(path: &Path) -> Result<Connection, rusqlite::Error> {
    let database = Connection::open(path)?;
    database.execute_batch(include_str!("../data/migrations/bistro/001_restaurant.sql"))?;
    database.execute_batch(include_str!("migrations/bistro_1.sql"))?;
    database.execute_batch(&format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 1;"))?;
    Ok(database)
}

fn number(database: &Connection, sql: &str) -> Result<i64, rusqlite::Error> {
    database.query_row(sql, [], |row| row.get(0))
}

/// A moment after the fixture's idempotency key.
fn options() -> Options {
    let now = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_800_000_060);
    Options { clock: WallClock::new(move || now), ..Options::default() }
}

#[tokio::test]
async fn a_restaurant_of_schema_1_keeps_all_it_has_and_its_books_agree() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bistro.db");
    schema_1(&path)?.close().map_err(|(_, error)| error)?;
    let bistro = Bistro::open(&path, options())?;
    let span = unwatched("test");
    let audit = bistro.audit().await?;
    assert_eq!((audit.orders, audit.wrong, audit.ledger_sum), (300, vec![], Money::ZERO));
    let id = |number: i64| OrderId::parse(&format!("ord_{number:026}")).ok_or("an id");
    let order = bistro.order(&span, &id(300)?).await?.ok_or("the last order")?;
    assert_eq!((order.state, order.version, order.table, order.owner), (OrderState::Placed, 1, 1, PersonId(3)));
    assert_eq!((order.total, order.lines.len()), (Money::from_cents(550 + 1950), 2));
    assert_eq!((order.placed_at, order.changed_at), (Some(order.created_at), order.created_at));
    assert_eq!(order.ticket.map(|ticket| (ticket.id, ticket.state)), Some((1_300, TicketState::Waiting)));
    let ledger = bistro.ledger(&span, &Cut { limit: PAGE_MAX, after: None }).await?;
    assert_eq!(ledger.count, 600);
    assert!(ledger.balances.contains(&(Account::Receivable, Money::from_cents(550 * 600 + 1950 * 10))));

    // A key of before still finds its order, and life goes on.
    let lines = vec![LineRequest { menu_item_id: 1, quantity: 2 }];
    let idempotency = Idempotency { route: "orders", key: "lunch".into(), fingerprint: [0; 32] };
    let again = NewOrder {
        person: Some(PersonId(10)),
        request: OrderRequest { table: 8, lines },
        idempotency: Some(idempotency),
    };
    let replayed = bistro.place_order(&span, again.clone()).await?;
    assert_eq!((replayed.replayed, replayed.order.id), (true, id(7)?));
    bistro.place_order(&span, NewOrder { idempotency: None, ..again }).await?;
    assert_eq!((bistro.audit().await?.orders, bistro.audit().await?.wrong), (301, vec![]));
    bistro.close().await?;

    let database = Connection::open(&path)?;
    assert_eq!(number(&database, "SELECT count(*) FROM pragma_foreign_key_check")?, 0);
    let backup = Connection::open(folder.path().join("bistro.db.v1.backup"))?;
    assert_eq!(number(&backup, "PRAGMA user_version")?, 1);
    assert_eq!(number(&backup, "SELECT count(*) FROM orders WHERE placed_at_ms > 0")?, 300);
    Ok(())
}

#[test]
fn a_migration_that_finds_a_row_without_its_parent_changes_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bistro.db");
    let database = schema_1(&path)?;
    database.execute_batch("PRAGMA foreign_keys = OFF; UPDATE ticket SET order_seq = 999 WHERE order_seq = 5;")?;
    let refused = Bistro::open(&path, options());
    assert!(matches!(refused, Err(OpenError::Damaged(..))), "{refused:?}");
    assert_eq!(number(&database, "PRAGMA user_version")?, 1);
    assert_eq!(number(&database, "SELECT count(*) FROM pragma_table_info('orders') WHERE name = 'version'")?, 0);
    Ok(())
}

#[test]
fn a_database_from_the_future_is_refused_in_one_line_and_left_as_it_is() -> Outcome {
    for name in ["bistro.db", "control.db"] {
        let place = rig::Place::new();
        place.serve(&[]).stop();
        let path = place.data().join(name);
        let database = Connection::open(&path)?;
        database.execute_batch("PRAGMA user_version = 99")?;
        database.close().map_err(|(_, error)| error)?;
        let before = std::fs::read(&path)?;
        place.run(&[&["serve"], &rig::PORTS[..]].concat()).refused("was written by a later Roundtrip (schema 99");
        assert_eq!(std::fs::read(&path)?, before);
    }
    Ok(())
}

#[tokio::test]
async fn a_consoles_database_of_schema_1_keeps_its_owner_and_can_write_changes_down() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("control.db");
    let database = Connection::open(&path)?;
    database.execute_batch(include_str!("../data/migrations/control/001_console.sql"))?;
    // "rtCO".
    database.execute_batch(
        "PRAGMA application_id = 1920222031; PRAGMA user_version = 1; \
         INSERT INTO owner VALUES (1, 'ada', '$argon2id$', 1700000000000);",
    )?;
    database.close().map_err(|(_, error)| error)?;
    let control = Control::open(&path, control::Options::default())?;
    assert_eq!(control.owner().await?.map(|owner| owner.name).as_deref(), Some("ada"));
    let event = Event { who: "ada".into(), kind: "setting", subject: "x".into(), before: None, after: None };
    control.record(vec![event]).await?;
    assert_eq!((control.events(None, 9).await?.len(), control.tokens().await?.len()), (1, 0));
    control.close().await?;
    Ok(())
}
