//! Every address of the application, in one table.

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpResponse, Resource, web};

use super::call::Call;
use super::{changes, days, front, kitchen, kitchen_events, ledger, menu, openapi, orders, pantry, session};
use crate::observe::hop::Hop;
use crate::web::headers::CSP_REPORT;
use crate::web::problem::Problem;
use crate::web::respond::{self, get};

/// The templates of [`configure`]: what requests are counted as, in the order of how often they are asked for.
pub const TEMPLATES: &[&str] = &[
    "/api/v1/menu",
    "/api/v1/menu/{id}",
    "/api/v1/orders",
    "/api/v1/orders/{id}",
    "/api/v1/orders/{id}/events",
    "/api/v1/orders/{id}/{action}",
    "/api/v1/session",
    "/static/{hash}/{path:.*}",
    "/",
    "/api/v1/kitchen",
    "/api/v1/kitchen/events",
    "/api/v1/kitchen/pause",
    "/api/v1/kitchen/resume",
    "/api/v1/kitchen/tickets/{id}/{direction}",
    "/api/v1/pantry",
    "/api/v1/ledger",
    "/api/v1/ledger/days",
    "/api/openapi.json",
    "/healthz",
    "/readyz",
    "/favicon.ico",
    "/kitchen",
    "/floor",
    "/pantry",
    CSP_REPORT,
];

pub fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/api/v1/menu", "GET, HEAD").route(get().to(menu::list)))
        .service(resource("/api/v1/menu/{id}", "GET, HEAD").route(get().to(menu::one)))
        .service(
            resource("/api/v1/orders", "GET, HEAD, POST")
                .route(get().to(orders::list))
                .route(web::post().to(orders::place)),
        )
        .service(
            resource("/api/v1/orders/{id}", "GET, HEAD, PUT")
                .route(get().to(orders::one))
                .route(web::put().to(changes::edit)),
        )
        .service(resource("/api/v1/orders/{id}/events", "GET, HEAD").route(get().to(orders::events)))
        .service(resource("/api/v1/orders/{id}/{action}", "POST").route(web::post().to(changes::act)))
        .service(resource("/api/v1/kitchen", "GET, HEAD").route(get().to(kitchen::read)))
        .service(resource("/api/v1/kitchen/events", "GET").route(web::get().to(kitchen_events::stream)))
        .service(resource("/api/v1/kitchen/pause", "POST").route(web::post().to(kitchen::pause)))
        .service(resource("/api/v1/kitchen/resume", "POST").route(web::post().to(kitchen::resume)))
        .service(resource("/api/v1/kitchen/tickets/{id}/{direction}", "POST").route(web::post().to(kitchen::direct)))
        .service(resource("/api/v1/ledger", "GET, HEAD").route(get().to(ledger::read)))
        .service(resource("/api/v1/pantry", "GET, HEAD").route(get().to(pantry::read)))
        .service(
            resource("/api/v1/ledger/days", "GET, HEAD, POST")
                .route(get().to(days::list))
                .route(web::post().to(days::close)),
        )
        .service(
            resource("/api/v1/session", "GET, HEAD, POST, DELETE")
                .route(get().to(session::who))
                .route(web::post().to(session::sign_in))
                .route(web::delete().to(session::sign_out)),
        )
        .service(resource("/api/openapi.json", "GET, HEAD").route(get().to(openapi::document)))
        .service(resource("/healthz", "GET, HEAD").route(get().to(front::alive)))
        .service(resource("/readyz", "GET, HEAD").route(get().to(front::ready)))
        .service(resource("/static/{hash}/{path:.*}", "GET, HEAD").route(get().to(front::asset)))
        .service(resource(CSP_REPORT, "POST").route(web::post().to(respond::csp_report)))
        .service(resource("/favicon.ico", "GET, HEAD").route(get().to(front::icon)))
        .service(resource("/kitchen", "GET, HEAD").route(get().to(front::kitchen)))
        .service(resource("/floor", "GET, HEAD").route(get().to(front::floor)))
        .service(resource("/", "GET, HEAD").route(get().to(front::page)))
        .service(resource("/pantry", "GET, HEAD").route(get().to(front::pantry)))
        .default_service(web::to(not_found));
}

/// An address that answers every other method with 405 and `Allow` (RFC 9110, section 15.5.6).
fn resource(path: &'static str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move |call: Call| async move {
        let detail = format!("{} is not for this address; it takes {allow}.", call.request().method());
        let problem = Problem::new(Hop::Api, 405, "method-not-allowed", "Method not allowed", detail);
        let mut response = respond::problem(&call.refused(problem));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        response
    }))
}

pub async fn not_found(call: Call) -> Result<HttpResponse, Problem> {
    Err(call.refused(Problem::new(
        Hop::Api,
        404,
        "no-such-address",
        "No such address",
        "Nothing answers here. /api/openapi.json lists every address.",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_counted_as_a_route() {
        // actix lists its resources to nobody: this reads them where they are written.
        let (code, _) = include_str!("routes.rs").split_once("#[cfg(test)]").expect("this test");
        let (_, configure) = code.split_once("pub fn configure").expect("the table");
        let mut resources: Vec<&str> = Vec::new();
        for text in configure.split("resource(").skip(1).map(str::trim_start) {
            if let Some(literal) = text.strip_prefix('"') {
                resources.extend(literal.split('"').next());
            } else if text.starts_with("CSP_REPORT") {
                resources.push(CSP_REPORT);
            }
        }
        let mut templates = TEMPLATES.to_vec();
        templates.sort_unstable();
        resources.sort_unstable();
        assert_eq!(resources, templates);
    }
}
