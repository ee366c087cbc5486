//! What faults do to a cache: it is emptied and keeps nothing, or hears of no change and forgets nothing.

use std::time::Duration;

use super::{Inner, MenuCache, State};
use crate::faults::{Home, Place, Strike, is_on};
use crate::observe::span::Span;
use crate::settings::data::CacheSettings;
use crate::settings::fault::Fault;

/// As good as for ever.
const AGES: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Inner {
    fn struck(&self, fault: Fault) -> Option<Strike> {
        is_on(&self.settings, fault, self.home.as_ref().map_or(Place::ANYWHERE, Home::place))
    }

    /// Whether what is read is kept.
    pub(super) fn keeps(&self) -> bool {
        self.struck(Fault::DataCacheEmpty).is_none()
    }

    /// Whether it hears of no change now; it knows later that it missed some.
    pub(super) fn is_deaf(&self, state: &mut State) -> bool {
        let deaf = self.struck(Fault::DataCacheStale).is_some();
        state.stale |= deaf;
        deaf
    }
}

impl MenuCache {
    /// Before a look: the rules that hold for it. What a stale cache has missed it forgets once it hears again.
    pub(super) fn disturb(&self, state: &mut State, look: &Span, rules: &CacheSettings) -> CacheSettings {
        let mut rules = *rules;
        if let Some(stale) = self.0.struck(Fault::DataCacheStale) {
            stale.mark(look);
            state.stale = true;
            (rules.ttl, rules.negative_ttl, rules.jitter) = (AGES, AGES, 0);
        } else if std::mem::take(&mut state.stale) {
            state.under_way_is_out_of_date();
            state.entries.clear();
        }
        if let Some(empty) = self.0.struck(Fault::DataCacheEmpty) {
            empty.mark(look);
            state.entries.clear();
        }
        rules
    }
}
