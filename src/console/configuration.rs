//! Loading `roundtrip.toml` again, for the owner's button, for the command and for the signal.

use actix_web::web;
use serde_json::{Value, json};

use super::State;
use super::caller::{Answer, Call};
use super::journeys::json_answer;
use super::settings::write_then_change;
use super::written::{A_COMMAND, carry_out, record_after, to_its_end};
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::settings::startup::Startup;
use crate::stack::reload::{Loaded, ReloadError};
use crate::web::problem::Problem;

/// For the owner.
pub async fn reload(call: Call) -> Answer {
    let name = call.owner(Permission::ConfigurationLoad)?.to_owned();
    load(&call.state, name).await.map(|loaded| json_answer(&loaded))
}

/// For a command.
pub async fn reload_by_command(call: Call) -> Answer {
    call.command()?;
    load(&call.state, A_COMMAND.to_owned()).await.map(|loaded| json_answer(&loaded))
}

/// Checks what is written now and serves it, or says what is wrong with it and changes nothing.
pub async fn load(state: &web::Data<State>, who: String) -> Result<Loaded, Problem> {
    to_its_end(checked_then_loaded(state.clone(), who)).await
}

async fn checked_then_loaded(state: web::Data<State>, who: String) -> Result<Loaded, Problem> {
    let asked = state.stack.restores();
    let _one_at_a_time = state.loading.lock().await;
    let startup = state.reloader.read().await.map_err(bad)?;
    let event = |after: &str| Event::new(&who, "configuration", "roundtrip.toml", &Value::Null, &json!(after));
    let (all, own, by) = (startup.clone(), state.clone(), who.clone());
    let loaded = carry_out(&state, event("begun"), async move {
        let loaded = own.reloader.serve(&all).await.map_err(bad)?;
        write_then_change(own, by, settings(&all), asked).await?;
        Ok(loaded)
    });
    let loaded = loaded.await?;
    record_after(&state.control, vec![event("loaded")]).await;
    log::info!("{who} loaded the configuration again: {loaded:?}");
    Ok(loaded)
}

fn settings(startup: &Startup) -> serde_json::Map<String, Value> {
    startup.settings.iter().cloned().collect()
}

fn bad(error: ReloadError) -> Problem {
    let detail = format!("Nothing was changed. {error}.");
    Problem::new(None, 422, "bad-configuration", "Not a valid configuration", detail)
}
