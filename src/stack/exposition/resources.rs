//! How much of each resource is in use: threads, connections, caches, the database, the process, the disk.

use std::sync::atomic::Ordering::Relaxed;

use crate::observe::metrics::exposition::Exposition;
use crate::observe::metrics::process::{self, Process};
use crate::policy::breaker::State;
use crate::stack::Stack;
use crate::stack::otlp::Figures;
use crate::stack::reading::Reading;
use crate::store::engine::Use;
use crate::store::{BISTRO_FILE, CONTROL_FILE};

pub fn write(text: &mut Exposition<'_>, stack: &Stack, reading: &Reading) {
    edge(text, reading);
    instances(text, reading);
    caches(text, reading);
    supply(text, reading, stack.deliveries());
    kitchen(text, reading);
    exports(text, &stack.exports);
    if let Some(database) = &reading.database {
        write_database(text, database);
    }
    files(text, stack);
    process(text, stack);
}

fn edge(text: &mut Exposition<'_>, reading: &Reading) {
    let Some(edge) = &reading.edge else { return };
    text.gauge("roundtrip_edge_connections", "Connections that clients have open.").count(&[], edge.connections);
    text.gauge("roundtrip_edge_connections_max", "Connections that clients may have open.")
        .count(&[], reading.settings.http.bounds.connections_max);
    text.counter("roundtrip_edge_connections_refused", "Connections beyond what there may be.")
        .count(&[], edge.connections_refused);
    let mut family = text.counter("roundtrip_edge_thread_busy_seconds", "How long a thread of the edge was at work.");
    for (number, busy) in edge.busy.iter().enumerate() {
        family.seconds(&[("thread", &number.to_string())], *busy);
    }
}

fn instances(text: &mut Exposition<'_>, reading: &Reading) {
    let mut family =
        text.counter("roundtrip_instance_thread_busy_seconds", "How long a thread of an instance was at work.");
    for (id, busy) in &reading.busy {
        for (number, busy) in busy.iter().enumerate() {
            family.seconds(&[("upstream", id), ("thread", &number.to_string())], *busy);
        }
    }
}

/// The edge's shared cache, and each instance's of the menu.
fn caches(text: &mut Exposition<'_>, reading: &Reading) {
    struct Cache<'a> {
        labels: Vec<(&'a str, &'a str)>,
        hits: u64,
        misses: u64,
        evictions: u64,
        entries: u64,
        bytes: u64,
        bytes_max: u64,
    }
    let edge = reading.edge_cache.iter().map(|cache| Cache {
        labels: vec![("cache", "edge")],
        hits: cache.hits + cache.stale_hits,
        misses: cache.misses,
        evictions: cache.evictions,
        entries: cache.entries as u64,
        bytes: cache.bytes,
        bytes_max: reading.settings.http.cache.bytes,
    });
    let menus = reading.menu_caches.iter().map(|(id, cache)| Cache {
        labels: vec![("cache", "menu"), ("upstream", id)],
        hits: cache.hits + cache.negative_hits,
        misses: cache.misses,
        evictions: cache.evictions,
        entries: cache.entries as u64,
        bytes: cache.bytes,
        bytes_max: reading.settings.data.cache.bytes_max,
    });
    let all: Vec<Cache<'_>> = edge.chain(menus).collect();
    type Value = fn(&Cache<'_>) -> u64;
    let counters: [(&str, &str, Value); 3] = [
        ("roundtrip_cache_hits", "Looks into a cache that found an answer, stale ones included.", |cache| cache.hits),
        ("roundtrip_cache_misses", "Looks into a cache that found nothing to answer with.", |cache| cache.misses),
        ("roundtrip_cache_evictions", "Entries that made room for others.", |cache| cache.evictions),
    ];
    for (name, help, value) in counters {
        let mut family = text.counter(name, help);
        for cache in &all {
            family.count(&cache.labels, value(cache));
        }
    }
    let gauges: [(&str, &str, Value); 3] = [
        ("roundtrip_cache_entries", "Entries that a cache holds.", |cache| cache.entries),
        ("roundtrip_cache_size_bytes", "What a cache's entries take.", |cache| cache.bytes),
        ("roundtrip_cache_size_max_bytes", "What a cache's entries may take.", |cache| cache.bytes_max),
    ];
    for (name, help, value) in gauges {
        let mut family = text.gauge(name, help);
        for cache in &all {
            family.count(&cache.labels, value(cache));
        }
    }
}

/// Each instance's way to the supplier.
fn supply(text: &mut Exposition<'_>, reading: &Reading, deliveries: u64) {
    let buyers = &reading.buyers;
    let mut family = text.gauge("roundtrip_supplier_calls", "Calls to the supplier under way, by instance.");
    for (id, buyer) in buyers {
        family.count(&[("upstream", id)], buyer.calls);
    }
    text.gauge("roundtrip_supplier_calls_max", "Calls to the supplier that an instance may have under way (bulkhead).")
        .count(&[], reading.settings.supply.calls);
    let mut family =
        text.gauge("roundtrip_supplier_breaker_open", "Whether an instance's circuit breaker to the supplier is open.");
    for (id, buyer) in buyers {
        let open = matches!(buyer.breaker, State::Open | State::ForcedOpen);
        family.count(&[("upstream", id)], open.into());
    }
    let mut family = text.counter("roundtrip_supplier_requests", "Deliveries that were asked for, by how it ended.");
    for (id, buyer) in buyers {
        let ended = [
            ("delivered", buyer.delivered),
            ("failed", buyer.failed),
            ("breaker_open", buyer.breaker_refused),
            ("bulkhead_full", buyer.bulkhead_refused),
        ];
        for (outcome, count) in ended {
            family.count(&[("upstream", id), ("outcome", outcome)], count);
        }
    }
    text.counter("roundtrip_supplier_deliveries", "Deliveries that the supplier made.").count(&[], deliveries);
}

