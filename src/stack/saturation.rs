//! How full each hop is: its busiest resource, as a share and in words.

use std::time::Duration;

use super::reading::Reading;
use crate::observe::hop::Hop;
use crate::policy::health::State;
use crate::settings::fault::Fault;

/// Something that there is only so much of.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Resource {
    pub resource: &'static str,
    /// None: there is none of it.
    pub share: Option<f64>,
    pub text: String,
}

/// A hop with its busiest resource before all of them; without any where nothing runs here.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Saturation {
    pub hop: Hop,
    pub share: Option<f64>,
    pub resource: Option<&'static str>,
    pub text: String,
    pub all: Vec<Resource>,
}

/// Between two readings, of all hops in the order of the way.
pub fn saturation(before: &Reading, now: &Reading) -> Vec<Saturation> {
    let between = Between { before, now, took: now.at.since(before.at) };
    let hop = |hop: Hop| {
        let all = between.resources(hop);
        let busiest = all.iter().max_by(|a, b| a.share.unwrap_or(-1.0).total_cmp(&b.share.unwrap_or(-1.0)));
        let (share, text) = (busiest.and_then(|most| most.share), busiest.map(|most| most.text.clone()));
        Saturation { hop, share, resource: busiest.map(|most| most.resource), text: text.unwrap_or_default(), all }
    };
    Hop::ALL.map(hop).into()
}

struct Between<'a> {
    before: &'a Reading,
    now: &'a Reading,
    took: Duration,
}

/// So many of so many.
fn part(resource: &'static str, of: u64, most: u64) -> Resource {
    let share = (most > 0).then(|| of as f64 / most as f64);
    Resource { resource, share, text: format!("{of} of {most} {resource}") }
}

