//! Answers that are late, narrow, broken off, or not what they say.

use std::time::Duration;

use http_body::Body as _;
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::{Response, StatusCode, Version};

use super::Levers;
use super::body::{Cut, Flaw, Line};
use crate::edge::body::EdgeBody;
use crate::faults::{self, Place, Strike};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;

/// By how much too long a body is announced to be.
const TOO_LONG_BY: u64 = 1_000;
/// What is announced where nobody knows how long it is: more than any answer here has.
const UNKNOWN_LENGTH: u64 = 1 << 32;

/// The edge resets a connection, or in h2 a stream, instead of answering.
#[derive(Debug, thiserror::Error)]
#[error("{} is on", Fault::HttpReset.key())]
pub struct Reset;

/// A head that is late, for as long as its fault is on.
#[derive(Debug)]
pub struct Late {
    strike: Strike,
    settings: Settings,
    path: String,
}

impl Late {
    pub fn delay(&self) -> Duration {
        self.strike.delay()
    }

    pub async fn end(self) {
        faults::over(&self.settings, self.strike.fault, Place::path(&self.path)).await;
    }
}

/// What strikes one answer.
#[derive(Debug, Default)]
pub struct Strikes {
    pub reset: Option<Strike>,
    trickle: Option<Late>,
    truncated: Option<Strike>,
    bad_length: Option<Strike>,
    line: Option<Line>,
}

impl Strikes {
    /// Draws for an answer to a request for `path`, and says beneath `root` what struck.
    pub fn drawn(settings: &Settings, path: &str, root: &Span) -> Self {
        if settings.snapshot().faults.none() {
            return Self::default();
        }
        let place = Place::path(path);
        let strike = |fault, name| {
            let strike = faults::strike(settings, fault, place)?;
            let now = Tick::now();
            strike.mark(&root.record(Hop::Http, name, now, now));
            Some(strike)
        };
        let reset = strike(Fault::HttpReset, "Reset the connection");
        if reset.is_some() {
            return Self { reset, ..Self::default() };
        }
        Self {
            reset,
            trickle: strike(Fault::HttpTrickle, "Let the head trickle").map(|strike| Late {
                strike,
                settings: settings.clone(),
                path: path.to_owned(),
            }),
            truncated: strike(Fault::HttpTruncated, "Cut the body short"),
            bad_length: strike(Fault::HttpBadLength, "Announce a wrong length").inspect(|_| {
                root.status(Status::Error);
            }),
            line: strike(Fault::HttpBandwidth, "Narrow the line").map(|_| Line::new(settings.clone(), path.to_owned())),
        }
    }

    /// Breaks `response`.
    pub async fn apply(self, response: &mut Response<EdgeBody>, version: Version, levers: &Levers) {
        let Self { trickle, truncated, bad_length, line, .. } = self;
        if let Some(trickle) = trickle {
            // Heads of h2 are frames of one connection for all its streams: late as a whole.
            match version < Version::HTTP_2 {
                true => levers.trickle(trickle),
                false => faults::wait(&trickle.settings, trickle.strike, Place::path(&trickle.path)).await,
            }
        }
        let broken = truncated.is_some() || bad_length.is_some() || line.is_some();
        if !broken || response.status() == StatusCode::SWITCHING_PROTOCOLS || response.body().is_end_stream() {
            return;
        }
        let length = response.body().size_hint().exact();
        let cut = truncated.map(|_| length.map_or(Cut::HalfOfFirst, |length| Cut::After(length / 2)));
        let short_of = bad_length.map(|_| length.map_or(UNKNOWN_LENGTH, |length| length + TOO_LONG_BY));
        if let Some(announced) = short_of {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(announced));
        }
        response.body_mut().breaks(Flaw::new(line, cut, short_of));
    }
}
