//! Decides whether a fault that is on strikes: whom it is aimed at, how likely, until when.
//!
//! The effect of a fault stands in the `faults.rs` of its own hop. Two kinds of question:
//! [`strike`] is asked once for each thing that may fail, and draws; [`is_on`] is asked about a condition that holds
//! for as long as the fault is on. [`Follow`] wakes those who must do something when one begins and when it ends.

mod follow;
mod home;
pub mod wire;

use std::time::Duration;

pub use follow::Follow;
pub use home::Home;

use crate::domain::permission::Role;
use crate::observe::clock::Tick;
use crate::observe::span::Span;
use crate::policy::random;
use crate::settings::fault::{Aim, Fault, Spec};
use crate::settings::runtime::{Settings, Snapshot};

/// How soon a delay that blocks a thread notices that it is over.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Where something is about to happen, as far as the hop knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    pub instance: Option<&'a str>,
    /// The version of the application that the instance runs.
    pub version: Option<&'a str>,
    pub path: Option<&'a str>,
    pub role: Option<Role>,
}

impl<'a> Place<'a> {
    pub const ANYWHERE: Place<'static> = Place { instance: None, version: None, path: None, role: None };

    pub const fn path(path: &'a str) -> Place<'a> {
        Place { path: Some(path), ..Place::ANYWHERE }
    }

    pub const fn instance(id: &'a str) -> Place<'a> {
        Place { instance: Some(id), ..Place::ANYWHERE }
    }

    fn is_aimed_at(&self, aim: &Aim) -> bool {
        let named = |name: &String| [self.instance, self.version].contains(&Some(name.as_str()));
        (aim.instances.is_empty() || aim.instances.iter().any(named))
            && aim.route.as_deref().is_none_or(|route| self.path.is_some_and(|path| path.starts_with(route)))
            && aim.role.is_none_or(|role| self.role == Some(role))
    }
}

/// A fault that strikes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a strike does nothing by itself"]
pub struct Strike {
    pub fault: Fault,
    /// In the row's unit; a delay's already varied.
    pub strength: i64,
}

impl Strike {
    /// Of a fault whose strength is in milliseconds.
    pub fn delay(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.strength).unwrap_or_default())
    }

    /// Says in the trace that it struck here.
    pub fn mark(&self, span: &Span) {
        span.fault(self.fault.key());
    }
}

/// Whether `fault` strikes what is about to happen at `place`; draws if it strikes only some. With no fault on it costs
/// one look at the snapshot.
pub fn strike(settings: &Settings, fault: Fault, place: Place<'_>) -> Option<Strike> {
    let snapshot = settings.snapshot();
    let spec = aimed(&snapshot, fault, place)?;
    let drawn = || settings.draw();
    if spec.probability < 100 && random::below(drawn(), 100) >= usize::from(spec.probability) {
        return None;
    }
    let strength = if spec.vary == 0 { spec.strength } else { varied(spec.strength, spec.vary, drawn()) };
    Some(Strike { fault, strength })
}

/// Waits for as long as `fault`, a delay, says, and marks the span; at once if it does not strike.
pub async fn delay(settings: &Settings, fault: Fault, place: Place<'_>, span: Option<&Span>) {
    if let Some(strike) = strike(settings, fault, place) {
        if let Some(span) = span {
            strike.mark(span);
        }
        tokio::time::sleep(strike.delay()).await;
    }
}

/// The fault, if it is on at `place`, whatever its probability.
pub fn is_on(settings: &Settings, fault: Fault, place: Place<'_>) -> Option<Strike> {
    let snapshot = settings.snapshot();
    aimed(&snapshot, fault, place).map(|spec| Strike { fault, strength: spec.strength })
}

/// Waits until `fault` is on at `place` no longer, withdrawn or over by its time. Safe to drop while waiting.
pub async fn over(settings: &Settings, fault: Fault, place: Place<'_>) {
    let mut changed = settings.listen();
    loop {
        changed.borrow_and_update();
        let until = aimed(&settings.snapshot(), fault, place).map(|spec| spec.until);
        let Some(until) = until else { return };
        tokio::select! {
            // The sender lives in `settings`, so this never fails.
            _ = changed.changed() => {}
            () = tokio::time::sleep(until.since(Tick::now())) => {}
        }
    }
}

