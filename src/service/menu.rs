//! The menu: from the instance's cache, or else from the database.

use std::sync::Arc;

use super::{Service, ServiceError, step};
use crate::domain::menu::{MenuItem, MenuItemId};
use crate::observe::hop::Hop;
use crate::observe::span::Span;
use crate::settings::data::CacheMode;
use crate::store::cache::{Figures, Items, Key};

impl Service {
    /// The whole menu.
    pub async fn menu(&self, span: &Span) -> Result<Items, ServiceError> {
        step(span, "Read the menu", async |span| {
            self.decide(span);
            let read = async || Ok(Some(Arc::new(self.bistro.menu(span).await?)));
            Ok(self.cache.get(span, Key::Menu, read).await?.unwrap_or_default())
        })
        .await
    }

    /// One dish.
    pub async fn menu_item(&self, span: &Span, id: MenuItemId) -> Result<MenuItem, ServiceError> {
        step(span, "Read a dish", async |span| {
            self.decide(span);
            let read = async || Ok(self.bistro.menu_item(span, id).await?.map(|item| Arc::new(vec![item])));
            let items = self.cache.get(span, Key::Item(id), read).await?.unwrap_or_default();
            items.first().cloned().ok_or(ServiceError::NotFound { what: "dish" })
        })
        .await
    }

    /// What this instance's cache has done.
    pub fn cache_figures(&self) -> Figures {
        self.cache.figures()
    }

    /// How fresh an answer from the cache must be: the rule that the settings give.
    fn decide(&self, span: &Span) {
        let rule = span.child(Hop::Service, "Decide how fresh it must be");
        let cache = self.settings.snapshot().data.cache;
        rule.attribute("roundtrip.service.fact", || match (cache.mode, cache.ttl.as_secs()) {
            (CacheMode::Off, _) | (_, 0) => "always from the database".to_owned(),
            (_, seconds) => format!("from the cache if it is not older than {seconds} s"),
        });
    }
}
