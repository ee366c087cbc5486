//! One request's way through the cache.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body as _;
use hyper::header::{
    AGE, AUTHORIZATION, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, HeaderValue, LOCATION, RANGE, UPGRADE,
};
use hyper::http::{request, response};
use hyper::{HeaderMap, Method, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;

use super::control::Control;
use super::fetch::Source;
use super::growing::Reader;
use super::object::{Head, Stored};
use super::status::{CacheStatus, Forwarded, Why};
use super::store::{Arriving, Ask, Kept, Look};
use super::{SharedCache, key, validate};
use crate::balancer::answer::AnswerBody;
use crate::balancer::failure::Failure;
use crate::balancer::upgrade::Switched;
use crate::balancer::upload::Upload;
use crate::edge::record::By;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::part::{CACHE_BYPASSED, CACHE_HIT, CACHE_KEY, CACHE_WHERE};
use crate::observe::span::{Span, Status};
use crate::settings::http::cache::CacheSettings;
use crate::web::range::RangeAsk;

/// The name of the span of a look.
const LOOK: &str = "Look in the edge's cache";

/// An answer, from wherever.
#[derive(Debug)]
pub struct Found {
    pub head: response::Parts,
    pub body: Body,
    pub by: By,
    /// What this client's sticky cookie is to say from now on; never stored.
    pub stick_to: Option<String>,
    /// The upstream switched to another protocol, as the request asked.
    pub switched: Option<Switched>,
    /// Where it came from, when it was kept and is sent whole.
    pub kept: Option<Kept>,
    /// What the cache did; None: there is none here.
    pub cached: Option<CacheStatus>,
}

#[derive(Debug)]
pub enum Body {
    Whole(Bytes),
    /// On its way into the store.
    Growing(Reader),
    /// Not to be stored.
    Upstream(AnswerBody),
}

impl Body {
    /// As far as it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Whole(bytes) => Some(bytes.len() as u64),
            Body::Growing(reader) => reader.size_hint().exact(),
            Body::Upstream(stream) => stream.size_hint().exact(),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Refused {
    Failed(Failure),
    /// `only-if-cached`, and it is not.
    NotCached,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl SharedCache {
    /// Answers a request, its `head` made for the upstream, from the store or from `source`. Dropping the
    /// future ends the work upstream, unless others wait for it.
    pub async fn answer(
        &self,
        source: &Source<'_>,
        head: request::Parts,
        upload: Upload,
        root: &Span,
    ) -> Result<Found, Refused> {
        let settings = self.settings.snapshot().http.cache;
        if !settings.enabled || !source.rule.enabled {
            return Ok(Found::passed(source.fetch(&head, upload, root).await?, None, source.via));
        }
        let key = key::of_request(&head.headers, &head.uri, source.secure);
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let safe = head.method.is_safe();
            let found = Found::passed(source.fetch(&head, upload, root).await?, Some(Why::Method), source.via);
            if !safe && (found.head.status.is_success() || found.head.status.is_redirection()) {
                self.invalidate(&key, &found.head.headers);
            }
            return Ok(found);
        }
        if root.bypass_caches() {
            tell(root.child(Hop::Http, LOOK).status(Status::Skipped), &key, None);
        }
        let bodiless = matches!(upload, Upload::Empty) && !head.headers.contains_key(UPGRADE);
        if root.bypass_caches() || !bodiless || validate::is_for_the_origin(&head.headers) {
            return Ok(Found::passed(source.fetch(&head, upload, root).await?, Some(Why::Bypass), source.via));
        }
        let control = Control::of_request(&head.headers);
        Get { cache: self, settings, source, root, head, control, key }.answer().await
    }

    /// RFC 9111, section 4.4: after a change, what is stored of its address and of those that it names is
    /// no longer known to be true.
    fn invalidate(&self, key: &Arc<str>, response: &HeaderMap) {
        self.store.remove(key);
        for reference in [LOCATION, CONTENT_LOCATION].iter().filter_map(|name| response.get(name)?.to_str().ok()) {
            if let Some(other) = key::of_reference(key, reference) {
                self.store.remove(&other);
            }
        }
    }
}

/// A GET or HEAD that the store may answer.
pub(super) struct Get<'a> {
    pub cache: &'a SharedCache,
    pub settings: CacheSettings,
    pub source: &'a Source<'a>,
    pub root: &'a Span,
    pub head: request::Parts,
    pub control: Control,
    pub key: Arc<str>,
}

impl Get<'_> {
    async fn answer(&self) -> Result<Found, Refused> {
        let mut deadline = None;
        let mut patient = true;
        // Why it has waited.
        let mut waited = None;
        loop {
            let looked = self.look(patient);
            if self.control.only_if_cached && matches!(looked, Look::Join(..) | Look::Fetch { .. }) {
                return Err(Refused::NotCached);
            }
            match looked {
                Look::Fresh(stored) => return Ok(self.hit(stored, waited)),
                Look::WhileRevalidating(stored, ticket) => {
                    if let Some(ticket) = ticket {
                        self.refresh(stored.clone(), ticket);
                    }
                    return Ok(self.hit(stored, None));
                }
                Look::Join(arriving, why) => {
                    waited = Some(why);
                    let wait = self.settings.wait;
                    let deadline = *deadline.get_or_insert_with(|| Instant::now() + wait);
                    match Box::pin(self.wait(arriving, deadline)).await {
                        Waited::Arriving(arriving) => match self.read_along(&arriving, why) {
                            Some(found) => return Ok(found),
                            None => patient = false,
                        },
                        Waited::Over => {}
                        Waited::TooLong => {
                            patient = false;
                            // A long poll: whoever comes after need not wait as well.
                            self.cache.store.nobody_waits(&self.key, Tick::now() + self.settings.hit_for_miss);
                        }
                    }
                }
                Look::Fetch { ticket, stale, why } => return self.fetch(ticket, stale, why).await,
            }
        }
    }

    fn look(&self, patient: bool) -> Look {
        let looking = self.root.child(Hop::Http, LOOK);
        let headers = &self.head.headers;
        // A person's own answer is rarely another's, and a part never is.
        let may_join = patient
            && !self.control.no_cache
            && !self.control.no_store
            && !self.control.only_if_cached
            && !headers.contains_key(AUTHORIZATION)
            && !self.is_partial();
        let may_lead = may_join && self.head.method == Method::GET && !validate::is_conditional(headers);
        let (now, generation) = (Tick::now(), self.source.generation);
        let ask = Ask { key: &self.key, headers, control: &self.control, now, generation, may_join, may_lead };
        let looked = self.cache.store.look(&ask);
        tell(&looking, &self.key, Some((&looked, now)));
        looked
    }

    pub fn is_partial(&self) -> bool {
        self.head.headers.contains_key(RANGE)
    }

    async fn wait(&self, mut arriving: watch::Receiver<Option<Arriving>>, deadline: Instant) -> Waited {
        let _waiting = self.root.child(Hop::Http, "Wait for another request's answer");
        match tokio::time::timeout_at(deadline, arriving.wait_for(Option::is_some)).await {
            Ok(Ok(arriving)) => arriving.clone().map_or(Waited::Over, Waited::Arriving),
            Ok(Err(_)) => Waited::Over,
            Err(_) => Waited::TooLong,
        }
    }

    /// Another's answer while it comes, if it suits this request, too.
    fn read_along(&self, arriving: &Arriving, why: Why) -> Option<Found> {
        let Arriving { head, body } = arriving;
        let suits = head.selection.matches(&self.head.headers) && head.freshness.suits(&self.control, Tick::now());
        let reader = if suits { body.reader()? } else { return None };
        let status = Forwarded { collapsed: true, ..Forwarded::because(why) };
        Some(self.found(head, Body::Growing(reader), CacheStatus::Forwarded(status), By::Edge))
    }

    fn hit(&self, stored: Stored, waited: Option<Why>) -> Found {
        let status = match waited {
            Some(why) => CacheStatus::Forwarded(Forwarded { collapsed: true, ..Forwarded::because(why) }),
            None => CacheStatus::Hit { ttl: stored.head.freshness.ttl(Tick::now()) },
        };
        let found = self.found(&stored.head, Body::Whole(stored.body.clone()), status, By::Edge);
        let whole = matches!(&found.body, Body::Whole(body) if body.len() == stored.body.len());
        let kept = whole.then(|| Kept { key: Arc::clone(&self.key), stored });
        Found { kept, ..found }
    }

    /// An answer made of what is kept.
    pub fn found(&self, kept: &Head, body: Body, status: CacheStatus, by: By) -> Found {
        let (mut head, ()) = Response::new(()).into_parts();
        (head.status, head.headers) = (kept.status, kept.headers.clone());
        head.headers.insert(AGE, HeaderValue::from(kept.freshness.age(Tick::now()).as_secs()));
        self.present(head, body, status, by)
    }

    /// As the request wants it: the whole, a part, or the word that the client's own copy will do.
    pub fn present(&self, mut head: response::Parts, body: Body, cache_status: CacheStatus, by: By) -> Found {
        let mut body = body;
        let asked = &self.head.headers;
        let whole = head.status == StatusCode::OK;
        if whole && validate::is_conditional(asked) && validate::not_modified(asked, &head.headers) {
            head.status = StatusCode::NOT_MODIFIED;
            validate::strip_body_fields(&mut head.headers);
            body = Body::Whole(Bytes::new());
        } else if let Body::Whole(bytes) = &mut body {
            if whole && self.is_partial() && self.head.method == Method::GET {
                cut(&mut head, asked, bytes);
            } else if self.head.method == Method::HEAD && !head.headers.contains_key(CONTENT_LENGTH) {
                head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            }
        }
        if self.head.method == Method::HEAD {
            body = Body::Whole(Bytes::new());
        }
        cache_status.append(&mut head.headers, &self.source.via.name);
        Found { head, body, by, stick_to: None, switched: None, kept: None, cached: Some(cache_status) }
    }
}

