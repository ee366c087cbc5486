//! Asking the upstream, and what becomes of its answer.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue, VIA};
use hyper::http::{request, response};
use hyper::{HeaderMap, Method, StatusCode, Version};

use super::answer::{Body, Found, Get, Refused};
use super::freshness::Moment;
use super::growing::Growing;
use super::object::{Asked, Head, Stored, freshened};
use super::rule::CacheRule;
use super::status::{CacheStatus, Forwarded, Why};
use super::store::{Arriving, Ticket};
use super::validate;
use crate::balancer::answer::{Answer, AnswerBody};
use crate::balancer::failure::Failure;
use crate::balancer::upload::Upload;
use crate::balancer::{Balancer, Caller};
use crate::edge::headers;
use crate::edge::origin::Via;
use crate::edge::record::By;
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::recorder::Recorder;
use crate::observe::span::{Direction, Span};
use crate::settings::http::cache::CacheSettings;

/// Where answers come from that are not stored.
#[derive(Debug)]
pub struct Source<'a> {
    pub balancer: &'a Balancer,
    pub caller: &'a Caller,
    pub rule: &'a CacheRule,
    /// Our name, in `Via` and `Cache-Status`.
    pub via: &'a Via,
    /// Whether the client came by TLS: a part of the address.
    pub secure: bool,
    /// Set on what is sent, and unknown to the store: they are the route's, and not what the client asked.
    pub request_headers: &'a [(HeaderName, HeaderValue)],
    /// The store's, from before the route was looked up.
    pub generation: u64,
    /// For what is fetched without a client.
    pub recorder: &'a Recorder,
}

impl Source<'_> {
    /// An upstream's answer as the client may have it: only Via is added.
    pub async fn fetch(&self, head: &request::Parts, upload: Upload, parent: &Span) -> Result<Answer, Failure> {
        let mut answer = match self.request_headers {
            [] => self.balancer.forward(head, upload, self.caller, parent).await?,
            fields => {
                let mut head = head.clone();
                headers::set_all(&mut head.headers, fields);
                self.balancer.forward(&head, upload, self.caller, parent).await?
            }
        };
        let passing = parent.child_at(Hop::Balancer, "Pass the answer on", answer.head_at);
        passing.direction(Direction::Back);
        let protocols = headers::upgrade(&answer.head.headers).filter(|_| answer.switched.is_some());
        headers::strip_hop_by_hop(&mut answer.head.headers);
        if let Some(protocols) = protocols {
            headers::set_upgrade(&mut answer.head.headers, protocols);
        }
        answer.head.headers.append(VIA, self.via.received(answer.head.version));
        answer.head.version = Version::HTTP_11;
        Ok(answer)
    }
}

impl Found {
    /// An upstream's answer that is not stored. No reason: there is no cache.
    pub(super) fn passed(answer: Answer, why: Option<Why>, via: &Via) -> Self {
        let by = By::of(&answer);
        let Answer { mut head, body, stick_to, switched, .. } = answer;
        let cached = why.map(|why| CacheStatus::Forwarded(Forwarded::because(why)));
        if let Some(status) = cached {
            status.append(&mut head.headers, &via.name);
        }
        Self { head, body: Body::Upstream(body), by, stick_to, switched, kept: None, cached }
    }
}

