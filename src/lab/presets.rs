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

/// All of them, in the order in which they are offered.
pub static PRESETS: &[Preset] = &[
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

/// The preset of an id.
pub fn find(id: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.id == id)
}
