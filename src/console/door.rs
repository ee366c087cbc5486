//! The door: the one page without a warning, in plain HTTP, that says why there will be one.

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::{ServerHandle, Service};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::json;

use super::NAME;
use crate::store::control::Control;
use crate::web::headers::CSP_REPORT;
use crate::web::host::HostList;
use crate::web::problem::Problem;
use crate::web::respond::{self, get, header, resource};

/// What the door is made of.
#[derive(Debug)]
pub struct DoorConfig {
    /// Bound already.
    pub listener: TcpListener,
    pub hosts: HostList,
    pub control: Control,
    pub ca_pem: String,
    /// `AA:BB:…`
    pub ca_fingerprint: String,
    /// Where the console is, by its own name and by `localhost`.
    pub console_url: String,
    pub console_fallback_url: String,
    pub app_url: String,
}

struct State {
    config: DoorConfig,
    port: u16,
}

/// The running door.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Door {
    pub fn start(config: DoorConfig) -> std::io::Result<Door> {
        let listener = config.listener.try_clone()?;
        let address = listener.local_addr()?;
        let state = web::Data::new(State { config, port: address.port() });
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .wrap_fn(|request, service| {
                    let answer = service.call(request);
                    async move {
                        let mut response = answer.await?;
                        respond::finish(response.headers_mut());
                        if response.request().path() == HERE {
                            // Another origin (the door under another name) may see that it is there.
                            let anybody = HeaderValue::from_static("cross-origin");
                            let name = HeaderName::from_static("cross-origin-resource-policy");
                            response.headers_mut().insert(name, anybody);
                        }
                        Ok(response)
                    }
                })
                .service(resource("/", "GET, HEAD").route(get().to(page)))
                .service(resource("/api/door", "GET, HEAD").route(get().to(facts)))
                .service(resource("/roundtrip-ca.pem", "GET, HEAD").route(get().to(ca)))
                .service(resource(HERE, "GET, HEAD").route(get().to(here)))
                .service(resource("/static/{hash}/{path:.*}", "GET, HEAD").route(get().to(asset)))
                .service(resource(CSP_REPORT, "POST").route(web::post().to(respond::csp_report)))
                .service(resource("/favicon.ico", "GET, HEAD").route(get().to(icon)))
                .default_service(web::to(not_found))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Door { address, handle })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

/// Answers 204 under the console's own name: a browser that gets it resolves that name.
const HERE: &str = "/here";

async fn icon() -> HttpResponse {
    respond::icon()
}

async fn page(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    admit(&request, &state)?;
    Ok(respond::page("door", &format!("http://{NAME}:{}", state.port)))
}

async fn facts(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    admit(&request, &state)?;
    let owner = state.config.control.owner().await.map_err(super::caller::unavailable)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "ca_sha256": state.config.ca_fingerprint,
        "ca_file": "/roundtrip-ca.pem",
        "console": state.config.console_url,
        "console_fallback": state.config.console_fallback_url,
        "http_port": state.port,
        "owner": owner.is_some(),
        "app": state.config.app_url,
    })))
}

async fn ca(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    admit(&request, &state)?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-pem-file")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"roundtrip-ca.pem\""))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(state.config.ca_pem.clone()))
}

async fn here(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    admit(&request, &state)?;
    Ok(HttpResponse::NoContent().insert_header((CACHE_CONTROL, "no-store")).finish())
}

async fn asset(request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (hash, path) = path.into_inner();
    match respond::asset(&request, None, &hash, &path) {
        Some(response) => response,
        None => not_found().await,
    }
}

async fn not_found() -> HttpResponse {
    respond::problem(&Problem::new(None, 404, "no-such-address", "No such address", "Nothing answers here."))
}

fn admit(request: &HttpRequest, state: &State) -> Result<(), Problem> {
    if state.config.hosts.allows(header(request.headers(), "host").unwrap_or_default()) {
        return Ok(());
    }
    let detail =
        format!("This server answers to {}, not to the name that was asked for.", state.config.hosts.canonical());
    Err(Problem::new(None, 421, "wrong-host", "Wrong host", detail))
}
