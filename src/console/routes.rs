//! Every address of the console, in one table.

use actix_web::{HttpResponse, web};

use super::{
    account, backups, cache, configuration, control, events, journeys, logs, pages, setup, signing, site, stack,
    traces, upstreams,
};
use crate::web::headers::CSP_REPORT;
use crate::web::problem::Problem;
use crate::web::respond::{self, get, resource};

pub fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/", "GET, HEAD").route(get().to(pages::journey)))
        .service(resource("/journeys/{trace_id}", "GET, HEAD").route(get().to(pages::journey)))
        .service(resource("/setup", "GET, HEAD").route(get().to(pages::setup)))
        .service(resource("/sign-in", "GET, HEAD").route(get().to(pages::sign_in)))
        .service(resource("/edge", "GET, HEAD").route(get().to(pages::edge)))
        .service(resource("/account", "GET, HEAD").route(get().to(pages::account)))
        .service(resource("/static/{hash}/{path:.*}", "GET, HEAD").route(get().to(pages::asset)))
        .service(resource(CSP_REPORT, "POST").route(web::post().to(respond::csp_report)))
        .service(resource("/favicon.ico", "GET, HEAD").route(get().to(pages::icon)))
        .service(resource("/api/setup", "POST").route(web::post().to(setup::claim)))
        .service(resource("/api/setup/password", "GET, HEAD").route(get().to(setup::suggestion)))
        .service(
            resource("/api/session", "GET, HEAD, POST, DELETE")
                .route(get().to(signing::who))
                .route(web::post().to(signing::sign_in))
                .route(web::delete().to(signing::sign_out)),
        )
        .service(resource("/api/presets", "GET, HEAD").route(get().to(journeys::presets)))
        .service(
            resource("/api/journeys", "GET, HEAD, POST")
                .route(get().to(journeys::recent))
                .route(web::post().to(journeys::send)),
        )
        .service(resource("/api/journeys/{trace_id}", "GET, HEAD").route(get().to(journeys::one)))
        .service(resource("/api/traces", "GET, HEAD").route(get().to(traces::list)))
        .service(resource("/api/log", "GET, HEAD").route(get().to(logs::list)))
        .service(resource("/api/events", "GET").route(web::get().to(events::stream)))
        .service(resource("/api/stack", "GET, HEAD").route(get().to(stack::view)))
        .service(resource("/api/stack/sides", "GET, HEAD").route(get().to(stack::sides)))
        .service(
            resource("/api/settings", "GET, HEAD, PATCH")
                .route(get().to(stack::settings))
                .route(web::patch().to(stack::change)),
        )
        .service(resource("/api/site", "GET, HEAD").route(get().to(site::view)))
        .service(resource("/api/upstreams/events", "GET, HEAD").route(get().to(upstreams::events)))
        .service(resource("/api/upstreams/{id}", "PATCH").route(web::patch().to(upstreams::change)))
        .service(resource("/api/cache", "GET, HEAD").route(get().to(cache::figures)))
        .service(resource("/api/cache/purge", "POST").route(web::post().to(cache::purge)))
        .service(resource("/api/data/slow", "GET, HEAD").route(get().to(stack::slow)))
        .service(resource("/api/configuration/reload", "POST").route(web::post().to(configuration::reload)))
        .service(
            resource("/api/backups", "GET, HEAD, POST")
                .route(get().to(backups::list))
                .route(web::post().to(backups::create)),
        )
        .service(resource("/api/backups/verify", "POST").route(web::post().to(backups::verify)))
        .service(resource("/api/backups/restore", "POST").route(web::post().to(backups::restore)))
        .service(resource("/api/staff", "GET, HEAD").route(get().to(account::staff)))
        .service(resource("/api/staff/{name}/password", "PUT").route(web::put().to(account::set_password)))
        .service(resource("/api/control/backups/list", "POST").route(web::post().to(backups::list_by_command)))
        .service(resource("/api/control/backups/create", "POST").route(web::post().to(backups::create_by_command)))
        .service(resource("/api/control/backups/verify", "POST").route(web::post().to(backups::verify_by_command)))
        .service(resource("/api/control/backups/restore", "POST").route(web::post().to(backups::restore_by_command)))
        .service(resource("/api/control/configuration", "POST").route(web::post().to(configuration::reload_by_command)))
        .service(resource("/api/control/settings", "POST").route(web::post().to(stack::change_by_command)))
        .service(resource("/api/control/traces", "POST").route(web::post().to(traces::list_by_command)))
        .service(resource("/api/control/log", "POST").route(web::post().to(logs::list_by_command)))
        .service(resource("/api/control/setup-link", "POST").route(web::post().to(control::setup_link)))
        .service(resource("/api/control/owner", "POST").route(web::post().to(control::owner)))
        .service(resource("/api/control/sessions", "POST").route(web::post().to(control::session)))
        .service(
            resource("/api/control/journeys", "POST")
                .app_data(web::PayloadConfig::new(control::SPANS_BYTES_MAX))
                .route(web::post().to(control::journey)),
        )
        .default_service(web::to(not_found));
}

async fn not_found() -> HttpResponse {
    respond::problem(&Problem::new(None, 404, "no-such-address", "No such address", "Nothing answers here."))
}
