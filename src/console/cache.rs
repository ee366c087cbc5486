//! The edge's shared cache: what is in it, and taking things out of it.

use serde_json::{Value, json};

use super::caller::{Answer, Body, Call, stopped};
use super::journeys::json_answer;
use super::written::carry_out;
use crate::domain::event::Event;
use crate::domain::permission::Permission;

/// An address that somebody wants to be forgotten.
const URL_CHARS_MAX: usize = 4_096;

/// What to take out.
enum Purge {
    Url(String),
    Prefix(String),
    All,
}

pub async fn figures(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    let cache = call.state.stack.cache().ok_or_else(stopped)?;
    Ok(json_answer(&cache.figures()))
}

pub async fn purge(call: Call, body: Body) -> Answer {
    let name = call.owner(Permission::StackChange)?.to_owned();
    let purge = call.parse(body, |fields| {
        let detail = "A whole address is expected, such as https://bistro.localhost:8444/api/v1/menu.";
        let is_url = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        if fields.has("all") {
            fields.yes("all").map(|()| Purge::All)
        } else if fields.has("prefix") {
            fields.text_that("prefix", URL_CHARS_MAX, is_url, detail).map(|url| Purge::Prefix(url.to_owned()))
        } else {
            fields.text_that("url", URL_CHARS_MAX, is_url, detail).map(|url| Purge::Url(url.to_owned()))
        }
    })?;
    let cache = call.state.stack.cache().ok_or_else(stopped)?;
    let subject = match &purge {
        Purge::Url(url) => url.clone(),
        Purge::Prefix(url) => format!("{url}…"),
        Purge::All => "everything".to_owned(),
    };
    let event = Event::new(&name, "cache", &subject, &Value::Null, &json!("purged"));
    let act = async move {
        Ok(match purge {
            Purge::Url(url) => cache.purge_url(&url),
            Purge::Prefix(url) => cache.purge_prefix(&url),
            Purge::All => cache.clear(),
        })
    };
    let purged = carry_out(&call.state, event, act).await?;
    log::info!("{name} took {purged} answers out of the edge's cache");
    Ok(json_answer(&json!({ "purged": purged })))
}
