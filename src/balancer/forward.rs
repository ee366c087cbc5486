//! One request to one upstream after another, until one answers.
//!
//! What may be sent again is decided from what is known, never hoped: anything of which nothing was
//! written; and what does no harm twice (RFC 9110, section 9.2.2), when the connection broke before the first
//! byte of an answer or a gateway's error came back, as long as its body was kept whole. Each upstream is
//! asked at most once.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::RETRY_AFTER;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use super::answer::Answer;
use super::attempt::{Bounds, Lost};
use super::choice::{Choice, How, Nobody, Tried, eligible};
use super::failure::Failure;
use super::known::now;
use super::upload::{Replay, Upload};
use super::{Balancer, Caller};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::part::{CANDIDATES, FORWARD};
use crate::observe::span::{Span, Status};
use crate::policy::backoff;
use crate::settings::balancer::BalancerSettings;

/// Whoever asks for a longer pause before the next attempt gets no next attempt.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// One request under way through the balancer.
struct Run<'a> {
    balancer: &'a Balancer,
    head: &'a Parts,
    caller: &'a Caller,
    parent: &'a Span,
    rules: Arc<BalancerSettings>,
    /// Its body, where it may be sent twice.
    replay: Option<Replay>,
    tried: Tried,
    /// Time that counts against the deadline.
    spent: Duration,
    /// The last error that an upstream answered: better than any of our own.
    held: Option<Box<Answer>>,
    failure: Option<Failure>,
}

/// What an attempt left for the next one.
struct Next {
    upload: Upload,
    wait: Duration,
}

impl Balancer {
    /// Sends a request (target in origin-form, `Host` set, hop-by-hop fields gone) and returns as soon as
    /// an answer's head is there. Spans hang beneath `parent`. Dropping the future ends the work upstream.
    pub async fn forward(
        &self,
        head: &Parts,
        mut upload: Upload,
        caller: &Caller,
        parent: &Span,
    ) -> Result<Answer, Failure> {
        let rules = self.0.rules();
        self.0.deposit(&rules, now());
        let replay = is_repeatable(head, caller).then(|| upload.keep());
        let mut run = Run {
            balancer: self,
            head,
            caller,
            parent,
            rules,
            replay,
            tried: Tried::new(),
            spent: Duration::ZERO,
            held: None,
            failure: None,
        };
        loop {
            let choice = match run.place().await {
                Ok(choice) => choice,
                Err(failure) => return run.give_up(failure),
            };
            let Next { upload: next, wait } = match run.attempt(choice, upload).await {
                Attempted::Over(answer) => return Ok(*answer),
                Attempted::Lost(failure) => return run.give_up(failure),
                Attempted::Again(next) => next,
            };
            upload = next;
            if !wait.is_zero() {
                let pause = run.parent.child(Hop::Balancer, "Wait before another attempt");
                tokio::time::sleep(wait).await;
                run.spent += wait;
                pause.end();
            }
        }
    }
}

enum Attempted {
    Over(Box<Answer>),
    Lost(Failure),
    Again(Next),
}