impl Between<'_> {
    fn resources(&self, hop: Hop) -> Vec<Resource> {
        match hop {
            Hop::Client => self.connections(),
            Hop::Dns => self.at_work(hop, "DNS server", "queries", 1, Fault::DnsDelay),
            Hop::Tls => self.at_work(hop, "handshakes", "handshakes", self.edge_threads(), Fault::TlsDelay),
            Hop::Http => self.edge(),
            Hop::Balancer => self.balancer(),
            Hop::Api => self.instances(),
            Hop::Service => self.service(),
            Hop::Data => self.data(),
        }
    }

    /// The part of the time in between that `spent` is.
    fn share(&self, spent: Duration) -> Option<f64> {
        (!self.took.is_zero()).then(|| (spent.as_secs_f64() / self.took.as_secs_f64()).min(1.0))
    }

    fn busy(&self, resource: &'static str, who: &str, spent: Duration) -> Resource {
        let share = self.share(spent);
        let text = format!("{who} at work {:.0} % of the time", share.unwrap_or_default() * 100.0);
        Resource { resource, share, text }
    }

    fn connections(&self) -> Vec<Resource> {
        let most = self.now.settings.http.bounds.connections_max;
        self.now.edge.iter().map(|edge| part("open connections", edge.connections, most)).collect()
    }

    fn edge_threads(&self) -> usize {
        self.now.edge.as_ref().map_or(1, |edge| edge.busy.len().max(1))
    }

    /// What one hop does on `threads` threads. While `sleeps` is on its time is not work: then only the rate is known.
    fn at_work(&self, hop: Hop, resource: &'static str, what: &str, threads: usize, sleeps: Fault) -> Vec<Resource> {
        let ((spent, count), (spent_before, count_before)) =
            (self.now.hops[hop as usize], self.before.hops[hop as usize]);
        let worked = spent.saturating_sub(spent_before) / u32::try_from(threads).unwrap_or(u32::MAX);
        let slept = [self.before, self.now].iter().any(|reading| is_on(reading, sleeps));
        let share = self.share(worked).filter(|_| !slept);
        let rate = count.saturating_sub(count_before) as f64 / self.took.as_secs_f64().max(0.001);
        vec![Resource { resource, share, text: format!("{rate:.0} {what} a second") }]
    }

    fn edge(&self) -> Vec<Resource> {
        let (Some(edge), Some(before)) = (&self.now.edge, &self.before.edge) else { return Vec::new() };
        let busiest = longest(&edge.busy, &before.busy);
        let mut all = vec![self.busy("edge threads", "the busiest thread", busiest)];
        if let Some(cache) = &self.now.edge_cache {
            let (mib, most) = (cache.bytes >> 20, self.now.settings.http.cache.bytes);
            let share = (most > 0).then(|| cache.bytes as f64 / most as f64);
            all.push(Resource { resource: "shared cache", share, text: format!("{mib} of {} MiB kept", most >> 20) });
        }
        all
    }

    fn balancer(&self) -> Vec<Resource> {
        let pools = &self.now.pools;
        let busiest = |share: fn(&super::reading::Pool) -> (u64, u64)| {
            let ratio = |(of, most): (u64, u64)| of as f64 / most.max(1) as f64;
            pools.iter().map(share).max_by(|a, b| ratio(*a).total_cmp(&ratio(*b)))
        };
        let under_way = busiest(|pool| {
            let serving = pool.upstreams.iter().filter(|one| one.upstream.state == State::Healthy).count() as u64;
            (pool.upstreams.iter().map(|one| one.upstream.in_flight).sum(), serving.saturating_mul(pool.concurrency))
        });
        let waiting = busiest(|pool| (pool.waiting, pool.waiting_max));
        let named = |resource, found: Option<(u64, u64)>| found.map(|(of, most)| part(resource, of, most));
        [named("requests under way", under_way), named("waiting requests", waiting)].into_iter().flatten().collect()
    }

    fn instances(&self) -> Vec<Resource> {
        let of = |(id, busy): &(String, Vec<Duration>)| {
            let before = self.before.busy.iter().find(|(other, _)| other == id).map(|(_, busy)| busy.as_slice());
            (id.clone(), longest(busy, before.unwrap_or_default()))
        };
        let busiest = self.now.busy.iter().map(of).max_by_key(|(_, spent)| *spent);
        busiest.map(|(id, spent)| self.busy("instance threads", &id, spent)).into_iter().collect()
    }

    fn service(&self) -> Vec<Resource> {
        let (settings, instances) = (&self.now.settings, self.now.busy.len() as u64);
        let cooking = self.now.kitchen.map(|kitchen| {
            let cooking = u64::try_from(kitchen.cooking).unwrap_or_default();
            part("kitchen workers", cooking, instances * settings.service.kitchen.workers)
        });
        let calls = self.now.buyers.iter().map(|(_, buyer)| buyer.calls).max();
        let calls = calls.map(|calls| part("calls to the supplier", calls, settings.supply.calls));
        cooking.into_iter().chain(calls).collect()
    }

    fn data(&self) -> Vec<Resource> {
        let (Some(now), Some(before)) = (&self.now.database, &self.before.database) else { return Vec::new() };
        let cache = self.now.menu_caches.iter().map(|(_, cache)| cache.bytes).max().unwrap_or_default();
        let most = self.now.settings.data.cache.bytes_max;
        let share = (most > 0).then(|| cache as f64 / most as f64);
        vec![
            self.busy("writer", "the writer", now.writer_busy.saturating_sub(before.writer_busy)),
            part("waiting changes", now.queue as u64, now.queue_max as u64),
            part("reading connections", now.readers.in_use.into(), now.readers.size.into()),
            Resource { resource: "menu cache", share, text: format!("{} of {} KiB kept", cache >> 10, most >> 10) },
        ]
    }
}

fn is_on(reading: &Reading, fault: Fault) -> bool {
    reading.settings.faults.get(fault).is_some_and(|spec| reading.at < spec.until)
}

/// The most that one of several threads was at work.
fn longest(now: &[Duration], before: &[Duration]) -> Duration {
    let before = before.iter().copied().chain(std::iter::repeat(Duration::ZERO));
    now.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).max().unwrap_or_default()
}
