//! What the supplier answers.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::Shop;
use super::book::{Booked, Delivery};
use super::catalogue::{self, OFFERS};
use crate::faults::{self, Place, is_on, strike};
use crate::settings::fault::Fault;
use crate::web::cut_off::CutOff;
use crate::web::fields;
use crate::web::problem::Problem;
use crate::web::respond::{self, get, header, resource};

const KEY_CHARS_MAX: usize = 128;
const ITEM_CHARS_MAX: usize = 64;
/// A lorry holds no more.
const QUANTITY_MAX: i64 = 1_000_000_000;

pub fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/catalogue", "GET, HEAD").route(get().to(list)))
        .service(resource("/deliveries", "POST").route(web::post().to(deliver)))
        .default_service(web::to(not_found));
}

/// What every request goes through: is it for us, are we open, how slow and how flaky are we today?
pub async fn door(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shop = request.app_data::<web::Data<Shop>>().cloned();
    let Some(shop) = shop else { return Err(actix_web::error::ErrorInternalServerError("the shop is missing")) };
    let latency = shop.settings.snapshot().supplier.latency;
    tokio::time::sleep(latency).await;
    faults::delay(&shop.settings, Fault::SupplierDelay, Place::ANYWHERE, None).await;
    let host = header(request.headers(), "host").unwrap_or_default();
    let refused = if !shop.hosts.allows(host) {
        Some((421, "misdirected", "Misdirected request", format!("This is {}.", shop.hosts.canonical())))
    } else if is_on(&shop.settings, Fault::SupplierClosed, Place::ANYWHERE).is_some() {
        Some((503, "closed", "Closed", "The supplier is closed. Ask again later.".to_owned()))
    } else if strike(&shop.settings, Fault::SupplierFails, Place::ANYWHERE).is_some() {
        Some((500, "failed", "Failed", "Something went wrong at the supplier; nothing was delivered.".to_owned()))
    } else {
        None
    };
    if let Some((status, kind, title, detail)) = refused {
        let problem = respond::problem(&Problem::new(None, status, kind, title, detail));
        return Ok(request.into_response(problem).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

async fn list() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "currency": crate::domain::money::CURRENCY, "items": OFFERS }))
}

#[derive(Serialize)]
struct DeliveryView<'a> {
    #[serde(flatten)]
    delivery: &'a Delivery,
    currency: &'static str,
}

/// Delivers, once for each `Idempotency-Key`.
async fn deliver(
    request: HttpRequest,
    shop: web::Data<Shop>,
    body: Result<Bytes, Error>,
) -> Result<HttpResponse, Problem> {
    let key = header(request.headers(), "idempotency-key").filter(|key| (1..=KEY_CHARS_MAX).contains(&key.len()));
    let key = key.ok_or_else(|| {
        let detail = format!("A delivery needs an Idempotency-Key of 1 to {KEY_CHARS_MAX} characters.");
        Problem::new(None, 400, "idempotency-key-missing", "Idempotency key missing", detail)
    })?;
    let bytes = body.map_err(|error| respond::unreadable(None, &error))?;
    let media_type = header(request.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
    let (item, quantity) = fields::parse(None, media_type, &bytes, |fields| {
        let item = fields.text("item", ITEM_CHARS_MAX).map(str::to_owned);
        let quantity = fields.integer("quantity", 1..=QUANTITY_MAX);
        Some((item?, quantity?))
    })?;
    let offer = catalogue::find(&item).ok_or_else(|| {
        Problem::new(None, 404, "not-sold", "Not sold here", format!("{item} is not in the catalogue."))
    })?;
    let cost = offer
        .cost_cents(quantity)
        .ok_or_else(|| Problem::new(None, 422, "too-much", "Too much", "That is beyond what can be counted."))?;
    let (mut answer, delivery) = match shop.book.book(key, offer.item, quantity, cost) {
        Booked::New(delivery) => (HttpResponse::Created(), delivery),
        Booked::Again(delivery) => (HttpResponse::Ok(), delivery),
        Booked::Conflict => {
            let detail = "This Idempotency-Key was used for another delivery.";
            return Err(Problem::new(None, 422, "idempotency-key-reused", "Idempotency key reused", detail));
        }
    };
    if strike(&shop.settings, Fault::SupplierLies, Place::ANYWHERE).is_some() {
        return Ok(answer.body(CutOff));
    }
    Ok(answer.json(DeliveryView { delivery: &delivery, currency: crate::domain::money::CURRENCY }))
}

async fn not_found() -> HttpResponse {
    respond::problem(&Problem::new(None, 404, "no-such-address", "No such address", "Nothing answers here."))
}
