//! Where a client stands with its limits, as it is told (draft-ietf-httpapi-ratelimit-headers-10).

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::observe::hop::Hop;
use crate::observe::span::Span;
use crate::policy::token_bucket::{Outcome, Quota};
use crate::web::problem::Problem;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// One limit, and what is left of it.
#[derive(Debug)]
pub struct Count {
    pub name: &'static str,
    pub quota: Quota,
    pub outcome: Outcome,
}

/// The limits that held for a request; none is a standing, too.
#[derive(Debug, Default)]
pub struct Standing(Vec<Count>);

/// The request was one too many.
#[derive(Debug)]
pub struct TooMany {
    pub problem: Box<Problem>,
    pub standing: Standing,
}

impl Standing {
    pub fn of(counts: Vec<Count>) -> Self {
        Self(counts)
    }

    pub fn admitted(self) -> Result<Self, TooMany> {
        match self.0.iter().find(|count| !count.outcome.admitted) {
            None => Ok(self),
            Some(count) => Err(TooMany { problem: Box::new(count.problem()), standing: self }),
        }
    }

    /// The limit that will be reached first.
    fn tightest(&self) -> Option<&Count> {
        self.0.iter().min_by_key(|count| (count.outcome.admitted, count.outcome.left))
    }

    pub fn show(&self, span: &Span) {
        if let Some(count) = self.tightest() {
            span.attribute("roundtrip.http.limit.key", || count.name)
                .attribute("roundtrip.http.limit.left", || count.outcome.left)
                .attribute("roundtrip.http.limit.burst", || count.quota.burst)
                .attribute("roundtrip.http.limit.tokens", || count.quota.tokens)
                .attribute("roundtrip.http.limit.window", || count.quota.window.as_secs_f64());
        }
    }

    /// Tells the client, unless the upstream has told it of limits of its own.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let Some(tightest) = self.tightest() else { return };
        if headers.contains_key(&RATELIMIT) || headers.contains_key(&RATELIMIT_POLICY) {
            return;
        }
        let policies: Vec<String> = self.0.iter().map(Count::policy).collect();
        let Outcome { left, full_in, .. } = tightest.outcome;
        let now = format!("\"{}\";r={left};t={}", tightest.name, seconds(full_in));
        for (name, value) in [(RATELIMIT_POLICY, policies.join(", ")), (RATELIMIT, now)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }
}

impl Count {
    /// A bucket as a quota of a window: all of it, in the time in which it fills.
    fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.quota.burst, seconds(self.quota.refill()).max(1))
    }

    fn problem(&self) -> Problem {
        let Quota { tokens, window, burst } = self.quota;
        let whose = match self.name {
            "session" => "this session's requests",
            "token" => "this token's requests",
            "route" => "everybody's requests to this route together",
            "sign-in" => "sign-ins from this address",
            _ => "requests from this address",
        };
        let wait = seconds(self.outcome.next_in).max(1);
        let detail = format!(
            "The limit for {whose} is {burst} at once and {tokens} in {} s. Come back in {wait} s.",
            window.as_secs_f64()
        );
        Problem::new(Hop::Http, 429, "too-many-requests", "Too many requests", detail).retry_after(wait)
    }
}

/// Rounded up: whoever comes back then is not too early.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
