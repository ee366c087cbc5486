//! Sends requests through a stack, as any client would, and collects their journeys.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::presets::Preset;
use crate::client::{Connection, Outgoing};
use crate::domain::order::OrderId;
use crate::domain::permission::Role;
use crate::domain::session::SessionSecret;
use crate::observe::journey::Journey;
use crate::stack::Stack;
use crate::web::cookie;

/// Longest that one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Requests that one order may ask for.
pub const COUNT_MAX: usize = 50;

/// A request, as it is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub method: String,
    /// `{order}` stands for an order of somebody else, placed for the purpose.
    pub path: String,
    pub body: Option<String>,
}

impl From<&Preset> for Wish {
    fn from(preset: &Preset) -> Self {
        Self { method: preset.method.to_owned(), path: preset.path.to_owned(), body: preset.body.map(str::to_owned) }
    }
}

/// What to send, and how.
#[derive(Debug, Clone)]
pub struct Sending {
    pub wish: Wish,
    pub role: Role,
    /// Over a connection that is open already, or a new one for each.
    pub kept: bool,
    pub bypass_caches: bool,
    /// 1 to [`COUNT_MAX`].
    pub count: usize,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("no session could be made for that role: {0}")]
    Session(String),
    #[error("no order of somebody else could be placed first: {0}")]
    OtherOrder(String),
}

/// Sends one after another and returns the journeys in that order.
pub async fn send(stack: &Stack, sending: Sending) -> Result<Vec<Arc<Journey>>, SendError> {
    let session = stack.mint_session(sending.role).await;
    let session = session.map_err(|error| SendError::Session(error.to_string()))?;
    let Wish { method, path, body } = &sending.wish;
    let path = if path.contains("{order}") {
        let id = somebody_elses_order(stack).await?;
        path.replace("{order}", id.as_str())
    } else {
        path.clone()
    };
    if sending.kept {
        // Kept means that it is there already. Where it can't be opened, the request's own journey shows why.
        if let Err(reason) = stack.client().open(&stack.app_url()).await {
            log::debug!("no connection to keep: {reason}");
        }
    }
    let mut journeys = Vec::with_capacity(sending.count);
    for _ in 0..sending.count {
        let request = Outgoing {
            connection: if sending.kept { Connection::Kept } else { Connection::Fresh },
            bypass_caches: sending.bypass_caches,
            sent_as: Some(sending.role.id().to_owned()),
            ..outgoing(stack, method, &path, body.as_deref(), session.as_ref())
        };
        let part = match stack.client().send(request).await {
            Ok(answer) => answer.part,
            // The journey shows where it ended.
            Err(failure) => *failure.part,
        };
        journeys.push(stack.recorder().finish(part).await);
    }
    Ok(journeys)
}

fn outgoing(stack: &Stack, method: &str, path: &str, body: Option<&str>, session: Option<&SessionSecret>) -> Outgoing {
    let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
    if body.is_some() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    if let Some(session) = session {
        headers.push(("cookie".to_owned(), format!("{}={}", cookie::BISTRO, session.expose())));
        headers.push(("origin".to_owned(), stack.app_url()));
    }
    Outgoing {
        method: method.to_owned(),
        headers,
        body: body.map_or_else(Default::default, |body| body.to_owned().into()),
        timeout: TIMEOUT,
        ..Outgoing::get(format!("{}{path}", stack.app_url()))
    }
}

/// Places an order as a guest nobody knows, through the front door, and returns its id.
async fn somebody_elses_order(stack: &Stack) -> Result<OrderId, SendError> {
    let failed = |reason: String| SendError::OtherOrder(reason);
    let body = r#"{"table":7,"lines":[{"menu_item_id":1,"quantity":1}]}"#;
    let order = Outgoing { probe: false, ..outgoing(stack, "POST", "/api/v1/orders", Some(body), None) };
    let answer = stack.client().send(order).await.map_err(|failure| failed(failure.message))?;
    let document: Value = serde_json::from_slice(&answer.body).map_err(|error| failed(error.to_string()))?;
    let id = document["id"].as_str().and_then(OrderId::parse);
    id.ok_or_else(|| failed(document["detail"].as_str().unwrap_or("the answer names no order").to_owned()))
}
