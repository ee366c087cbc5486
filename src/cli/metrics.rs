//! `roundtrip metrics`: what the tools that engineers watch with need.

use clap::Subcommand;
use serde_json::{Value, json};

use super::remote::Remote;
use super::{CliError, DataDirFlag};

/// A dashboard for Grafana, and rules for Prometheus. Every metric that they name is served.
pub const DASHBOARD: &str = include_str!("../../data/metrics/dashboard.json");
pub const ALERTS: &str = include_str!("../../data/metrics/alerts.yaml");

#[derive(Debug, Subcommand)]
pub enum MetricsVerb {
    /// Print the metrics of the running server as Prometheus reads them
    Show(DataDirFlag),
    /// Print a dashboard to import into Grafana
    Dashboard,
    /// Print alerting rules for Prometheus
    Alerts,
}

pub async fn metrics(verb: MetricsVerb) -> Result<(), CliError> {
    match verb {
        MetricsVerb::Show(folder) => {
            let answer: Value = Remote::find(&folder)?.post("/api/control/metrics", &json!({})).await?;
            print!("{}", answer["text"].as_str().unwrap_or_default());
        }
        MetricsVerb::Dashboard => print!("{DASHBOARD}"),
        MetricsVerb::Alerts => print!("{ALERTS}"),
    }
    Ok(())
}
