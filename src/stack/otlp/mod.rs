//! Exports the kept journeys to a collector, over OTLP/HTTP with protocol buffers.
//!
//! Nobody waits for it: journeys go into a bounded queue, whose oldest are dropped (and counted) when the collector is
//! slow or gone.

mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::Stack;
use crate::client::{Answer, Client, ClientConfig, ClientError, Outgoing, Resolver, Roots, Url};
use crate::observe::clock::Tick;
use crate::observe::ids::SpanId;
use crate::observe::journey::Journey;
use crate::observe::otlp;
use crate::policy::backoff::Attempts;
use crate::policy::random;
use queue::Queue;

/// Where traces go below a collector's address (OTLP/HTTP, "Default URL path").
const PATH: &str = "/v1/traces";
/// A `Retry-After` beyond this is as if the collector were gone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// What is left at a stop may take so long.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// A collector's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    url: String,
    https: bool,
}

impl Collector {
    /// `http://host:4318`, or with the whole path; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Collector, String> {
        let url = Url::parse(text).map_err(|bad| bad.to_string())?;
        if url.target.contains('?') {
            return Err(format!("'{text}' has a query; a collector's address has none"));
        }
        let base = text.trim_end_matches('/');
        let url_of = |path: &str| format!("{base}{path}");
        let whole = if base.ends_with(PATH) { base.to_owned() } else { url_of(PATH) };
        Ok(Collector { url: whole, https: url.https })
    }
}

/// How it paces itself.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long the first span of a batch waits for others.
    pub linger: Duration,
    /// For one attempt.
    pub timeout: Duration,
    pub attempts: Attempts,
}

impl Default for Pace {
    fn default() -> Self {
        let attempts = Attempts { max: 5, first: Duration::from_secs(1), longest: Duration::from_secs(30) };
        Self { linger: Duration::from_secs(1), timeout: Duration::from_secs(10), attempts }
    }
}

/// What became of the spans.
#[derive(Debug, Default)]
pub struct Figures {
    pub sent: AtomicU64,
    /// For want of room, since the collector did not take them, or at a stop.
    pub dropped: AtomicU64,
    /// Journeys that came faster than they could be queued.
    pub missed_journeys: AtomicU64,
    /// Attempts that failed.
    pub failed: AtomicU64,
}

