//! The menu: the same for everybody, so that caches may keep it.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use super::call::Call;
use crate::domain::menu::MenuItem;
use crate::domain::money::CURRENCY;
use crate::domain::permission::Permission;
use crate::service::ServiceError;
use crate::web::problem::Problem;

/// A dish as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct MenuItemView<'a> {
    id: i64,
    name: &'a str,
    description: &'a str,
    /// starter, main, side, dessert or drink.
    course: &'static str,
    price_cents: i64,
    currency: &'static str,
    /// Whether the pantry holds enough for at least one.
    available: bool,
    tags: &'a [String],
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MenuView<'a> {
    items: Vec<MenuItemView<'a>>,
}

impl<'a> From<&'a MenuItem> for MenuItemView<'a> {
    fn from(item: &'a MenuItem) -> Self {
        Self {
            id: item.id,
            name: &item.name,
            description: &item.description,
            course: item.course.id(),
            price_cents: item.price.cents(),
            currency: CURRENCY,
            available: item.available,
            tags: &item.tags,
        }
    }
}

/// Everything on the menu.
#[utoipa::path(get, path = "/api/v1/menu", tag = "menu", responses((status = 200, body = MenuView)))]
pub async fn list(call: Call) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::MenuRead).await?;
    let items = call.service().menu(call.span()).await.map_err(|error| call.failed(&error))?;
    let view = MenuView { items: items.iter().map(MenuItemView::from).collect() };
    answer::shared_json(&call, call.settings().api.menu_shared_ttl, &view)
}

/// One dish.
#[utoipa::path(
    get,
    path = "/api/v1/menu/{id}",
    tag = "menu",
    params(("id" = i64, Path, description = "The dish's number")),
    responses((status = 200, body = MenuItemView), (status = 404, description = "No such dish (problem document)"))
)]
pub async fn one(call: Call, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    call.allowed(Permission::MenuRead).await?;
    // What is no number is no dish: the address doesn't exist either way.
    let id = id.parse().map_err(|_| call.failed(&ServiceError::NotFound { what: "dish" }))?;
    let item = call.service().menu_item(call.span(), id).await.map_err(|error| call.failed(&error))?;
    answer::shared_json(&call, call.settings().api.menu_shared_ttl, &MenuItemView::from(&item))
}
