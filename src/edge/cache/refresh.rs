//! Fetching a new answer while the stale one goes out (RFC 5861, section 3): work that no client waits for,
//! shown as a request of its own.

use http_body_util::BodyExt;
use time::OffsetDateTime;

use super::answer::{Body, Get};
use super::fetch::Source;
use super::object::Stored;
use super::status::Why;
use super::store::Ticket;
use super::validate;
use crate::edge::record::By;
use crate::observe::clock::Tick;
use crate::observe::failure::Failure;
use crate::observe::hop::Hop;
use crate::observe::part::{EdgePart, Part};
use crate::observe::span::{Context, Trace};

impl Get<'_> {
    /// Starts it. The request is the client's without its own conditions.
    pub(super) fn refresh(&self, stale: Stored, ticket: Ticket) {
        let mut head = self.head.clone();
        head.method = hyper::Method::GET;
        validate::ask_for_all(&mut head.headers);
        let (cache, settings, control, key) =
            (self.cache.clone(), self.settings, self.control.clone(), std::sync::Arc::clone(&self.key));
        let (balancer, caller) = (self.source.balancer.clone(), self.source.caller.clone());
        let (rule, via) = (self.source.rule.clone(), self.source.via.clone());
        let (secure, recorder) = (self.source.secure, self.source.recorder.clone());
        let (request_headers, generation) = (self.source.request_headers.to_vec(), self.source.generation);
        tokio::spawn(async move {
            let context = Context::new_root();
            let started_at = OffsetDateTime::now_utc();
            let started = Tick::now();
            let root = Trace::start(context, context.key, Hop::Http, "Refresh a kept answer", started);
            let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
            let source = Source {
                balancer: &balancer,
                caller: &caller,
                rule: &rule,
                via: &via,
                secure,
                request_headers: &request_headers,
                generation,
                recorder: &recorder,
            };
            let get = Get { cache: &cache, settings, source: &source, root: &root, head, control, key };
            let (mut status, mut by, mut response_bytes) = (0, By::Edge, 0);
            let mut failure = Some(Failure::NoAnswer);
            if let Ok(found) = get.fetch(ticket, Some(stale), Why::Stale).await {
                (status, by) = (found.head.status.as_u16(), found.by);
                failure = Failure::of_status(status);
                if let Body::Growing(mut body) = found.body {
                    // What is too large to be kept nobody wants.
                    while body.is_kept()
                        && let Some(frame) = body.frame().await
                    {
                        let Ok(frame) = frame else {
                            failure = Some(Failure::BrokenOff);
                            break;
                        };
                        response_bytes += frame.data_ref().map_or(0, |chunk| chunk.len() as u64);
                    }
                }
            }
            recorder.submit(Part::Edge(EdgePart {
                trace_id: context.trace_id,
                key: context.key,
                probe: false,
                started_at,
                method,
                path,
                status,
                failure,
                took: Tick::now().since(started),
                counted: None,
                instance_parts: usize::from(matches!(by, By::Instance(_))),
                your_service: if let By::YourService(id) = by { Some(id) } else { None },
                request_bytes: 0,
                response_bytes,
                spans: root.trace().finish(),
            }));
        });
    }
}