enum Waited {
    Arriving(Arriving),
    /// Done, one way or another: look again.
    Over,
    TooLong,
}

/// Makes a whole answer the part that was asked for.
fn cut(head: &mut response::Parts, asked: &HeaderMap, whole: &mut Bytes) {
    let length = whole.len();
    let range = match validate::part(asked, &head.headers, length) {
        RangeAsk::Whole => return,
        RangeAsk::Part(part) => {
            *whole = whole.slice(part.clone());
            head.status = StatusCode::PARTIAL_CONTENT;
            format!("bytes {}-{}/{length}", part.start, part.end - 1)
        }
        RangeAsk::Beyond => {
            *whole = Bytes::new();
            head.status = StatusCode::RANGE_NOT_SATISFIABLE;
            format!("bytes */{length}")
        }
    };
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    if let Ok(range) = HeaderValue::try_from(range) {
        head.headers.insert(CONTENT_RANGE, range);
    }
}

/// Puts what a look found on its span. None: it was told not to look.
fn tell(span: &Span, key: &str, looked: Option<(&Look, Tick)>) {
    let stored = match looked {
        Some((Look::Fresh(stored) | Look::WhileRevalidating(stored, _), now)) => Some((stored, now)),
        _ => None,
    };
    span.attribute(CACHE_KEY, || key)
        .attribute(CACHE_WHERE, || "edge")
        .attribute(CACHE_HIT, || stored.is_some())
        .attribute(CACHE_BYPASSED, || looked.is_none())
        .attribute("roundtrip.cache.state", || match looked {
            None => "bypassed",
            Some((Look::Fresh(_), _)) => "fresh",
            Some((Look::WhileRevalidating(..), _)) => "stale",
            Some((Look::Join(..), _)) => "under way",
            Some((Look::Fetch { why, .. }, _)) => why.id(),
        });
    if let Some((stored, now)) = stored {
        let freshness = &stored.head.freshness;
        span.attribute("roundtrip.cache.ttl_s", || freshness.ttl(now))
            .attribute("roundtrip.cache.age_s", || freshness.age(now).as_secs());
    }
}