/// A running exporter. Dropped, it ends at once.
#[derive(Debug)]
pub struct Exporter {
    figures: Arc<Figures>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Exports what the stack's recorder keeps from now on. `ca_pem` is for a collector without TLS, whom nobody checks; the
    /// certificate of another must be of an authority that the system trusts.
    pub fn start(collector: &Collector, stack: &Stack, ca_pem: &[u8], pace: Pace) -> Result<Exporter, ClientError> {
        let roots = if collector.https { Roots::System } else { Roots::Pem(ca_pem.to_vec()) };
        let resolver = Resolver::system();
        let client = Client::new(ClientConfig { resolver, roots, probe_key: None, ca_path: None, detail: false })?;
        let figures = Arc::clone(&stack.exports);
        let sender = Sender {
            client,
            url: collector.url.clone(),
            instance: SpanId::random().to_string(),
            pace,
            figures: Arc::clone(&figures),
            queue: Queue::default(),
            waiting: AtomicU64::new(0),
            closing: watch::Sender::new(false),
        };
        let (stop, stopped) = watch::channel(false);
        // Subscribed before this returns: nothing that is kept from now on is missed.
        let live = stack.recorder().subscribe();
        let task = tokio::spawn(sender.run(live, stopped));
        Ok(Exporter { figures, stop, task })
    }

    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Sends what is queued, within two seconds.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.task).await {
            log::error!("the exporter of traces ended badly: {error}");
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Sender {
    client: Client,
    url: String,
    instance: String,
    pace: Pace,
    figures: Arc<Figures>,
    queue: Queue,
    /// Spans that wait or are being sent.
    waiting: AtomicU64,
    /// Nothing more comes: what waits goes out at once.
    closing: watch::Sender<bool>,
}

/// Whether another attempt makes sense (OTLP/HTTP, "Failures"), and when at the earliest.
enum Refused {
    ForNow(String, Option<Duration>),
    ForGood(String),
}

impl Sender {
    /// Until it is stopped, or the recorder is gone; and then until all is sent, or the time for that is over.
    async fn run(self, mut live: broadcast::Receiver<Arc<Journey>>, mut stopped: watch::Receiver<bool>) {
        let mut stop = stopped.clone();
        let intake = async {
            tokio::select! {
                () = self.take_in(&mut live) => {}
                // An error is a stop, too: whoever could have told is gone.
                _ = stop.wait_for(|stop| *stop) => {}
            }
            while let Ok(journey) = live.try_recv() {
                self.take(journey);
            }
            self.closing.send_replace(true);
        };
        let too_long = async {
            let _ = stopped.wait_for(|stop| *stop).await;
            tokio::time::sleep(LAST_WITHIN).await;
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(intake, self.send_on()) } => {}
            () = too_long => {}
        }
        let left = self.waiting.load(Ordering::Relaxed);
        if left > 0 {
            log::warn!("{left} spans were not exported to {}: it did not take them before the stop", self.url);
            self.figures.dropped.fetch_add(left, Ordering::Relaxed);
        }
    }

    fn take(&self, journey: Arc<Journey>) {
        self.waiting.fetch_add(journey.spans.len() as u64, Ordering::Relaxed);
        let dropped = self.queue.push(journey);
        self.done(&self.figures.dropped, dropped);
    }

    /// So many spans are `sent` or `dropped`.
    fn done(&self, figure: &AtomicU64, spans: u64) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        figure.fetch_add(spans, Ordering::Relaxed);
    }

    async fn take_in(&self, live: &mut broadcast::Receiver<Arc<Journey>>) {
        loop {
            match live.recv().await {
                Ok(journey) => self.take(journey),
                Err(RecvError::Lagged(missed)) => _ = self.figures.missed_journeys.fetch_add(missed, Ordering::Relaxed),
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn send_on(&self) {
        loop {
            let closing = tokio::select! {
                () = self.queue.ready(self.pace.linger) => false,
                () = self.closed() => true,
            };
            match self.queue.take() {
                Some(batch) => self.deliver(batch).await,
                None if closing => return,
                None => {}
            }
        }
    }

    async fn closed(&self) {
        // Its sender is our own.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Until the collector has taken it, or there is no sense in going on.
    async fn deliver(&self, batch: Vec<Arc<Journey>>) {
        let spans = queue::spans_of(&batch);
        let body = bytes::Bytes::from(otlp::request(&batch, &self.instance));
        for attempt in 1.. {
            let (why, wait) = match self.attempt(body.clone()).await {
                Ok(()) => {
                    self.done(&self.figures.sent, spans);
                    return;
                }
                Err(Refused::ForGood(why)) => (why, None),
                Err(Refused::ForNow(why, earliest)) => {
                    let random = random::split_mix(Tick::now().as_nanos());
                    let wait = self.pace.attempts.wait_after(attempt, random);
                    (why, wait.map(|wait| wait.max(earliest.unwrap_or_default())))
                }
            };
            self.figures.failed.fetch_add(1, Ordering::Relaxed);
            let Some(wait) = wait else {
                log::warn!("{spans} spans were not exported to {}: {why}", self.url);
                self.done(&self.figures.dropped, spans);
                return;
            };
            log::info!("exporting {spans} spans to {} failed, again in {wait:.1?}: {why}", self.url);
            // A stop is the last moment to try.
            let hurried = *self.closing.borrow();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.closed(), if !hurried => {}
            }
        }
    }

    async fn attempt(&self, body: bytes::Bytes) -> Result<(), Refused> {
        let request = Outgoing {
            method: "POST".to_owned(),
            headers: vec![("content-type".to_owned(), "application/x-protobuf".to_owned())],
            body,
            probe: false,
            timeout: self.pace.timeout,
            ..Outgoing::get(self.url.clone())
        };
        match self.client.send(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) if matches!(answer.status, 429 | 502..=504) => {
                Err(Refused::ForNow(format!("status {}", answer.status), retry_after(&answer)))
            }
            Ok(answer) => Err(Refused::ForGood(format!("status {}", answer.status))),
            Err(failure) => Err(Refused::ForNow(failure.message, None)),
        }
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.header("retry-after")?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_found_by_its_base_or_its_whole_address() {
        let url = |text: &str| Collector::parse(text).map(|collector| collector.url);
        for (text, whole) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://otel.example/v1/traces", "https://otel.example/v1/traces"),
            ("https://otel.example/tenant", "https://otel.example/tenant/v1/traces"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(whole));
        }
        for wrong in ["", "otel:4318", "grpc://a:4317", "http://u:p@a", "http://a/?key=1"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
