//! Who is asking, as a handler sees it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};

use serde_json::Value;

use super::State;
use crate::domain::permission::{Permission, Role, Scope};
use crate::domain::session::SessionSecret;
use crate::store::StoreError;
use crate::web::fields::{self, Fields};
use crate::web::problem::Problem;
use crate::web::respond::{self, header};

/// Decided by the gate.
#[derive(Clone)]
pub enum Caller {
    Nobody,
    Owner {
        name: String,
        secret: SessionSecret,
    },
    /// A script with an API token, in the owner's place as far as its scopes go.
    Token {
        id: i64,
        /// `token NAME`.
        who: String,
        scopes: Vec<Scope>,
    },
    /// A command that proved it can read the data folder.
    Command,
}

/// A request as a handler sees it.
pub struct Call {
    pub request: HttpRequest,
    pub(super) state: web::Data<State>,
    pub caller: Caller,
}

/// What actix could read of a body.
pub type Body = Result<web::Bytes, actix_web::Error>;
/// Refusals are answers too.
pub type Answer = Result<HttpResponse, Problem>;

impl FromRequest for Call {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<State>>().cloned();
        let caller = request.extensions().get::<Caller>().cloned();
        ready(match (state, caller) {
            (Some(state), Some(caller)) => Ok(Call { request: request.clone(), state, caller }),
            _ => Err(actix_web::error::ErrorInternalServerError("the gate did not run")),
        })
    }
}

impl Call {
    /// The name of whoever asks, if the owner has `permission`, and a token of the owner's the scope for it.
    pub fn owner(&self, permission: Permission) -> Result<&str, Problem> {
        match &self.caller {
            Caller::Owner { name, .. } if Role::Owner.may(permission) => Ok(name),
            Caller::Token { who, scopes, .. } => match Scope::needed(permission) {
                Some(scope) if scopes.contains(&scope) => Ok(who),
                needed => Err(out_of_scope(needed)),
            },
            _ => {
                let detail = "Sign in at /sign-in, then try again.";
                Err(Problem::new(None, 401, "sign-in-first", "Sign in first", detail))
            }
        }
    }

    /// Only for commands.
    pub fn command(&self) -> Result<(), Problem> {
        match self.caller {
            Caller::Command => Ok(()),
            _ => {
                let detail = "This address is for commands that can read the data folder.";
                Err(Problem::new(None, 401, "commands-only", "Commands only", detail))
            }
        }
    }

    /// Reads the body with `read`.
    pub fn parse<T>(&self, body: Body, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, Problem> {
        let bytes = whole(body)?;
        fields::parse(None, self.media_type(), &bytes, read)
    }

    /// Reads the body as any JSON of at most `depth_max` levels.
    pub fn json(&self, body: Body, depth_max: usize) -> Result<Value, Problem> {
        let bytes = whole(body)?;
        fields::json(None, self.media_type(), &bytes, depth_max)
    }

    fn media_type(&self) -> &str {
        header(self.request.headers(), CONTENT_TYPE.as_str()).unwrap_or_default()
    }
}

fn whole(body: Body) -> Result<web::Bytes, Problem> {
    body.map_err(|error| respond::unreadable(None, &error))
}

/// RFC 6750, section 3.1: it would need another token, or the owner.
fn out_of_scope(needed: Option<Scope>) -> Problem {
    let detail = match needed {
        Some(scope) => format!("This needs a token with the scope {}. Make one: roundtrip token create", scope.id()),
        None => "No token may do this: the owner must, at the console.".to_owned(),
    };
    Problem::new(None, 403, "insufficient-scope", "Not with this token", detail)
}

/// There is nothing left to ask.
pub fn stopped() -> Problem {
    Problem::new(None, 503, "stopped", "Stopping", "The stack is being stopped.")
}

/// What the store refused, as a problem document.
pub fn unavailable(error: StoreError) -> Problem {
    match error {
        StoreError::Unavailable { retry_after, .. } => {
            let detail = "The database could not confirm this. Try again shortly.";
            Problem::new(None, 503, "data-unavailable", "The data is busy", detail)
                .retry_after(retry_after.as_secs().max(1))
        }
        StoreError::Internal(reason) => {
            log::error!("console: {reason}");
            let detail = "The server failed at this; it is in its log. Nothing was changed.";
            Problem::new(None, 500, "internal", "Something went wrong here", detail)
        }
    }
}
