//! Every address of the console, in one table.

use actix_web::{HttpResponse, web};

use super::{
    account, backups, cache, configuration, control, docs, events, happenings, instances, journeys, load, logs, pages,
    rollouts, settings, setup, signing, site, stack, tokens, traces, upstreams, watching,
};
use crate::web::headers::CSP_REPORT;
use crate::web::problem::Problem;
use crate::web::respond::{self, get, resource};

pub fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/", "GET, HEAD").route(get().to(pages::journey)))
        .service(resource("/journeys/{trace_id}", "GET, HEAD").route(get().to(pages::journey)))
        .service(resource("/setup", "GET, HEAD").route(get().to(pages::setup)))
        .service(resource("/sign-in", "GET, HEAD").route(get().to(pages::sign_in)))
        .service(resource("/break", "GET, HEAD").route(get().to(pages::faults)))
        .service(resource("/live", "GET, HEAD").route(get().to(pages::live)))
        .service(resource("/traces", "GET, HEAD").route(get().to(pages::traces)))
        .service(resource("/edge", "GET, HEAD").route(get().to(pages::edge)))
        .service(resource("/account", "GET, HEAD").route(get().to(pages::account)))
        .service(resource("/docs", "GET, HEAD").route(get().to(docs::index)))
        .service(resource("/docs/{name}", "GET, HEAD").route(get().to(docs::page)))
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
        .service(
            resource("/api/load", "GET, HEAD, POST, DELETE")
                .route(get().to(load::view))
                .route(web::post().to(load::start))
                .route(web::delete().to(load::stop)),
        )
        .service(resource("/metrics", "GET, HEAD").route(get().to(watching::metrics)))
        .service(resource("/healthz", "GET, HEAD").route(get().to(watching::alive)))
        .service(resource("/readyz", "GET, HEAD").route(get().to(watching::ready)))
        .service(resource("/api/live", "GET, HEAD").route(get().to(watching::live)))
        .service(resource("/api/stack", "GET, HEAD").route(get().to(stack::view)))
        .service(resource("/api/stack/sides", "GET, HEAD").route(get().to(stack::sides)))
        .service(
            resource("/api/settings", "GET, HEAD, PATCH")
                .route(get().to(settings::list))
                .route(web::patch().to(settings::change)),
        )
        .service(resource("/api/restore", "POST").route(web::post().to(settings::restore)))
        .service(resource("/api/bad-days", "GET, HEAD").route(get().to(settings::bad_days)))
        .service(resource("/api/bad-days/{id}", "POST").route(web::post().to(settings::begin_bad_day)))
        .service(resource("/api/happenings", "GET, HEAD").route(get().to(happenings::latest)))
        .service(resource("/api/changes", "GET, HEAD").route(get().to(happenings::changes)))
        .service(
            resource("/api/tokens", "GET, HEAD, POST")
                .route(get().to(tokens::list))
                .route(web::post().to(tokens::create)),
        )
        .service(resource("/api/tokens/{id}", "DELETE").route(web::delete().to(tokens::revoke)))
        .service(
            resource("/api/instances", "GET, HEAD, POST")
                .route(get().to(instances::list))
                .route(web::post().to(instances::add)),
        )
        .service(resource("/api/instances/{id}", "DELETE").route(web::delete().to(instances::remove)))
        .service(resource("/api/instances/{id}/drain", "POST").route(web::post().to(instances::drain)))
        .service(resource("/api/instances/{id}/undrain", "POST").route(web::post().to(instances::undrain)))
        .service(resource("/api/rollouts", "POST").route(web::post().to(rollouts::begin)))
        .service(resource("/api/rollouts/current", "DELETE").route(web::delete().to(rollouts::call_back)))
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
        .service(resource("/api/control/settings", "POST").route(web::post().to(settings::change_by_command)))
        .service(resource("/api/control/restore", "POST").route(web::post().to(settings::restore_by_command)))
        .service(resource("/api/control/tokens/list", "POST").route(web::post().to(tokens::list_by_command)))
        .service(resource("/api/control/tokens/create", "POST").route(web::post().to(tokens::create_by_command)))
        .service(resource("/api/control/tokens/revoke", "POST").route(web::post().to(tokens::revoke_by_command)))
        .service(resource("/api/control/instances", "POST").route(web::post().to(instances::by_command)))
        .service(resource("/api/control/rollouts", "POST").route(web::post().to(rollouts::by_command)))
        .service(resource("/api/control/metrics", "POST").route(web::post().to(watching::metrics_by_command)))
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
