//! What only the inside can see.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rusqlite::hooks::{AuthContext, Authorization};

use super::*;
use crate::domain::order::{LineRequest, OrderRequest};
use crate::domain::session::PersonId;

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
