//! What can be changed about the edge.

pub mod cache;
pub mod compress;
pub mod limit;

use super::row::Row;
use cache::CacheSettings;
use compress::CompressSettings;
use limit::LimitSettings;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpSettings {
    pub cache: CacheSettings,
    pub compress: CompressSettings,
    pub limit: LimitSettings,
}

pub fn rows() -> impl Iterator<Item = &'static Row> {
    [cache::ROWS, limit::ROWS, compress::ROWS].into_iter().flatten()
}
