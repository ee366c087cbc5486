//! What can be changed about the limits of the edge.

use std::time::Duration;

use crate::observe::hop::Hop;
use crate::policy::token_bucket::Quota;
use crate::settings::row::{Field, Row};
use crate::settings::runtime::Snapshot;

/// The limits of the house: for routes that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    pub enabled: bool,
    /// Whether they hold for requests from this machine, too.
    pub loopback: bool,
    pub session: Quota,
    pub address: Quota,
    /// Sign-ins from one address, this machine's included.
    pub sign_in: Quota,
}

impl Default for LimitSettings {
    /// A class of thirty may sit behind one address: it has room for thirty busy sessions, and for all of
    /// them to sign in at once and once more.
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            enabled: true,
            loopback: false,
            session: Quota { tokens: 50, window: second, burst: 100 },
            address: Quota { tokens: 1_000, window: second, burst: 2_000 },
            sign_in: Quota { tokens: 60, window: Duration::from_secs(60), burst: 60 },
        }
    }
}

const LESSONS: &[&str] = &["layer.api", "sec.network"];

/// Above what one machine can send: as good as no limit.
const MOST: u64 = 1_000_000;

pub static ROWS: &[Row] = &[
    Row {
        key: "http.limit.enabled",
        hop: Hop::Http,
        help: "Whether the edge counts the restaurant's requests and refuses too many with 429. The slowing-down \
               of password guesses for one name stays either way.",
        lessons: LESSONS,
        field: Field::Flag(|values| &mut values.http.limit.enabled),
    },
    Row {
        key: "http.limit.loopback",
        hop: Hop::Http,
        help: "Whether the session and address limits also hold for requests from this machine. Off, so that load \
               sent from here measures the server and not the limit. Sign-ins are always counted.",
        lessons: LESSONS,
        field: Field::Flag(|values| &mut values.http.limit.loopback),
    },
    Row {
        key: "http.limit.session.rate",
        hop: Hop::Http,
        help: "Requests a second that one session may send, once its burst is used up.",
        lessons: LESSONS,
        field: count(|values| &mut values.http.limit.session.tokens, "requests/s"),
    },
    Row {
        key: "http.limit.session.burst",
        hop: Hop::Http,
        help: "Requests that one session may send at once after a pause.",
        lessons: LESSONS,
        field: count(|values| &mut values.http.limit.session.burst, "requests"),
    },
    Row {
        key: "http.limit.address.rate",
        hop: Hop::Http,
        help: "Requests a second from one address (an IPv6 /64), once its burst is used up. A whole class may share \
               one address.",
        lessons: LESSONS,
        field: count(|values| &mut values.http.limit.address.tokens, "requests/s"),
    },
    Row {
        key: "http.limit.address.burst",
        hop: Hop::Http,
        help: "Requests that one address (an IPv6 /64) may send at once after a pause.",
        lessons: LESSONS,
        field: count(|values| &mut values.http.limit.address.burst, "requests"),
    },
    Row {
        key: "http.limit.sign_in.rate",
        hop: Hop::Http,
        help: "Sign-ins a minute from one address, once its burst is used up; also from this machine.",
        lessons: LESSONS,
        field: count(|values| &mut values.http.limit.sign_in.tokens, "sign-ins/min"),
    },
    Row {
        key: "http.limit.sign_in.burst",
        hop: Hop::Http,
        help: "Sign-ins that one address may try at once after a pause; also from this machine.",
        lessons: LESSONS,
        field: count(|values| &mut values.http.limit.sign_in.burst, "sign-ins"),
    },
];

const fn count(field: fn(&mut Snapshot) -> &mut u64, unit: &'static str) -> Field {
    Field::Count { field, min: 1, max: MOST, unit: Some(unit) }
}
