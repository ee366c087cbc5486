//! `roundtrip instances`, `restart` and `release`: what runs behind the balancer of the running server.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::remote::Remote;
use super::{CliError, DataDirFlag};

/// What is under way in an instance that leaves may take half a minute.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a rollout that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[derive(Debug, Subcommand)]
pub enum InstancesVerb {
    /// List them, with what each is doing
    List(DataDirFlag),
    /// Start one more
    Add(DataDirFlag),
    /// Empty one: it gets no new requests, and what it has under way ends
    Drain(OneInstance),
    /// Let an emptied one take requests again
    Undrain(OneInstance),
    /// Empty one and stop it
    Remove(OneInstance),
}

#[derive(Debug, Args)]
pub struct OneInstance {
    /// Such as i2
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    folder: DataDirFlag,
}

#[derive(Debug, Args)]
pub struct RestartFlags {
    /// One instance after another, while the others take the requests
    #[arg(long, required = true)]
    rolling: bool,
    #[command(flatten)]
    folder: DataDirFlag,
}

#[derive(Debug, Args)]
pub struct ReleaseFlags {
    /// The new version's name, such as v2: faults can be aimed at it, which makes it a bad one
    #[arg(value_name = "VERSION", required_unless_present = "back")]
    version: Option<String>,
    /// How long its first instance is compared with the others, in seconds (20 or 20s)
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    watch: Option<u64>,
    /// Call back the one that is under way
    #[arg(long, conflicts_with_all = ["version", "watch"])]
    back: bool,
    #[command(flatten)]
    folder: DataDirFlag,
}

fn seconds(text: &str) -> Result<u64, String> {
    text.strip_suffix('s').unwrap_or(text).parse().map_err(|_| "it must be seconds, such as 20s".to_owned())
}

pub async fn instances(verb: InstancesVerb) -> Result<(), CliError> {
    let (folder, body) = match verb {
        InstancesVerb::List(folder) => (folder, json!({ "act": "list" })),
        InstancesVerb::Add(folder) => (folder, json!({ "act": "add" })),
        InstancesVerb::Drain(one) => (one.folder, json!({ "act": "drain", "id": one.id })),
        InstancesVerb::Undrain(one) => (one.folder, json!({ "act": "undrain", "id": one.id })),
        InstancesVerb::Remove(one) => (one.folder, json!({ "act": "remove", "id": one.id })),
    };
    let answer: Value = Remote::find(&folder)?.post_within(PATIENCE, "/api/control/instances", &body).await?;
    for instance in answer["instances"].as_array().into_iter().flatten() {
        println!("{}", line(instance));
    }
    Ok(())
}

pub async fn restart(flags: RestartFlags) -> Result<(), CliError> {
    // Asked for by name, since another kind of restart would lose requests.
    debug_assert!(flags.rolling);
    follow(&Remote::find(&flags.folder)?, &json!({ "act": "restart" })).await
}

pub async fn release(flags: ReleaseFlags) -> Result<(), CliError> {
    let remote = Remote::find(&flags.folder)?;
    if let Some(watch) = flags.watch {
        let _: Value = remote.post("/api/control/settings", &json!({ "balancer.release.watch": watch })).await?;
    }
    match flags.version {
        Some(version) => follow(&remote, &json!({ "act": "release", "version": version })).await,
        None => follow(&remote, &json!({ "act": "call-back" })).await,
    }
}

/// Tells each step as it comes, until the end; an end that was not wanted is an error.
async fn follow(remote: &Remote, begin: &Value) -> Result<(), CliError> {
    let mut rollout: Value = remote.post("/api/control/rollouts", begin).await?;
    let mut told = 0;
    loop {
        let log = rollout["log"].as_array().map(Vec::as_slice).unwrap_or_default();
        for line in log.iter().skip(told) {
            println!("{}", line["text"].as_str().unwrap_or_default());
        }
        told = log.len();
        let why = rollout["why"].as_str().unwrap_or("no reason was given");
        match rollout["state"].as_str() {
            Some("running" | "watching" | "rolling-back") => {}
            Some("done") => return Ok(()),
            Some("rolled-back") => return Err(CliError::new(format!("it went back: {why}"))),
            _ => return Err(CliError::new(format!("it stopped: {why}"))),
        }
        tokio::time::sleep(LOOK_EVERY).await;
        rollout = remote.post("/api/control/rollouts", &json!({ "act": "show" })).await?;
    }
}

/// `i1  v1  healthy  127.0.0.1:40123  3 under way`
fn line(instance: &Value) -> String {
    let text = |key: &str| instance[key].as_str().unwrap_or("-").to_owned();
    let (id, version, state, address) = (text("id"), text("version"), text("state"), text("address"));
    format!("{id:<4} {version:<8} {state:<10} {address:<22} {} under way", instance["in_flight"])
}
