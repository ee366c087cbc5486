//! `roundtrip drill`: the disaster, carried out. In a temporary folder a server takes orders, is backed up
//! meanwhile, dies without a word, loses its database, and is restored; every figure is measured.

mod child;
mod load;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::remote::Remote;
use super::{CliError, DataDirFlag};
use crate::stack::backups::Made;
use crate::store::backup::Backups;
use crate::store::{BISTRO_FILE, generate, verify};
use crate::web::secret::{hex, random_bytes};
use child::Child;
use load::{Load, Waits};

/// How long orders come in before something happens, and after.
const STRETCH: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub struct DrillFlags {
    /// Orders that are there before the disaster
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=generate::ORDERS_MAX))]
    orders: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    ok: bool,
    orders: u64,
    generate_ms: u128,
    backup: BackupOutcome,
    crash: CrashOutcome,
    disaster: DisasterOutcome,
    verify_ms: u128,
    /// What is broken, in words.
    wrong: Vec<String>,
}

#[derive(Debug, Serialize)]
struct BackupOutcome {
    ms: u128,
    bytes: u64,
    /// The writer's slowest commit, before the backup and while it was made.
    longest_commit_before_ms: Option<f64>,
    longest_commit_ms: Option<f64>,
    /// What clients waited for an order, before the backup and while it was made.
    waits_before: Waits,
    waits_meanwhile: Waits,
}

/// kill -9, and the same folder again.
#[derive(Debug, Serialize)]
struct CrashOutcome {
    acknowledged: usize,
    /// RPO: orders that were acknowledged and are gone.
    lost: usize,
    /// RTO: from the kill to the first request that was answered.
    rto_ms: u128,
}

/// kill -9, the database destroyed, the backup restored.
#[derive(Debug, Serialize)]
struct DisasterOutcome {
    acknowledged: usize,
    lost: usize,
    /// Of those, acknowledged before the backup began: there must be none.
    lost_from_before_backup: usize,
    /// RPO as time: from the backup's beginning to the kill.
    backup_age_ms: u128,
    restore_ms: u128,
    rto_ms: u128,
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::new(error.to_string())
}

/// Goes with this value, and with it all that was in it.
struct Ground(PathBuf);

impl Ground {
    fn make() -> Result<Ground, CliError> {
        let path = std::env::temp_dir().join(format!("roundtrip-drill-{}", hex(&random_bytes::<8>().map_err(failed)?)));
        crate::store::backup::private_folder(&path).map_err(failed)?;
        Ok(Ground(path))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            log::warn!("{} is left behind: {error}", self.0.display());
        }
    }
}

pub async fn drill(flags: DrillFlags) -> Result<(), CliError> {
    let ground = Ground::make()?;
    let told = |step: &str| {
        if !flags.json {
            println!("{step}");
        }
    };
    let outcome = run(&ground.0, flags.orders, &told).await?;
    if flags.json {
        println!("{}", serde_json::to_string(&outcome).map_err(failed)?);
    } else {
        print!("{}", text(&outcome));
    }
    match outcome.wrong.first() {
        None => Ok(()),
        Some(first) => Err(failed(first)),
    }
}

