//! A wall clock that is wrong.

use time::Duration;

use super::WallClock;
use crate::faults::{Place, is_on};
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;

impl WallClock {
    /// The system's, off by what `fault.clock.skew` says while that is on.
    pub fn skewed(settings: Settings) -> Self {
        let skew = move || is_on(&settings, Fault::ClockSkew, Place::ANYWHERE).map_or(0, |skew| skew.strength);
        Self::default().off_by(move || Duration::seconds(skew()))
    }
}
