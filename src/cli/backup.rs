//! `roundtrip backup`: through the running server, or on the folder of one that is stopped.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::data_dir::DataDir;
use super::remote::Remote;
use super::{CliError, DataDirFlag, data};
use crate::stack::backups::Made;
use crate::store::backup::{Backups, Listed, Reason, Restored};
use crate::store::verify::Report;

/// Every row may have to be copied, and looked at; millions of them on a slow disk.
pub const PATIENCE: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// Copy the databases as they are now; a server that runs goes on
    Create(Flags),
    /// List the backups, the newest first
    List(Flags),
    /// Restore one into a temporary place and check every row there
    Verify(NamedFlags),
    /// Put one in the place of the data; what is there now is kept as a backup, too
    Restore {
        #[command(flatten)]
        flags: NamedFlags,
        /// The console's database (owner and password), too; only where no server runs
        #[arg(long)]
        console: bool,
    },
}

#[derive(Debug, Args)]
pub struct Flags {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: DataDirFlag,
}

#[derive(Debug, Args)]
pub struct NamedFlags {
    /// As `backup list` names it [default: the newest that was made by the clock or by hand]
    name: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::new(error.to_string())
}

/// Where it is done.
enum Place {
    Running(Box<Remote>),
    /// Held as long as it is at work.
    Stopped(DataDir),
}

impl Place {
    fn find(folder: &DataDirFlag) -> Result<Place, CliError> {
        let path = folder.resolve()?;
        if !path.is_dir() {
            return Err(CliError::new(format!("there is no data folder {}", path.display())));
        }
        match DataDir::open(&path) {
            Ok(folder) => Ok(Place::Stopped(folder)),
            Err(held) => Remote::find(folder).map(|remote| Place::Running(Box::new(remote))).map_err(|_| held),
        }
    }

    fn backups(&self) -> Option<Backups> {
        match self {
            Place::Running(_) => None,
            Place::Stopped(folder) => Some(Backups::of(folder.path())),
        }
    }

    async fn ask(&self, what: &str, body: Value) -> Result<Value, CliError> {
        match self {
            Place::Running(remote) => {
                remote.post_within(PATIENCE, &format!("/api/control/backups/{what}"), &body).await
            }
            Place::Stopped(_) => Err(CliError::new("no server runs on this folder")),
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, CliError> {
        match self.backups() {
            Some(backups) => backups.list().map_err(failed),
            None => {
                let answer = self.ask("list", json!({})).await?;
                serde_json::from_value(answer["backups"].clone()).map_err(failed)
            }
        }
    }

    /// The one that was named, or the newest that was not made by a restore.
    async fn named(&self, name: &Option<String>) -> Result<String, CliError> {
        match name {
            Some(name) => Ok(name.clone()),
            None => {
                let made = |backup: &Listed| matches!(backup.reason, Reason::Hourly | Reason::Manual);
                let newest = self.list().await?.into_iter().find(made);
                newest.map(|backup| backup.name).ok_or_else(|| CliError::new("there is no backup yet"))
            }
        }
    }
}

pub async fn backup(verb: BackupVerb) -> Result<(), CliError> {
    match verb {
        BackupVerb::Create(flags) => create(&flags).await,
        BackupVerb::List(flags) => list(&flags).await,
        BackupVerb::Verify(NamedFlags { name, flags }) => verify(&name, &flags).await,
        BackupVerb::Restore { flags: NamedFlags { name, flags }, console } => restore(&name, &flags, console).await,
    }
}

async fn create(flags: &Flags) -> Result<(), CliError> {
    let place = Place::find(&flags.folder)?;
    let made: Made = match place.backups() {
        Some(backups) => {
            let backup = backups.create(Reason::Manual, None).map_err(failed)?;
            Made { backup, longest_commit_before_ms: None, longest_commit_ms: None }
        }
        None => serde_json::from_value(place.ask("create", json!({})).await?).map_err(failed)?,
    };
    say(flags.json, &made, || format!("{}  {}", made.backup.name, size(made.backup.bytes)))
}

async fn list(flags: &Flags) -> Result<(), CliError> {
    let listed = Place::find(&flags.folder)?.list().await?;
    let now = OffsetDateTime::now_utc();
    say(flags.json, &json!({ "backups": listed }), || {
        let lines: Vec<String> = listed.iter().map(|backup| line(backup, now)).collect();
        if lines.is_empty() { "There is no backup yet.".to_owned() } else { lines.join("\n") }
    })
}

async fn verify(name: &Option<String>, flags: &Flags) -> Result<(), CliError> {
    let place = Place::find(&flags.folder)?;
    let name = place.named(name).await?;
    let report: Report = match place.backups() {
        Some(backups) => backups.verify(&name).map_err(failed)?,
        None => serde_json::from_value(place.ask("verify", json!({ "name": name })).await?).map_err(failed)?,
    };
    data::say(&report, flags.json)
}

async fn restore(name: &Option<String>, flags: &Flags, console: bool) -> Result<(), CliError> {
    let place = Place::find(&flags.folder)?;
    let name = place.named(name).await?;
    let restored: Restored = match place.backups() {
        Some(backups) => backups.restore(&name, console).map_err(failed)?,
        None if console => {
            return Err(CliError::new("the console is running on its database; stop the server for --console"));
        }
        None => serde_json::from_value(place.ask("restore", json!({ "name": name })).await?).map_err(failed)?,
    };
    say(flags.json, &restored, || {
        let kept = match &restored.safety {
            Some(safety) => format!("; what was there before is {safety}"),
            None => String::new(),
        };
        format!("Restored {} with {} orders{kept}", restored.name, restored.orders)
    })
}

fn say(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
    if json {
        println!("{}", serde_json::to_string(value).map_err(failed)?);
    } else {
        println!("{}", text());
    }
    Ok(())
}

/// `2026-…-hourly   3 h ago    812.4 MB   1000000 orders   verified`
fn line(backup: &Listed, now: OffsetDateTime) -> String {
    let minutes = (now - backup.created_at).whole_minutes().max(0);
    let age = match minutes {
        0..60 => format!("{minutes} min ago"),
        60..2_880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    };
    let orders = backup.orders.map_or_else(|| "unread".to_owned(), |orders| format!("{orders} orders"));
    let verified = match &backup.verified {
        None => "not verified",
        Some(verdict) if verdict.ok => "verified",
        Some(_) => "BROKEN",
    };
    format!("{}  {age:>12}  {:>10}  {orders:>15}  {verified}", backup.name, size(backup.bytes))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