impl Get<'_> {
    /// Asks the upstream: whether `stale` has changed if that can be asked, or else for all.
    pub(super) async fn fetch(&self, ticket: Ticket, stale: Option<Stored>, why: Why) -> Result<Found, Refused> {
        let can_ask = self.head.method == Method::GET && !self.is_partial();
        let asked_about = stale.clone().filter(|stale| can_ask && validate::has_validator(&stale.head.headers));
        let at = Tick::now();
        let mut answered = match &asked_about {
            Some(stale) => self.ask(|headers| validate::ask_for_change(headers, &stale.head.headers)).await,
            None => self.source.fetch(&self.head, Upload::Empty, self.root).await,
        };
        if let (Ok(answer), Some(stale)) = (&answered, &asked_about)
            && answer.head.status == StatusCode::NOT_MODIFIED
            && !validate::is_about(&answer.head.headers, &stale.head.headers)
        {
            // Not modified since a version that nobody has here.
            answered = self.ask(validate::ask_for_all).await;
        }
        if let Some(found) = stale.as_ref().and_then(|stale| self.instead_of_error(stale, &answered)) {
            return Ok(found);
        }
        let answer = answered?;
        match (asked_about, stale) {
            (Some(stale), _) if answer.head.status == StatusCode::NOT_MODIFIED => {
                Ok(self.validated(ticket, &stale, answer, at))
            }
            (_, Some(stale)) if self.head.method == Method::HEAD => Ok(self.headed(ticket, &stale, answer, at)),
            (_, stale) => Ok(self.pass_on(ticket, stale.as_ref(), answer, why, at)),
        }
    }

    /// Asks with other conditions than the client's. In a box, for few requests do.
    async fn ask(&self, with: impl FnOnce(&mut HeaderMap)) -> Result<Answer, Failure> {
        let mut head = self.head.clone();
        with(&mut head.headers);
        Box::pin(self.source.fetch(&head, Upload::Empty, self.root)).await
    }

    fn asked(&self, at: Tick) -> Asked<'_> {
        Asked { method: &self.head.method, headers: &self.head.headers, control: &self.control, at }
    }

    fn keepable(&self, head: &response::Parts, at: Tick) -> Option<Head> {
        Head::of(&self.asked(at), head, self.source.rule.default_ttl, Moment::now())
    }

    /// The stale answer, where the upstream failed and that is allowed (RFC 5861, section 4).
    fn instead_of_error(&self, stale: &Stored, answered: &Result<Answer, Failure>) -> Option<Found> {
        let (status, by) = match answered {
            Ok(answer) if matches!(answer.head.status.as_u16(), 500 | 502..=504) => {
                (Some(answer.head.status.as_u16()), By::of(answer))
            }
            Ok(_) | Err(Failure::Upload) => return None,
            Err(_) => (None, By::Edge),
        };
        if !stale.head.freshness.serves_on_error(&self.control, self.settings.grace, Tick::now()) {
            return None;
        }
        self.cache.store.count_stale();
        let status = CacheStatus::Forwarded(Forwarded { status, ..Forwarded::because(Why::Stale) });
        Some(self.found(&stale.head, Body::Whole(stale.body.clone()), status, by))
    }

    /// A 304 to our question: what is stored is good again, with the fields that came.
    fn validated(&self, ticket: Ticket, stale: &Stored, answer: Answer, at: Tick) -> Found {
        let by = By::of(&answer);
        let mut head = answer.head;
        (head.status, head.headers) = (stale.head.status, freshened(&stale.head.headers, &head.headers));
        let forwarded = Forwarded { status: Some(304), ..Forwarded::because(Why::Stale) };
        let body = Body::Whole(stale.body.clone());
        match self.keepable(&head, at) {
            Some(kept) => {
                let stored = Stored { head: Arc::new(kept), ..stale.clone() };
                ticket.keep(stored.clone(), self.settings.bytes);
                let status = CacheStatus::Forwarded(Forwarded { stored: true, ..forwarded });
                self.found(&stored.head, body, status, by)
            }
            None => {
                self.give_up(ticket, Some(stale));
                self.present(head, body, CacheStatus::Forwarded(forwarded), by)
            }
        }
    }

    /// The answer to a HEAD tells about the GET's (RFC 9111, section 4.3.5): good again, or gone.
    fn headed(&self, ticket: Ticket, stale: &Stored, answer: Answer, at: Tick) -> Found {
        let mut forwarded = Forwarded::because(Why::Stale);
        if answer.head.status == StatusCode::OK && stale.head.status == StatusCode::OK {
            let as_get = Asked { method: &Method::GET, ..self.asked(at) };
            let mut head = answer.head.clone();
            head.headers = freshened(&stale.head.headers, &head.headers);
            let agrees = validate::head_agrees(&answer.head.headers, &stale.head.headers);
            let kept = Head::of(&as_get, &head, self.source.rule.default_ttl, Moment::now()).filter(|_| agrees);
            match kept {
                Some(kept) => {
                    ticket.keep(Stored { head: Arc::new(kept), ..stale.clone() }, self.settings.bytes);
                    forwarded.stored = true;
                }
                None => self.give_up(ticket, Some(stale)),
            }
        }
        let mut found = Found::passed(answer, None, self.source.via);
        CacheStatus::Forwarded(forwarded).append(&mut found.head.headers, &self.source.via.name);
        found
    }

    /// Another answer: kept on its way if it may be.
    fn pass_on(&self, ticket: Ticket, stale: Option<&Stored>, answer: Answer, why: Why, at: Tick) -> Found {
        let object_bytes = self.source.rule.max_object_bytes.unwrap_or(self.settings.object_bytes);
        let length = answer.body.size_hint().exact();
        let fits = length.is_none_or(|length| length <= object_bytes);
        let Some(kept) = self.keepable(&answer.head, at).filter(|_| fits) else {
            self.give_up(ticket, stale);
            return Found::passed(answer, Some(why), self.source.via);
        };
        let Some(promise) = ticket.promise(length.unwrap_or(object_bytes), self.settings.bytes) else {
            // No room just now says nothing about the answer: the next one may be kept.
            return Found::passed(answer, Some(why), self.source.via);
        };
        let by = By::of(&answer);
        let Answer { mut head, body, stick_to, .. } = answer;
        let status = CacheStatus::Forwarded(Forwarded { stored: true, ..Forwarded::because(why) });
        status.append(&mut head.headers, &self.source.via.name);
        let cached = Some(status);
        let kept = Arc::new(kept);
        if body.is_end_stream() {
            ticket.keep(Stored::new(kept, Bytes::new()), self.settings.bytes);
            return Found { head, body: Body::Whole(Bytes::new()), by, stick_to, switched: None, kept: None, cached };
        }
        let (growing, reader) = Growing::new(length, promise);
        if length.is_some() {
            // Of unknown length it may become too large for all but the first.
            ticket.announce(Arriving { head: Arc::clone(&kept), body: Arc::clone(&growing) });
        }
        tokio::spawn(fill(ticket, kept, growing, body, CacheSettings { object_bytes, ..self.settings }));
        Found { head, body: Body::Growing(reader), by, stick_to, switched: None, kept: None, cached }
    }

    /// Nothing of this answer is kept. What it says about others counts only if it was asked like theirs.
    fn give_up(&self, ticket: Ticket, stale: Option<&Stored>) {
        let ordinary = self.head.method == Method::GET
            && !self.control.no_store
            && !self.is_partial()
            && !validate::is_conditional(&self.head.headers)
            && !self.head.headers.contains_key(AUTHORIZATION);
        if ordinary || (stale.is_some() && self.head.method == Method::HEAD) {
            ticket.give_up(stale, Tick::now() + self.settings.hit_for_miss);
        }
    }
}

/// Pumps a body into the store and to those who read along. Ends with the last of them.
async fn fill(ticket: Ticket, head: Arc<Head>, growing: Arc<Growing>, mut body: AnswerBody, settings: CacheSettings) {
    let mut length = 0;
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = growing.unread() => return,
        };
        let last = match frame {
            Some(Ok(frame)) => {
                let Ok(chunk) = frame.into_data() else { continue };
                length += chunk.len() as u64;
                if length > settings.object_bytes {
                    ticket.give_up(None, Tick::now() + settings.hit_for_miss);
                    growing.push(chunk);
                    return growing.overflow(body);
                }
                if !body.is_end_stream() {
                    growing.push(chunk);
                    continue;
                }
                Some(chunk)
            }
            Some(Err(error)) => return growing.fail(&error),
            None => None,
        };
        // Stored before its reader sees the end: whoever asks after that finds it.
        let body = ticket.count(growing.whole(last.as_ref()));
        ticket.keep(Stored::new(head, body), settings.bytes);
        return growing.complete(last);
    }
}
