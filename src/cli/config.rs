//! `roundtrip config`: what `roundtrip.toml` says, checked; and loaded by the running server.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::remote::Remote;
use super::serve::collector;
use super::{CliError, DataDirFlag, certificates};
use crate::settings::site::{RESTAURANT, SitePlan};
use crate::settings::startup::{ServeFlags, Source};
use crate::stack::site;

#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Say whether `serve` would take these flags and the roundtrip.toml beside them, and what goes where
    Check(Box<ServeFlags>),
    /// Have the running server load its roundtrip.toml again (so does SIGHUP); no connection is dropped
    Reload(DataDirFlag),
}

pub async fn config(verb: ConfigVerb) -> Result<(), CliError> {
    match verb {
        ConfigVerb::Check(flags) => check(*flags),
        ConfigVerb::Reload(folder) => reload(&folder).await,
    }
}

fn check(flags: ServeFlags) -> Result<(), CliError> {
    let source = Source { flags, folder: PathBuf::from(".") };
    let startup = source.read().map_err(|error| CliError::new(error.to_string()))?;
    site::check(&startup.site).map_err(|error| CliError::new(error.to_string()))?;
    certificates::given(&startup)?;
    collector(&startup)?;
    print!("{}", text(&startup.site));
    Ok(())
}

async fn reload(folder: &DataDirFlag) -> Result<(), CliError> {
    let remote = Remote::find(folder)?;
    let loaded: Value = remote.post("/api/control/configuration", &json!({})).await?;
    println!("Loaded: {} pools, {} routes.", loaded["pools"], loaded["routes"]);
    let later: Vec<&str> = loaded["needs_restart"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !later.is_empty() {
        println!("From the next start on: {}.", later.join(", "));
    }
    Ok(())
}

/// The routes, one a line, and the upstreams of each pool.
fn text(site: &SitePlan) -> String {
    if site.routes.is_empty() {
        return "The configuration is valid. Everything goes to the restaurant.\n".to_owned();
    }
    let mut text = "The configuration is valid.\n".to_owned();
    for route in &site.routes {
        let host = route.host.as_deref().unwrap_or("*");
        let upstreams = match site.pools.iter().find(|pool| pool.name == route.pool) {
            Some(pool) => pool.upstreams.iter().map(|upstream| upstream.url.to_string()).collect::<Vec<_>>().join(" "),
            None => "the restaurant".to_owned(),
        };
        let pool = if route.pool == RESTAURANT { RESTAURANT } else { &route.pool };
        text.push_str(&format!("  {host}{}  →  {pool}: {upstreams}\n", route.path));
    }
    text
}
