//! What faults do to a request in its instance: those of the whole instance, health checks included, and the API's own.

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;

use super::State;
use super::call::Call;
use crate::domain::permission::Role;
use crate::faults::{self, Place, Strike, is_on, strike};
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};
use crate::settings::fault::Fault;
use crate::web::cookie;
use crate::web::cut_off::CutOff;
use crate::web::problem::Problem;
use crate::web::respond::{self, header};

/// Requests of one instance that a fault may hold at once.
pub const STUCK_MAX: usize = 512;
/// Longer bodies are refused while they are tiny.
const TINY_BODY_BYTES: usize = 64;
/// What the balancer's health check asks: only what strikes the whole instance strikes it.
const HEALTH: &str = "/healthz";

/// Holds the request up, or says what is answered in its handler's place.
pub async fn instead(request: &ServiceRequest, state: &State, span: &Span) -> Option<HttpResponse> {
    if state.settings.snapshot().faults.none() {
        return None;
    }
    let role = aimed_role(request, state, span).await;
    let place = Place { path: Some(request.path()), role, ..state.home.place() };
    let settings = &state.settings;
    if let Some(paused) = is_on(settings, Fault::InstancePause, place)
        && !hold(paused, state, place, span).await
    {
        return Some(respond::problem(&full()));
    }
    if let Some(swallowed) = strike(settings, Fault::InstanceBlackHole, place) {
        hold(swallowed, state, place, span).await;
        span.status(Status::Error);
        return Some(HttpResponse::InternalServerError().body(CutOff));
    }
    hold_up(Hop::Service, Fault::InstanceSlow, state, place, span).await;
    if let Some(fails) = strike(settings, Fault::InstanceErrors, place) {
        return Some(failed(Hop::Service, "The instance", fails, span));
    }
    if request.path() == HEALTH {
        return None;
    }
    hold_up(Hop::Api, Fault::ApiDelay, state, place, span).await;
    strike(settings, Fault::ApiErrors, place).map(|fails| failed(Hop::Api, "The API", fails, span))
}

/// Who sent it, when a fault is aimed at a role. Looking keeps no session alive.
async fn aimed_role(request: &ServiceRequest, state: &State, span: &Span) -> Option<Role> {
    const BY_ROLE: [Fault; 4] = [Fault::InstanceSlow, Fault::InstanceErrors, Fault::ApiDelay, Fault::ApiErrors];
    let asked = {
        let snapshot = state.settings.snapshot();
        BY_ROLE.into_iter().any(|fault| snapshot.faults.get(fault).is_some_and(|spec| spec.aim.role.is_some()))
    };
    // A health check is nobody's, though it has no session either.
    if !asked || request.path() == HEALTH {
        return None;
    }
    let cookies = header(request.headers(), "cookie");
    let secret = cookies.and_then(|cookies| cookie::find(cookies, cookie::BISTRO));
    state.service.role_now(span, secret.filter(|_| !sessions_are_forgotten(state))).await.ok()
}

/// Keeps a request until the fault is over. False when too many are kept already.
async fn hold(held: Strike, state: &State, place: Place<'_>, span: &Span) -> bool {
    held.mark(span);
    let Ok(_stuck) = state.stuck.try_acquire() else { return false };
    let _held = span.child(Hop::Service, "Held by a fault");
    faults::over(&state.settings, held.fault, place).await;
    true
}

/// A delay, in a span of its own.
async fn hold_up(hop: Hop, fault: Fault, state: &State, place: Place<'_>, span: &Span) {
    if let Some(late) = strike(&state.settings, fault, place) {
        let held = span.child(hop, "Held up by a fault");
        late.mark(&held);
        faults::wait(&state.settings, late, place).await;
    }
}

fn failed(hop: Hop, who: &str, fails: Strike, span: &Span) -> HttpResponse {
    fails.mark(span);
    span.status(Status::Error);
    let detail = format!("{who} answers with 500 because the fault {} is on. Nothing was done.", fails.fault.key());
    respond::problem(&Problem::new(hop, 500, "fault", "A fault is on", detail))
}

fn full() -> Problem {
    let detail = format!("The instance is paused by a fault and holds {STUCK_MAX} requests already. Try again later.");
    Problem::new(Hop::Service, 503, "fault", "The instance is paused", detail).retry_after(1)
}

/// Whether nobody's session is known here.
pub fn sessions_are_forgotten(state: &State) -> bool {
    is_on(&state.settings, Fault::ApiForgetSessions, state.home.place()).is_some()
}

/// The refusal of a body that is long only because a fault is on.
pub fn tiny_bodies(call: &Call, span: &Span, body: &[u8]) -> Option<Problem> {
    let struck = call.struck(Fault::ApiTinyBodies).filter(|_| body.len() > TINY_BODY_BYTES)?;
    struck.mark(span);
    let why = struck.fault.key();
    let detail = format!("While the fault {why} is on, bodies of more than {TINY_BODY_BYTES} bytes are refused.");
    Some(Problem::new(Hop::Api, 413, "too-large", "Too large", detail))
}