/// Sleeps for as long as a delay says on a thread that it blocks; less when the fault is over before. On a thread of a
/// runtime with several, the tasks that wait for that thread go on elsewhere.
pub fn block(settings: &Settings, strike: Strike, place: Place<'_>) {
    let until = Tick::now() + strike.delay();
    let sleep = || {
        while Tick::now() < until && is_on(settings, strike.fault, place).is_some() {
            std::thread::sleep(until.since(Tick::now()).min(LOOK_EVERY));
        }
    };
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(sleep),
        _ => sleep(),
    }
}

fn aimed<'a>(snapshot: &'a Snapshot, fault: Fault, place: Place<'_>) -> Option<&'a Spec> {
    let spec = snapshot.faults.get(fault)?;
    (place.is_aimed_at(&spec.aim) && Tick::now() < spec.until).then_some(spec)
}

/// `strength` with up to `percent` of it added or taken away.
fn varied(strength: i64, percent: u8, random: u64) -> i64 {
    let share = (random::unit(random) * 2.0 - 1.0) * f64::from(percent) / 100.0;
    (strength as f64 * (1.0 + share)).round() as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn with(key: &str, value: serde_json::Value) -> Settings {
        let settings = Settings::default();
        settings.change([(key, &value)]).expect("it fits");
        settings
    }

    #[test]
    fn nothing_strikes_unless_it_is_on() {
        assert_eq!(strike(&Settings::default(), Fault::ApiErrors, Place::ANYWHERE), None);
        let settings = with("fault.api.errors", json!(true));
        assert!(strike(&settings, Fault::ApiErrors, Place::ANYWHERE).is_some());
        assert_eq!(strike(&settings, Fault::ApiDelay, Place::ANYWHERE), None);
    }

    #[test]
    fn it_strikes_whom_it_is_aimed_at_alone() {
        let aim = json!({ "instances": ["i2", "v2"], "route": "/api/v1/menu", "role": "guest" });
        let settings = with("fault.api.errors", aim);
        let aimed =
            Place { instance: Some("i2"), version: None, path: Some("/api/v1/menu/3"), role: Some(Role::Guest) };
        assert!(strike(&settings, Fault::ApiErrors, aimed).is_some());
        assert!(
            strike(&settings, Fault::ApiErrors, Place { instance: Some("i7"), version: Some("v2"), ..aimed }).is_some()
        );
        for spared in [
            Place { instance: Some("i1"), ..aimed },
            Place { path: Some("/api/v1/orders"), ..aimed },
            Place { role: Some(Role::Chef), ..aimed },
            Place::ANYWHERE,
        ] {
            assert_eq!(strike(&settings, Fault::ApiErrors, spared), None, "{spared:?}");
        }
    }

    #[test]
    fn it_is_over_when_its_time_is_though_nobody_switched_it_off() {
        let settings = Settings::default();
        let mut snapshot = Snapshot::default();
        let past = Tick::from_nanos(1);
        snapshot.faults.set(Fault::ApiErrors, Some(Spec { until: past, ..Spec::of(Fault::ApiErrors) }));
        let late = Settings::new(snapshot);
        assert_eq!(is_on(&late, Fault::ApiErrors, Place::ANYWHERE), None);
        assert_eq!(is_on(&settings, Fault::ApiErrors, Place::ANYWHERE), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn it_strikes_as_often_as_it_says(probability in 1_u8..=100) {
            let settings = with("fault.api.errors", json!(probability));
            let struck = (0..4_000).filter(|_| strike(&settings, Fault::ApiErrors, Place::ANYWHERE).is_some()).count();
            prop_assert!((struck as f64 / 40.0 - f64::from(probability)).abs() < 5.0);
        }

        #[test]
        fn a_delay_varies_by_no_more_than_it_says(vary in 0_u8..=100, strength in 1_i64..5_000, random: u64) {
            let bound = strength as f64 * f64::from(vary) / 100.0 + 0.5;
            prop_assert!((varied(strength, vary, random) - strength).abs() as f64 <= bound);
        }
    }
}