impl Run<'_> {
    /// Chooses an upstream and takes a place there; waits for one in the queue if all are full. A second
    /// attempt does not wait: those whom it may ask are not those whom the others in line wait for.
    async fn place(&mut self) -> Result<Choice, Failure> {
        let started = Tick::now();
        let roster = &self.balancer.0;
        let wrong = roster.goes_wrong(self.head.uri.path());
        let how = How { show: self.parent.detailed(), wrong: wrong.is_some() };
        let choose = || self.balancer.choose(self.caller, &self.tried, &self.rules, how);
        let first = self.tried.is_empty();
        let mut found = if first && roster.queue.len() > 0 { Err(Nobody::Free) } else { choose() };
        let mut chosen_at = started;
        if first && matches!(found, Err(Nobody::Free)) {
            let span = self.parent.child_at(Hop::Balancer, "Wait in the queue", started);
            let refused = |failure: Failure| {
                span.status(Status::Error).attribute("error.type", || failure.kind());
                failure
            };
            let max = self.rules.queue_length.saturating_mul(roster.members.load().len() as u64);
            let Some(waiting) = roster.queue.join(max) else {
                return Err(refused(Failure::QueueFull { waiting: max }));
            };
            let wait = self.left().map_or(self.rules.queue_wait, |left| left.min(self.rules.queue_wait));
            let take = || match choose() {
                Err(Nobody::Free) => None,
                found => Some(found),
            };
            found = match tokio::time::timeout(wait, waiting.until(&roster.places, take)).await {
                Ok(Some(found)) => found,
                Ok(None) | Err(_) => return Err(refused(Failure::QueueTooSlow { waited: wait })),
            };
            span.end();
            chosen_at = Tick::now();
        }
        let choosing = self.parent.child_at(Hop::Balancer, "Choose an instance", chosen_at);
        let choice = found.map_err(|nobody| {
            let failure = none_of(nobody);
            choosing.status(Status::Error).attribute("error.type", || failure.kind());
            failure
        })?;
        describe(&choosing, &choice);
        wrong.into_iter().for_each(|wrong| wrong.mark(&choosing));
        choosing.end();
        self.spent += chosen_at.since(started);
        Ok(choice)
    }

    /// Asks the chosen one. Says in the trace why nobody else is asked after it.
    async fn attempt(&mut self, choice: Choice, upload: Upload) -> Attempted {
        let Choice { in_flight, stick_to, .. } = choice;
        let upstream = Arc::clone(in_flight.upstream());
        self.tried.push(upstream.serial);
        self.spent += self.balancer.0.hold_up(self.head.uri.path(), &upstream, self.parent).await;
        let span = self.parent.child(Hop::Balancer, FORWARD);
        span.attribute("roundtrip.instance", || upstream.id())
            .attribute("roundtrip.balancer.attempt", || self.tried.len())
            .attribute("server.address", || upstream.place().0.authority());
        let one_way = self.balancer.0.settings.snapshot().client.to_origin();
        let bounds = Bounds { rules: &self.rules, left: self.left(), one_way };
        let began = Tick::now();
        let attempted = self.balancer.attempt(self.head, upload, in_flight, self.replay.as_ref(), bounds, &span).await;
        let status = attempted.as_ref().ok().map(|(answer, _)| answer.head.status.as_u16());
        // A client that broke its own request off says nothing about whom it was for.
        if !matches!(&attempted, Err(Lost { failure: Failure::Upload, .. })) {
            upstream.counted.attempt(Tick::now().since(began), status);
        }
        let not_again = |why: &'static str| {
            span.attribute("roundtrip.balancer.not_again", || why);
        };
        match attempted {
            Ok((mut answer, spent)) => {
                self.spent += spent;
                answer.stick_to = stick_to;
                if !matches!(answer.head.status.as_u16(), 502..=504) {
                    // What follows is passing it on, however long this thread is kept from it.
                    span.end_at(answer.head_at);
                    return Attempted::Over(Box::new(answer));
                }
                span.status(Status::Error).attribute("error.type", || answer.head.status.as_str().to_owned());
                match self.again(None, Some(&answer.head.headers)) {
                    Ok(next) => {
                        Box::pin(self.hold(answer)).await;
                        Attempted::Again(next)
                    }
                    Err(why) => {
                        not_again(why);
                        Attempted::Over(Box::new(answer))
                    }
                }
            }
            Err(Lost { failure, whole, spent }) => {
                self.spent += spent;
                span.status(Status::Error).attribute("error.type", || failure.kind());
                if matches!(failure, Failure::Upload) {
                    return Attempted::Lost(failure);
                }
                match self.again(whole, None) {
                    Ok(next) => {
                        self.failure = Some(self.worst(failure));
                        Attempted::Again(next)
                    }
                    Err(why) => {
                        not_again(why);
                        Attempted::Lost(failure)
                    }
                }
            }
        }
    }

    /// Keeps an error for the case that nobody answers better. Its upstream has its place back meanwhile.
    async fn hold(&mut self, answer: Answer) {
        let Answer { body, head, .. } = answer;
        let (upstream, status, began) = (answer.upstream, head.status, Tick::now());
        let kept = body.keep().await;
        self.spent += Tick::now().since(began);
        match kept {
            Some(body) => self.held = Some(Box::new(Answer { body, head, upstream, ..answer })),
            None => {
                let reason = format!("its answer {status} was cut, or too long or too slow to be kept");
                self.failure = Some(self.worst(Failure::Broken { upstream, reason }));
            }
        }
    }

    /// Whether another upstream may be asked: with what, and after which pause; or why not. `whole`: the
    /// body of a request of which nothing was written. `head`: of the error that was answered.
    fn again(&mut self, whole: Option<Upload>, head: Option<&HeaderMap>) -> Result<Next, &'static str> {
        let rules = &self.rules;
        if let Some(strike) = self.balancer.0.never_retries(self.head.uri.path()) {
            strike.mark(self.parent);
            return Err("the fault fault.balancer.no_retries is on");
        }
        if self.tried.len() as u64 >= rules.attempts {
            return Err("it was the last attempt");
        }
        let untouched = whole.is_some();
        if !untouched && self.replay.is_none() {
            return Err("a second time might do it twice");
        }
        let roster = &self.balancer.0;
        let now = now();
        let looks: super::choice::Looks =
            roster.members.load().iter().map(|member| member.upstream.look(rules, now)).collect();
        match eligible(&looks, &self.tried, rules) {
            Err(Nobody::Free) => return Err("all others are full"),
            Err(Nobody::Left | Nobody::Permitted(_)) => return Err("nobody else is there"),
            Ok(_) => {}
        }
        let mut wait = Duration::ZERO;
        if !untouched {
            wait = backoff::wait(self.tried.len() as u32, self.balancer.0.random());
        }
        if let Some(asked) = head.and_then(pause) {
            wait = wait.max(asked);
        }
        if wait > RETRY_AFTER_MAX {
            return Err("it asked for a longer pause (Retry-After)");
        }
        if self.left().is_some_and(|left| left <= wait) {
            return Err("the deadline is near");
        }
        let upload = match (whole, &self.replay) {
            (Some(whole), _) => whole,
            (None, Some(replay)) => replay.again().ok_or("its body is too long to be sent again")?,
            (None, None) => return Err("a second time might do it twice"),
        };
        if !roster.withdraw(rules, now) {
            return Err("the retry budget is used up");
        }
        Ok(Next { upload, wait })
    }

    /// What is left until the deadline; None without one.
    fn left(&self) -> Option<Duration> {
        let deadline = self.rules.timeouts.deadline;
        (!deadline.is_zero()).then(|| deadline.saturating_sub(self.spent))
    }

    /// The failure that says most: that one may have begun is what the client needs to know.
    fn worst(&mut self, failure: Failure) -> Failure {
        match (self.failure.take(), failure) {
            (Some(begun @ (Failure::Broken { .. } | Failure::TooSlow { .. })), other)
                if !matches!(other, Failure::Broken { .. } | Failure::TooSlow { .. }) =>
            {
                begun
            }
            (_, Failure::Unreachable { upstream, reason, .. }) => {
                Failure::Unreachable { upstream, reason, tried: self.tried.len() }
            }
            // Why nobody else could be asked says less than what the asked ones did.
            (Some(before), Failure::NoneLeft | Failure::QueueFull { .. }) => before,
            (_, other) => other,
        }
    }

    fn give_up(mut self, failure: Failure) -> Result<Answer, Failure> {
        match self.held.take() {
            Some(answer) => Ok(*answer),
            None => Err(self.worst(failure)),
        }
    }
}