async fn run(ground: &Path, orders: u64, told: &dyn Fn(&str)) -> Result<Outcome, CliError> {
    let data = ground.join("data");
    crate::store::backup::private_folder(&data).map_err(failed)?;
    told(&format!("Inventing {orders} orders"));
    let begun = Instant::now();
    generate::generate(&data, orders, 7, &mut |_| {}).map_err(failed)?;
    let generate_ms = begun.elapsed().as_millis();
    let mut wrong = Vec::new();

    told("A server takes orders and is backed up meanwhile, then kill -9");
    let server = Child::start(&data).await?;
    let load = Load::start(&server.app()?)?;
    tokio::time::sleep(STRETCH).await;
    let began = Instant::now();
    let Made { backup: listed, longest_commit_before_ms, longest_commit_ms } = back_up(&data).await?;
    let backed_up = began.elapsed();
    tokio::time::sleep(STRETCH).await;
    let killed = server.kill().await?;
    let mut acknowledged = load.stop().await;
    let waits = |from: Instant, to: Instant| Waits::of(&acknowledged, from, to);
    let backup = BackupOutcome {
        ms: backed_up.as_millis(),
        bytes: listed.bytes,
        longest_commit_before_ms,
        longest_commit_ms,
        waits_before: waits(began - STRETCH, began),
        waits_meanwhile: waits(began, began + backed_up),
    };

    told("The same folder again: every acknowledged order must be there");
    let server = Child::start(&data).await?;
    let rto_ms = server.first_answer().await?.duration_since(killed).as_millis();
    let crash = CrashOutcome { acknowledged: acknowledged.len(), lost: lost(&data, &acknowledged)?.len(), rto_ms };
    if crash.lost > 0 {
        wrong.push(format!("{} acknowledged orders were lost by a crash", crash.lost));
    }
    wrong.extend(verify::verify(&data).map_err(failed)?.wrong);

    told("More orders, kill -9, and the database is destroyed");
    let load = Load::start(&server.app()?)?;
    tokio::time::sleep(STRETCH).await;
    let killed = server.kill().await?;
    acknowledged.extend(load.stop().await);
    destroy(&data)?;
    told("The backup is restored and a server started on it");
    let begun = Instant::now();
    let restored = Backups::of(&data).restore(&listed.name, false).map_err(failed)?;
    let restore_ms = begun.elapsed().as_millis();
    let server = Child::start(&data).await?;
    let rto_ms = server.first_answer().await?.duration_since(killed).as_millis();
    server.kill().await?;

    let gone = lost(&data, &acknowledged)?;
    let before = acknowledged.iter().filter(|order| order.at < began && gone.contains(&order.id)).count();
    let disaster = DisasterOutcome {
        acknowledged: acknowledged.len(),
        lost: gone.len(),
        lost_from_before_backup: before,
        backup_age_ms: killed.duration_since(began).as_millis(),
        restore_ms,
        rto_ms,
    };
    if before > 0 {
        wrong.push(format!("{before} orders are gone that were acknowledged before the backup began"));
    }
    if listed.orders != Some(restored.orders) {
        wrong.push(format!("{} orders were restored, not those of the backup", restored.orders));
    }
    let begun = Instant::now();
    wrong.extend(verify::verify(&data).map_err(failed)?.wrong);
    let verify_ms = begun.elapsed().as_millis();
    Ok(Outcome { ok: wrong.is_empty(), orders, generate_ms, backup, crash, disaster, verify_ms, wrong })
}

async fn back_up(data: &Path) -> Result<Made, CliError> {
    let remote = Remote::find(&DataDirFlag { data_dir: Some(data.to_owned()) })?;
    remote.post_within(super::backup::PATIENCE, "/api/control/backups/create", &json!({})).await
}

/// As a disk does that fails: the file is there and says nothing, its log is gone.
fn destroy(data: &Path) -> Result<(), CliError> {
    let path = data.join(BISTRO_FILE);
    let size = std::fs::metadata(&path).map_err(failed)?.len();
    std::fs::write(&path, vec![0xA5; usize::try_from(size.min(1 << 20)).map_err(failed)?]).map_err(failed)?;
    for log in ["bistro.db-wal", "bistro.db-shm"] {
        if data.join(log).exists() {
            std::fs::remove_file(data.join(log)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Those of them that are not in the database.
fn lost(data: &Path, acknowledged: &[load::Acknowledged]) -> Result<HashSet<String>, CliError> {
    let ids: Vec<&str> = acknowledged.iter().map(|order| order.id.as_str()).collect();
    let missing = verify::missing(data, &ids).map_err(failed)?;
    Ok(missing.into_iter().collect())
}

fn text(outcome: &Outcome) -> String {
    let Outcome { orders, generate_ms, backup, crash, disaster, verify_ms, .. } = outcome;
    let mut text = format!(
        "\n{orders} orders invented in {generate_ms} ms\n\
         Backup under load     {} ms, {} bytes; the slowest commit took {} ms ({} before); \
         an order took {}, before {}\n\
         kill -9               RPO {} of {} acknowledged orders lost, RTO {} ms\n\
         Database destroyed    RPO {} of {} lost, all from after the backup ({} ms old), RTO {} ms (restore {} ms)\n\
         Verified in           {verify_ms} ms\n",
        backup.ms,
        backup.bytes,
        backup.longest_commit_ms.unwrap_or_default(),
        backup.longest_commit_before_ms.unwrap_or_default(),
        backup.waits_meanwhile,
        backup.waits_before,
        crash.lost,
        crash.acknowledged,
        crash.rto_ms,
        disaster.lost,
        disaster.acknowledged,
        disaster.backup_age_ms,
        disaster.rto_ms,
        disaster.restore_ms,
    );
    text.push_str(if outcome.ok { "Every rule holds.\n" } else { "" });
    text
}