fn kitchen(text: &mut Exposition<'_>, reading: &Reading) {
    let Some(kitchen) = &reading.kitchen else { return };
    let mut family = text.gauge("roundtrip_kitchen_tickets", "Tickets of the kitchen's queue, by state.");
    for (state, count) in [("waiting", kitchen.waiting), ("cooking", kitchen.cooking), ("dead", kitchen.dead)] {
        family.sample(&[("state", state)], count as f64);
    }
    let workers = reading.busy.len() as u64 * reading.settings.service.kitchen.workers;
    text.gauge("roundtrip_kitchen_workers", "Workers that cook, of all instances.").count(&[], workers);
}

/// What became of the traces that go to a collector.
fn exports(text: &mut Exposition<'_>, figures: &Figures) {
    let counters = [
        ("roundtrip_otlp_sent", "Spans that a collector took.", &figures.sent),
        (
            "roundtrip_otlp_dropped",
            "Spans that no collector got: for want of room, since it refused them, or at a stop.",
            &figures.dropped,
        ),
        (
            "roundtrip_otlp_missed_journeys",
            "Kept traces that came faster than they could be queued for a collector.",
            &figures.missed_journeys,
        ),
        ("roundtrip_otlp_failed", "Attempts to send spans to a collector that failed.", &figures.failed),
    ];
    for (name, help, value) in counters {
        text.counter(name, help).count(&[], value.load(Relaxed));
    }
}

fn write_database(text: &mut Exposition<'_>, database: &Use) {
    let readers = &database.readers;
    text.gauge("roundtrip_db_readers_in_use", "Connections that read the database now.")
        .count(&[], readers.in_use.into());
    text.gauge("roundtrip_db_readers_max", "Connections that can read it.").count(&[], readers.size.into());
    text.counter("roundtrip_db_reader_waits", "Reads for which no connection was free at once.")
        .count(&[], readers.waits);
    text.counter("roundtrip_db_reader_wait_seconds", "What those reads waited in all.").seconds(&[], readers.waited);
    text.counter("roundtrip_db_reader_timeouts", "Of those reads, how many got none in time.")
        .count(&[], readers.refused);
    text.counter("roundtrip_db_writer_busy_seconds", "How long the one writer was at work.")
        .seconds(&[], database.writer_busy);
    text.gauge("roundtrip_db_writer_queue_length", "Changes that wait for the writer.")
        .count(&[], database.queue as u64);
    text.gauge("roundtrip_db_writer_queue_length_max", "Changes that may wait for it.")
        .count(&[], database.queue_max as u64);
    text.histogram("roundtrip_db_commit_duration_seconds", "Batches of changes, from being taken up to the COMMIT.")
        .durations(&[], &database.batches);
    text.counter("roundtrip_db_changes", "Changes that were committed; by commits, how many share one.")
        .count(&[], database.writer.jobs);
    text.counter("roundtrip_db_fences", "Times that the file failed and was opened anew.")
        .count(&[], database.writer.fences);
    text.gauge("roundtrip_db_fenced", "Whether the file is closed until it was checked.")
        .count(&[], database.fenced.into());
}

fn files(text: &mut Exposition<'_>, stack: &Stack) {
    let mut family = text.gauge("roundtrip_data_file_bytes", "Sizes of the database files and their logs.");
    for name in [BISTRO_FILE, CONTROL_FILE] {
        for file in [name.to_owned(), format!("{name}-wal")] {
            if let Ok(metadata) = std::fs::metadata(stack.data_dir.join(&file)) {
                family.count(&[("file", &file)], metadata.len());
            }
        }
    }
    if let Some(disk) = process::disk(&stack.data_dir) {
        text.gauge("roundtrip_data_disk_free_bytes", "Free where the data is.").count(&[], disk.free_bytes);
        text.gauge("roundtrip_data_disk_size_bytes", "Size of the file system that the data is on.")
            .count(&[], disk.total_bytes);
    }
}

fn process(text: &mut Exposition<'_>, stack: &Stack) {
    let Process { cpu, resident_bytes, open_files, open_files_max, threads } = Process::now();
    if let Some(cpu) = cpu {
        text.counter("process_cpu_seconds", "Processor time that the process took.").seconds(&[], cpu);
    }
    let gauges = [
        ("process_resident_memory_bytes", "Memory that the process has in use.", resident_bytes),
        ("process_open_fds", "File descriptors that are open.", open_files),
        ("process_max_fds", "File descriptors that may be open.", open_files_max),
        ("process_threads", "Threads of the process.", threads),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            text.gauge(name, help).count(&[], value);
        }
    }
    text.gauge("roundtrip_uptime_seconds", "How long the stack has been running.")
        .seconds(&[], stack.started.elapsed());
    text.gauge("roundtrip_build_info", "1, with what is running.").count(&[("version", env!("CARGO_PKG_VERSION"))], 1);
}
