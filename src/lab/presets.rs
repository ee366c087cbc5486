//! The requests that the Journey page offers.

use serde::Serialize;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Preset {
    pub id: &'static str,
    pub method: &'static str,
    /// `{order}` stands for an order of somebody else, placed for the purpose.
    pub path: &'static str,
    pub title: &'static str,
    pub body: Option<&'static str>,
}

/// What stands for a path that somebody types, beside the presets.
pub const CUSTOM: &str = "custom";
/// Methods that a typed request may have: those that need no body.
pub const CUSTOM_METHODS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "DELETE"];

/// Those of the restaurant, in the order in which they are offered.
static RESTAURANT: &[Preset] = &[
    Preset { id: "menu", method: "GET", path: "/api/v1/menu", title: "read the menu", body: None },
    Preset { id: "dish", method: "GET", path: "/api/v1/menu/12", title: "read one dish", body: None },
    Preset {
        id: "order",
        method: "POST",
        path: "/api/v1/orders",
        title: "place an order",
        body: Some(r#"{"table":4,"lines":[{"menu_item_id":12,"quantity":2},{"menu_item_id":3,"quantity":1}]}"#),
    },
    Preset {
        id: "other-order",
        method: "GET",
        path: "/api/v1/orders/{order}",
        title: "an order of another table",
        body: None,
    },
    Preset { id: "no-dish", method: "GET", path: "/api/v1/menu/9999", title: "a dish that does not exist", body: None },
    Preset {
        id: "bad-body",
        method: "POST",
        path: "/api/v1/orders",
        title: "an order with mistakes",
        body: Some(r#"{"table":0,"lines":[{"menu_item_id":"soup","quantity":-2}],"tip":5}"#),
    },
];

/// Of a service of somebody's own only its front is known.
static OWN_SERVICE: &[Preset] =
    &[Preset { id: "front", method: "GET", path: "/", title: "read your service's front page", body: None }];

/// What is offered, with the restaurant or before somebody's own service.
pub fn offered(restaurant: bool) -> &'static [Preset] {
    if restaurant { RESTAURANT } else { OWN_SERVICE }
}
