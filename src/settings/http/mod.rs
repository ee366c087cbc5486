//! What can be changed about the edge.

pub mod bounds;
pub mod cache;
pub mod compress;
pub mod firewall;
pub mod limit;

use super::row::Row;
use bounds::Bounds;
use cache::CacheSettings;
use compress::CompressSettings;
use firewall::FirewallSettings;
use limit::LimitSettings;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpSettings {
    pub bounds: Bounds,
    pub cache: CacheSettings,
    pub compress: CompressSettings,
    pub firewall: FirewallSettings,
    pub limit: LimitSettings,
}

pub fn rows() -> impl Iterator<Item = &'static Row> {
    [bounds::TLS_ROWS, firewall::ROWS, bounds::ROWS, cache::ROWS, limit::ROWS, compress::ROWS].into_iter().flatten()
}