/// Whether it may be sent twice (RFC 9110, section 9.2.2). An `Idempotency-Key` makes a POST repeatable where
/// the route says that it heeds one.
fn is_repeatable(head: &Parts, caller: &Caller) -> bool {
    match head.method {
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE => true,
        Method::POST => caller.idempotency_key_counts && head.headers.contains_key(IDEMPOTENCY_KEY),
        _ => false,
    }
}

fn none_of(nobody: Nobody) -> Failure {
    match nobody {
        Nobody::Left => Failure::NoneLeft,
        Nobody::Free => Failure::QueueFull { waiting: 0 },
        Nobody::Permitted(open_for) => Failure::CircuitOpen { retry_after: open_for.unwrap_or_default() },
    }
}

/// The pause that an error asks for: seconds (RFC 9110, section 10.2.3). A date is further away than anybody
/// waits here.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    let seconds = value.to_str().ok().and_then(|value| value.trim().parse().ok());
    Some(seconds.map_or(Duration::MAX, Duration::from_secs))
}

fn describe(choosing: &Span, choice: &Choice) {
    if let Some(shown) = &choice.shown {
        choosing
            .attribute("roundtrip.balancer.policy", || choice.policy.id())
            .attribute(CANDIDATES, || serde_json::to_value(&shown.candidates).unwrap_or_default())
            .attribute("roundtrip.balancer.why", || shown.why.clone());
    }
}
