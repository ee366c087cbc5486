//! A limit that nobody can live with.

use std::time::{Duration, Instant};

use super::standing::{Standing, TooMany};
use super::table::Key;
use super::{Asker, Limiter};
use crate::faults::{self, Place, Strike};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};
use crate::policy::token_bucket::{Quota, client_network};
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;
use crate::web::cookie;

const QUOTA: Quota = Quota { tokens: 1, window: Duration::from_secs(60), burst: 1 };

/// The fault, and since when it has been on.
#[derive(Debug, Clone, Copy)]
pub struct Tiny {
    strike: Strike,
    since: Tick,
}

/// Whether requests for `path` are limited beyond reason.
pub fn tiny(settings: &Settings, path: &str) -> Option<Tiny> {
    let strike = faults::is_on(settings, Fault::ApiTinyRateLimit, Place::path(path))?;
    let since = settings.snapshot().faults.get(Fault::ApiTinyRateLimit)?.since;
    Some(Tiny { strike, since })
}

impl Limiter {
    /// One a minute for each session, or for each address without one. Each time that it is switched on everybody
    /// begins with a full bucket.
    pub fn count_tiny(&self, asker: Asker<'_>, tiny: Tiny, root: &Span) -> Result<Standing, TooMany> {
        let span = root.child(Hop::Http, "Count against the limits");
        tiny.strike.mark(&span);
        let network = client_network(asker.address).to_string();
        let (name, value) = asker.session(cookie::BISTRO).map_or(("address", network.as_str()), |own| ("session", own));
        let since = tiny.since.as_nanos().to_le_bytes();
        let key = Key::of(&[name.as_bytes(), &since, value.as_bytes()]);
        let standing = Standing::of(vec![self.tiny.count(name, key, QUOTA, Instant::now())]);
        standing.show(&span);
        standing.admitted().inspect_err(|_| {
            span.status(Status::Error);
        })
    }
}
