//! A request as a handler sees it: its trace, who sent it, what that person may do.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::guard::Root;
use super::{Shared, State, faults, refusal};
use crate::domain::permission::{Permission, Role};
use crate::domain::session::Visitor;
use crate::faults::{Place, Strike, is_on};
use crate::observe::clock::Tick;
use crate::observe::hop::Hop;
use crate::observe::ids::SpanId;
use crate::observe::span::{Context, Span, Status, Trace};
use crate::service::{Service, ServiceError};
use crate::settings::fault::Fault;
use crate::settings::runtime::Snapshot;
use crate::web::cookie;
use crate::web::problem::Problem;
use crate::web::respond::header;

/// A call of one handler.
pub struct Call {
    request: HttpRequest,
    state: web::Data<State>,
    root: Shared<Root>,
}

impl FromRequest for Call {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let state = request.app_data::<web::Data<State>>().cloned();
        let root = request.extensions().get::<Shared<Root>>().cloned();
        let (Some(state), Some(root)) = (state, root) else {
            return ready(Err(actix_web::error::ErrorInternalServerError("the guard did not run")));
        };
        let matched = root.span.record(Hop::Api, "Match the route", root.started, Tick::now());
        matched.attribute("http.route", || request.match_pattern());
        ready(Ok(Call { request: request.clone(), state, root }))
    }
}

impl Call {
    pub fn request(&self) -> &HttpRequest {
        &self.request
    }

    pub fn span(&self) -> &Span {
        &self.root.span
    }

    /// Why this instance should get no requests now.
    pub fn unready(&self) -> Vec<String> {
        let stopping = *self.state.closing.borrow();
        let stopping = stopping.then(|| "it is being stopped".to_owned());
        stopping.into_iter().chain(self.state.service.unready()).collect()
    }

    pub fn service(&self) -> &Service {
        &self.state.service
    }

    /// What the settings say now.
    pub fn settings(&self) -> impl Deref<Target = Arc<Snapshot>> {
        self.state.settings.snapshot()
    }

    /// The session cookie's value; None while sessions are forgotten.
    pub fn session_secret(&self) -> Option<&str> {
        let secret = header(self.request.headers(), "cookie").and_then(|cookies| cookie::find(cookies, cookie::BISTRO));
        secret.filter(|_| !faults::sessions_are_forgotten(&self.state))
    }

    /// The fault, if it is on here.
    pub fn struck(&self, fault: Fault) -> Option<Strike> {
        let place = Place { path: Some(self.request.path()), ..self.state.home.place() };
        is_on(&self.state.settings, fault, place)
    }

    /// Who sent it.
    pub async fn visitor(&self) -> Result<Visitor, Problem> {
        let secret = self.session_secret();
        let span = self.span().child(Hop::Api, "Who are you?");
        self.struck(Fault::ApiForgetSessions).into_iter().for_each(|strike| strike.mark(&span));
        let visitor = self.state.service.visitor(&span, secret).await.map_err(|error| self.failed(&error))?;
        self.root.role.set(Some(visitor.role.id()));
        span.attribute("enduser.role", || visitor.role.id())
            .attribute("enduser.id", || visitor.person.map(|person| person.0))
            .attribute("roundtrip.api.session", || match (visitor.person, &visitor.name) {
                (None, _) => "none",
                (Some(_), None) => "guest",
                (Some(_), Some(_)) => "staff",
            });
        Ok(visitor)
    }

    /// Who sent it, if that role has `permission`.
    pub async fn allowed(&self, permission: Permission) -> Result<Visitor, Problem> {
        let visitor = self.visitor().await?;
        let span = self.span().child(Hop::Api, "May you do this?");
        let granted = visitor.role.may(permission);
        span.attribute("roundtrip.api.permission", || permission.id())
            .attribute("roundtrip.api.granted", || granted)
            .attribute("enduser.role", || visitor.role.id())
            .attribute("roundtrip.api.roles", || {
                Role::BISTRO
                    .into_iter()
                    .map(|role| json!({ "role": role.id(), "may": role.may(permission) }))
                    .collect::<Vec<_>>()
            });
        if granted {
            return Ok(visitor);
        }
        span.status(Status::Error);
        drop(span);
        let right = permission.id();
        Err(self.refused(if visitor.name.is_none() {
            let detail = format!("This needs the right {right}; guests don't have it. Sign in as somebody who has.");
            Problem::new(Hop::Api, 401, "sign-in-first", "Sign in first", detail)
        } else {
            let detail = format!("This needs the right {right}; the role {} doesn't have it.", visitor.role.id());
            Problem::new(Hop::Api, 403, "not-allowed", "Not allowed", detail)
        }))
    }

    /// For an answer that goes on after the call; None when too many do.
    pub fn listener(&self) -> Option<Listener> {
        Some(Listener {
            state: self.state.clone(),
            service: self.state.service.clone(),
            closing: self.state.closing.clone(),
            secret: self.session_secret().map(str::to_owned),
            _place: Arc::clone(&self.state.listeners).try_acquire_owned().ok()?,
        })
    }

    /// The answer for what the service refused.
    pub fn failed(&self, error: &ServiceError) -> Problem {
        if let ServiceError::Internal(reason) = error {
            let trace_id = self.span().trace().context().trace_id;
            log::error!(trace_id:%; "{} {}: {reason}", self.request.method(), self.request.path());
        }
        self.refused(refusal::of_service(error))
    }

    /// From here on it is only a matter of writing the problem down.
    pub fn refused(&self, problem: Problem) -> Problem {
        self.root.refused_at.set(Some(Tick::now()));
        problem
    }
}

/// A page that listens, beyond the call that it began with. Its place is free again when this is dropped.
pub struct Listener {
    pub service: Service,
    state: web::Data<State>,
    closing: watch::Receiver<bool>,
    secret: Option<String>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// Returns when the instance stops.
    pub async fn closed(&self) {
        let mut closing = self.closing.clone();
        // An error is a stop, too: whoever could have told is gone.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    /// Of a trace that nobody reads: the call's own ended with the answer's head.
    pub fn span(&self) -> Span {
        Trace::start(Context::new_root(), SpanId::random(), Hop::Api, "Go on with the answer", Tick::now())
    }

    /// Whether the session that it began with still counts. Looking does not keep it alive; a database that can't
    /// answer ends the stream, too: the page asks again, and is let in or not.
    pub async fn still_may(&self, permission: Permission) -> bool {
        let secret = self.secret.as_deref().filter(|_| !faults::sessions_are_forgotten(&self.state));
        let role = self.service.role_now(&self.span(), secret).await;
        role.is_ok_and(|role| role.may(permission))
    }
}
