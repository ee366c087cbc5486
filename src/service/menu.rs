//! The menu: from the instance's cache, or else from the database.

use std::sync::Arc;
use std::time::Duration;

use super::{Service, ServiceError, step};
use crate::domain::menu::{MenuItem, MenuItemId};
use crate::observe::hop::Hop;
use crate::observe::span::Span;
use crate::store::cache::{Key, Looked};

impl Service {
    /// The whole menu.
    pub async fn menu(&self, span: &Span) -> Result<Arc<Vec<MenuItem>>, ServiceError> {
        step(span, "Read the menu", async |span| {
            let ttl = self.decide(span);
            match self.cache.look(span, Key::Menu, ttl) {
                Looked::Hit(items) => Ok(items),
                Looked::Miss(ticket) => {
                    let items = Arc::new(self.bistro.menu(span).await?);
                    self.cache.keep(ticket, Arc::clone(&items), ttl);
                    Ok(items)
                }
            }
        })
        .await
    }

    /// How fresh an answer from the cache must be: the rule that the settings give.
    fn decide(&self, span: &Span) -> Duration {
        let rule = span.child(Hop::Service, "Decide how fresh it must be");
        let ttl = self.settings.snapshot().data.cache_ttl;
        rule.attribute("roundtrip.service.fact", || match ttl.as_secs() {
            0 => "always from the database".to_owned(),
            seconds => format!("from the cache if it is not older than {seconds} s"),
        });
        ttl
    }

    /// One dish.
    pub async fn menu_item(&self, span: &Span, id: MenuItemId) -> Result<MenuItem, ServiceError> {
        step(span, "Read a dish", async |span| {
            let ttl = self.decide(span);
            let items = match self.cache.look(span, Key::Item(id), ttl) {
                Looked::Hit(items) => items,
                Looked::Miss(ticket) => {
                    let item = self.bistro.menu_item(span, id).await?;
                    // What does not exist is not kept: made-up numbers would push out the real ones.
                    let items = Arc::new(vec![item.ok_or(ServiceError::NotFound { what: "dish" })?]);
                    self.cache.keep(ticket, Arc::clone(&items), ttl);
                    items
                }
            };
            items.first().cloned().ok_or(ServiceError::NotFound { what: "dish" })
        })
        .await
    }
}
