//! Server-sent events (HTML standard, section 9.2), as the actix-web servers send them.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

/// A line that means nothing: it tells proxies, and whoever writes to a client that has left, that all is well.
pub const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// An answer that goes on until the sender is dropped. `waiting_max` events wait for a slow client.
pub fn stream(waiting_max: usize) -> (mpsc::Sender<Bytes>, HttpResponse) {
    let (sender, receiver) = mpsc::channel(waiting_max);
    let answer = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(Stream(receiver));
    (sender, answer)
}

/// One event. JSON has no line breaks of its own, which would end it.
pub fn event(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

struct Stream(mpsc::Receiver<Bytes>);

impl MessageBody for Stream {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(Ok))
    }
}
