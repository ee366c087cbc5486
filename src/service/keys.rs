//! Idempotency keys: what counts as the same request.

use std::fmt::Write as _;

use super::ServiceError;
use crate::domain::order::{OrderId, OrderRequest};
use crate::domain::order_life::Deed;
use crate::store::bistro::Idempotency;
use crate::web::secret::sha256;

/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// To place an order or to begin a draft.
pub fn of_new(key: &str, request: &OrderRequest, draft: bool) -> Result<Idempotency, ServiceError> {
    let what = if draft { format!("draft; {}", words(request)) } else { words(request) };
    of("orders", key, &what)
}

/// Of one deed to one order: the same key for another order is another request.
pub fn of_change(key: &str, order: &OrderId, deed: &Deed) -> Result<Idempotency, ServiceError> {
    let mut what = format!("{} {}", deed.action().id(), order.as_str());
    if let Deed::Edit(request) = deed {
        let _ = write!(what, "; {}", words(request));
    }
    of("orders/{id}", key, &what)
}

/// To close a business day.
pub fn of_day(key: &str) -> Result<Idempotency, ServiceError> {
    of("ledger/days", key, "close")
}

fn of(route: &'static str, key: &str, what: &str) -> Result<Idempotency, ServiceError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        let detail = format!("From 1 to {KEY_BYTES_MAX} printable ASCII characters.");
        return Err(ServiceError::Invalid { pointer: "idempotency-key".to_owned(), detail });
    }
    Ok(Idempotency { route, key: key.to_owned(), fingerprint: sha256(what.as_bytes()) })
}

/// What is asked for, not how it was written: blanks and the order of fields in JSON don't matter.
fn words(request: &OrderRequest) -> String {
    request.lines.iter().fold(format!("table {}", request.table), |mut text, line| {
        let _ = write!(text, "; {} x {}", line.quantity, line.menu_item_id);
        text
    })
}
