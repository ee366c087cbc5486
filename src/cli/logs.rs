//! `roundtrip logs`: the latest lines of the running server.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::query::Query;
use super::remote::Remote;
use super::{CliError, DataDirFlag};

/// How often a follower asks for what is new.
const EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub struct LogsFlags {
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
    /// Only lines of this hop: client, dns, tls, http, balancer, api, service, data
    #[arg(long, value_name = "HOP")]
    hop: Option<String>,
    /// Only lines at least so grave: error, warn, info
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
    /// Only lines with this word, status or trace id
    #[arg(long, short, value_name = "WORD")]
    q: Option<String>,
    /// At most so many lines to begin with
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: u64,
    #[command(flatten)]
    folder: DataDirFlag,
}

pub async fn logs(flags: LogsFlags) -> Result<(), CliError> {
    let remote = Remote::find(&flags.folder)?;
    let ask = |after: Option<u64>| {
        let query = Query::default()
            .with("after", after.map(|after| after.to_string()).as_deref())
            .with("hop", flags.hop.as_deref())
            .with("level", flags.level.as_deref())
            .with("q", flags.q.as_deref())
            .with("limit", Some(&flags.limit.to_string()));
        query.of("/api/control/log")
    };
    let mut after = None;
    loop {
        let answer: Value = remote.post(&ask(after), &json!({})).await?;
        for line in answer["lines"].as_array().into_iter().flatten() {
            let shown = if flags.json { line.to_string() } else { text(line) };
            if writeln!(std::io::stdout(), "{shown}").is_err() {
                // Whoever read has seen enough.
                return Ok(());
            }
        }
        if !flags.follow {
            return Ok(());
        }
        after = answer["last"].as_u64();
        tokio::time::sleep(EVERY).await;
    }
}

/// `2026-05-01T12:00:00Z warn  http     503 what happened  i2  120 µs  4bf92f35…`
fn text(line: &Value) -> String {
    let said = |member: &str| line[member].as_str().unwrap_or_default();
    let mut shown = format!("{} {:<5} {:<8} ", said("at"), said("level"), said("hop"));
    if let Some(status) = line["status"].as_u64() {
        shown.push_str(&format!("{status} "));
    }
    shown.push_str(said("text"));
    let instance = line["instance"].as_str().map(|id| format!("  {id}"));
    let us = line["us"].as_f64().map(|us| format!("  {us:.0} µs"));
    let trace = line["trace_id"].as_str().map(|id| format!("  {id}"));
    let one_in = line["one_in"].as_u64().filter(|count| *count > 1).map(|count| format!("  (one in {count})"));
    shown.extend([instance, us, trace, one_in].into_iter().flatten());
    shown
}
