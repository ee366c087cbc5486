//! Loading `roundtrip.toml` again, for the owner's button and for the command.

use super::caller::{Answer, Call, Caller};
use super::journeys::json_answer;
use crate::domain::permission::Permission;
use crate::web::problem::Problem;

/// Checks what is written now and serves it, or says what is wrong with it and changes nothing.
pub async fn reload(call: Call) -> Answer {
    let who = match &call.caller {
        Caller::Command => "a command",
        _ => call.owner(Permission::StackChange)?,
    };
    let loaded = call.state.reloader.reload().await.map_err(|error| {
        let detail = format!("Nothing was changed. {error}.");
        Problem::new(None, 422, "bad-configuration", "Not a valid configuration", detail)
    })?;
    log::info!("{who} loaded the configuration again: {loaded:?}");
    Ok(json_answer(&loaded))
}
