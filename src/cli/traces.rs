//! `roundtrip traces`: the journeys that the running server has kept.

use clap::Args;
use serde_json::{Value, json};

use super::query::Query;
use super::remote::Remote;
use super::{CliError, DataDirFlag};
use crate::observe::log::plain;

#[derive(Debug, Args)]
pub struct TracesFlags {
    /// Only those that turned back, failed or were struck by a fault at this hop
    #[arg(long, value_name = "HOP")]
    hop: Option<String>,
    /// Only those whose route or path begins so: /api/v1/orders
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Only those with this status (404) or class (5xx)
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only those struck by this fault, or by one whose key begins so: fault.dns.
    #[arg(long, value_name = "KEY")]
    fault: Option<String>,
    /// Only those from somebody with this role (guest, waiter, …), or sent as one
    #[arg(long = "as", value_name = "ROLE")]
    sent_as: Option<String>,
    /// Only those that took at least so many microseconds
    #[arg(long, value_name = "µS")]
    min_us: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u64,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: DataDirFlag,
}

pub async fn traces(flags: TracesFlags) -> Result<(), CliError> {
    let query = Query::default()
        .with("hop", flags.hop.as_deref())
        .with("route", flags.route.as_deref())
        .with("status", flags.status.as_deref())
        .with("fault", flags.fault.as_deref())
        .with("as", flags.sent_as.as_deref())
        .with("min_us", flags.min_us.map(|us| us.to_string()).as_deref())
        .with("limit", Some(&flags.limit.to_string()));
    let answer: Value = Remote::find(&flags.folder)?.post(&query.of("/api/control/traces"), &json!({})).await?;
    for journey in answer["journeys"].as_array().into_iter().flatten() {
        println!("{}", if flags.json { journey.to_string() } else { text(journey) });
    }
    if !flags.json {
        println!("{} kept of {} seen. {}", answer["kept"], answer["seen"], answer["kept_why"].as_str().unwrap_or(""));
    }
    Ok(())
}

/// `2026-05-01T12:00:00Z 503   1234 µs  http      GET /api/v1/menu  error  fault.dns.delay  4bf92f35…`
fn text(journey: &Value) -> String {
    let said = |member: &str| plain::line(journey[member].as_str().unwrap_or_default());
    let faults: Vec<&str> = journey["faults"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    format!(
        "{} {} {:>9.0} µs  {:<8}  {} {}  {}  {}{}{}",
        said("sent_at"),
        journey["status"],
        journey["total_us"].as_f64().unwrap_or_default(),
        said("turn"),
        said("method"),
        said("path"),
        said("kept"),
        faults.join(" "),
        if faults.is_empty() { "" } else { "  " },
        said("trace_id"),
    )
}
