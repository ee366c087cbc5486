//! Loading `roundtrip.toml` again, for the owner's button and for the command.

use serde_json::json;

use super::caller::{Answer, Call, unavailable};
use super::journeys::json_answer;
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::web::problem::Problem;

/// For the owner.
pub async fn reload(call: Call) -> Answer {
    let name = call.owner(Permission::StackChange)?.to_owned();
    load(&call, &name).await
}

/// For a command.
pub async fn reload_by_command(call: Call) -> Answer {
    call.command()?;
    load(&call, "a command").await
}

/// Checks what is written now and serves it, or says what is wrong with it and changes nothing.
async fn load(call: &Call, who: &str) -> Answer {
    let event = Event {
        who: who.to_owned(),
        kind: "configuration",
        subject: "roundtrip.toml".to_owned(),
        before: None,
        after: Some(json!("loaded").to_string()),
    };
    call.state.control.record(vec![event]).await.map_err(unavailable)?;
    let loaded = call.state.reloader.reload(who).await.map_err(|error| {
        let detail = format!("Nothing was changed. {error}.");
        Problem::new(None, 422, "bad-configuration", "Not a valid configuration", detail)
    })?;
    log::info!("{who} loaded the configuration again: {loaded:?}");
    Ok(json_answer(&loaded))
}
