//! Exports the kept journeys to a collector, over OTLP/HTTP with protocol buffers.
//!
//! Nobody waits for it: journeys go into a bounded queue, whose oldest are dropped (and counted) when the collector is
//! slow or gone.

mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

use crate::client::{Answer, Client, ClientConfig, ClientError, Outgoing, Resolver, Roots, Url};
use crate::observe::clock::Tick;
use crate::observe::ids::SpanId;
use crate::observe::journey::Journey;
use crate::observe::otlp;
use crate::observe::recorder::Recorder;
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
    /// For want of room, or since the collector did not take them.
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
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Exports what `recorder` keeps from now on. `ca_pem` is for a collector without TLS, whom nobody checks; the
    /// certificate of another must be of an authority that the system trusts.
    pub fn start(
        collector: &Collector,
        recorder: &Recorder,
        ca_pem: &[u8],
        pace: Pace,
    ) -> Result<Exporter, ClientError> {
        let roots = if collector.https { Roots::System } else { Roots::Pem(ca_pem.to_vec()) };
        let resolver = Resolver::system();
        let client = Client::new(ClientConfig { resolver, roots, probe_key: None, ca_path: None, detail: false })?;
        let figures = Arc::new(Figures::default());
        let sender = Sender {
            client,
            url: collector.url.clone(),
            instance: SpanId::random().to_string(),
            pace,
            figures: Arc::clone(&figures),
            queue: Queue::default(),
        };
        let (stop, stopped) = oneshot::channel();
        // Subscribed before this returns: nothing that is kept from now on is missed.
        let mut live = recorder.subscribe();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = sender.take_in(&mut live) => {}
                () = sender.send_on() => {}
                // Dropped without a word, it ends as well.
                _ = stopped => {}
            }
            while let Ok(journey) = live.try_recv() {
                sender.take(journey);
            }
            let rest = async {
                while let Some(batch) = sender.queue.take() {
                    sender.deliver(batch).await;
                }
            };
            // What the collector does not take now is gone.
            let _ = tokio::time::timeout(LAST_WITHIN, rest).await;
        });
        Ok(Exporter { figures, stop: Some(stop), task })
    }

    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Sends what is queued, within two seconds.
    pub async fn stop(mut self) {
        drop(self.stop.take());
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
}

/// Whether another attempt makes sense (OTLP/HTTP, "Failures"), and when at the earliest.
enum Refused {
    ForNow(String, Option<Duration>),
    ForGood(String),
}

impl Sender {
    fn take(&self, journey: Arc<Journey>) {
        let dropped = self.queue.push(journey);
        self.figures.dropped.fetch_add(dropped, Ordering::Relaxed);
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
            self.queue.ready(self.pace.linger).await;
            if let Some(batch) = self.queue.take() {
                self.deliver(batch).await;
            }
        }
    }

    /// Until the collector has taken it, or there is no sense in going on.
    async fn deliver(&self, batch: Vec<Arc<Journey>>) {
        let spans = queue::spans_of(&batch);
        let body = bytes::Bytes::from(otlp::request(&batch, &self.instance));
        for attempt in 1.. {
            let (why, wait) = match self.attempt(body.clone()).await {
                Ok(()) => {
                    self.figures.sent.fetch_add(spans, Ordering::Relaxed);
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
                self.figures.dropped.fetch_add(spans, Ordering::Relaxed);
                return;
            };
            log::info!("exporting {spans} spans to {} failed, again in {wait:.1?}: {why}", self.url);
            tokio::time::sleep(wait).await;
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
