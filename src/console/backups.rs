//! Backups, for the owner's page and for commands.

use serde::Serialize;
use serde_json::{Value, json};

use super::caller::{Answer, Body, Call};
use super::journeys::json_answer;
use super::written::{A_COMMAND, carry_out, record_after};
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::observe::happening::{Kind, Note};
use crate::observe::hop::Hop;
use crate::stack::backups::BackupsError;
use crate::store::backup::BackupError;
use crate::web::problem::Problem;

/// Longer than any name of a backup.
const NAME_CHARS_MAX: usize = 80;

/// Whoever reads the data meanwhile is done by then.
const RETRY_AFTER_S: u64 = 5;

pub async fn list(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    listed(&call).await
}

pub async fn create(call: Call) -> Answer {
    let name = call.owner(Permission::BackupManage)?.to_owned();
    created(&call, &name).await
}

pub async fn verify(call: Call, body: Body) -> Answer {
    let name = call.owner(Permission::BackupManage)?.to_owned();
    verified(&call, body, &name).await
}

pub async fn restore(call: Call, body: Body) -> Answer {
    let name = call.owner(Permission::BackupManage)?.to_owned();
    restored(&call, body, &name).await
}

pub async fn list_by_command(call: Call) -> Answer {
    call.command()?;
    listed(&call).await
}

pub async fn create_by_command(call: Call) -> Answer {
    call.command()?;
    created(&call, A_COMMAND).await
}

pub async fn verify_by_command(call: Call, body: Body) -> Answer {
    call.command()?;
    verified(&call, body, A_COMMAND).await
}

pub async fn restore_by_command(call: Call, body: Body) -> Answer {
    call.command()?;
    restored(&call, body, A_COMMAND).await
}

async fn listed(call: &Call) -> Answer {
    let backups = call.state.stack.backups().list().await;
    answer(backups.map(|backups| json!({ "backups": backups })))
}

async fn created(call: &Call, who: &str) -> Answer {
    let made = call.state.stack.backups().create(crate::stack::backups::MANUAL).await;
    if let Ok(made) = &made {
        log::info!("{who} made the backup {}", made.backup.name);
        let what = format!("backup {} made", made.backup.name);
        call.state.stack.happenings().record(Note { kind: Kind::Backup, hop: Some(Hop::Data), what, who, fault: None });
    }
    answer(made)
}

async fn verified(call: &Call, body: Body, who: &str) -> Answer {
    let name = named(call, body)?;
    log::info!("{who} verifies the backup {name}");
    answer(call.state.stack.backups().verify(name).await)
}

async fn restored(call: &Call, body: Body, who: &str) -> Answer {
    let name = named(call, body)?;
    if !call.state.stack.has_restaurant() {
        return Err(failed(BackupsError::NoRestaurant));
    }
    // What nobody has is not begun.
    let known = call.state.stack.backups().list().await.map_err(failed)?;
    if !known.iter().any(|backup| backup.name == name) {
        return Err(failed(BackupError::Unknown(name).into()));
    }
    log::warn!("{who} restores the backup {name}");
    let event = |after: &str| Event::new(who, "backup", &name, &Value::Null, &json!(after));
    let (state, restored, by, name) = (call.state.clone(), event("restored"), who.to_owned(), name.clone());
    let done = carry_out(&call.state, event("begun"), async move {
        let done = state.stack.restore(name, &by).await.map_err(failed)?;
        record_after(&state.control, vec![restored]).await;
        Ok(done)
    });
    done.await.map(|done| json_answer(&done))
}

fn named(call: &Call, body: Body) -> Result<String, Problem> {
    call.parse(body, |fields| fields.text("name", NAME_CHARS_MAX).map(str::to_owned))
}

fn answer(done: Result<impl Serialize, BackupsError>) -> Answer {
    done.map(|value| json_answer(&value)).map_err(failed)
}

fn failed(error: BackupsError) -> Problem {
    let detail = format!("{error}.");
    match error {
        BackupsError::Backup(BackupError::Unknown(_)) => {
            Problem::new(None, 404, "no-such-backup", "No such backup", detail)
        }
        BackupsError::Backup(BackupError::Unsound { .. }) => {
            Problem::new(None, 422, "unsound-backup", "The backup is not sound", detail)
        }
        BackupsError::NoRestaurant | BackupsError::Backup(BackupError::Nothing(_)) => {
            Problem::new(None, 409, "no-restaurant", "There is no data to do that with", detail)
        }
        BackupsError::NotReplaced(_) | BackupsError::Backup(BackupError::NotReplaced(_)) => {
            Problem::new(None, 503, "not-replaced", "The data was not replaced", detail).retry_after(RETRY_AFTER_S)
        }
        BackupsError::Backup(BackupError::Cancelled) => {
            Problem::new(None, 503, "stopping", "The server stops", detail).retry_after(RETRY_AFTER_S)
        }
        BackupsError::Backup(_) | BackupsError::CutOff(_) => {
            log::error!("backup: {error}");
            Problem::new(None, 500, "backup-failed", "It did not succeed", detail)
        }
    }
}
