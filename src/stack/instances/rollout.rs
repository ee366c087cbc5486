//! All instances, one after another: restarted, or replaced by another version, which goes back by itself when it
//! proves worse than the one before.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::comparison::Comparison;
use super::{Instances, InstancesError, lock};
use crate::observe::happening::Kind;
use crate::policy::breaker;
use crate::policy::canary::Verdict;
use crate::policy::health::State;

/// Lines kept of one rollout.
const LINES_MAX: usize = 100;
/// How often the first instance of a new version is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The first of a new version is watched at most so many times as long as it was to be.
const WATCHES_MAX: u32 = 3;
/// How often its figures are judged: the more often, the sooner chance alone condemns it.
const JUDGE_EVERY: Duration = Duration::from_secs(1);
/// Characters of a version's name.
pub const VERSION_CHARS_MAX: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RolloutKind {
    Restart,
    Release,
}

impl RolloutKind {
    pub const fn id(self) -> &'static str {
        match self {
            RolloutKind::Restart => "restart",
            RolloutKind::Release => "release",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    Running,
    /// The first instance of the new version is compared with the others.
    Watching,
    RollingBack,
    Done,
    RolledBack,
    /// It came to no end: the reason is there.
    Stopped,
}

#[derive(Debug, Clone, Serialize)]
pub struct Line {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub text: String,
}

/// A rollout, as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct Rollout {
    pub kind: RolloutKind,
    /// What they are to run, and what they ran before.
    pub version: String,
    pub from: String,
    /// The instance that it is at, from 1.
    pub step: usize,
    pub of: usize,
    pub state: Progress,
    /// Why it went back, or came to no end.
    pub why: Option<String>,
    pub who: String,
    pub log: Vec<Line>,
}

impl Rollout {
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, Progress::Running | Progress::Watching | Progress::RollingBack)
    }
}

/// Whether that can be a version's name: no instance's, since faults are aimed at both.
pub fn is_version(name: &str) -> bool {
    let is_instance = name
        .strip_prefix('i')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !is_instance && (1..=VERSION_CHARS_MAX).contains(&name.len()) && name.chars().all(fits)
}

impl Instances {
    /// Begins to restart all instances, or with a `version` to replace them by that one. One at a time is missing.
    pub fn begin_rollout(&self, version: Option<&str>, who: &str) -> Result<Rollout, InstancesError> {
        self.is_free()?;
        let turn = self.try_turn().ok_or(InstancesError::Busy("change"))?;
        let (from, ids) = (self.version(), self.alive());
        let kind = if version.is_some() { RolloutKind::Release } else { RolloutKind::Restart };
        if version == Some(from.as_str()) {
            return Err(InstancesError::Already(from));
        }
        if ids.is_empty() {
            return Err(InstancesError::NobodyRuns);
        }
        let rollout = Rollout {
            kind,
            version: version.unwrap_or(&from).to_owned(),
            from,
            step: 0,
            of: ids.len(),
            state: Progress::Running,
            why: None,
            who: who.to_owned(),
            log: Vec::new(),
        };
        *lock(&self.0.rollout) = Some(rollout.clone());
        self.0.called_back.send_replace(false);
        self.record(Kind::Release, who, begun(&rollout));
        let (instances, plan) = (self.clone(), rollout.clone());
        self.0.runtime.spawn(async move {
            instances.roll(&plan, &ids).await;
            drop(turn);
        });
        Ok(rollout)
    }

    /// Has the rollout that is under way go back; a restart stays where it is.
    pub fn call_back(&self, who: &str) -> Result<(), InstancesError> {
        let rollout = self.rollout().filter(Rollout::is_under_way).ok_or(InstancesError::NoRollout)?;
        self.record(Kind::Release, who, format!("the {} is called back", rollout.kind.id()));
        self.0.called_back.send_replace(true);
        Ok(())
    }

    async fn roll(&self, plan: &Rollout, ids: &[String]) {
        let mut replaced = Vec::new();
        let rolled = match self.lend_one(plan).await {
            Ok(extra) => {
                let rolled = self.replace_each(plan, ids, &mut replaced).await;
                let rolled = self.conclude(plan, ids, &replaced, rolled).await;
                if let Some(extra) = extra
                    && let Err(error) = self.end_one(&extra).await
                {
                    self.note(format!("{extra} stays: {error}"));
                }
                rolled
            }
            Err(error) => Err((Progress::Stopped, error.to_string())),
        };
        let (state, why) = match rolled {
            Ok(()) => (Progress::Done, None),
            Err((state, why)) => (state, Some(why)),
        };
        self.update(|rollout| (rollout.state, rollout.why) = (state, why.clone()));
        self.record(Kind::Release, &plan.who, ended(plan, state, why.as_deref()));
    }

    /// With fewer than two that take requests another is started first, and goes at the end.
    async fn lend_one(&self, plan: &Rollout) -> Result<Option<String>, InstancesError> {
        if self.serving() >= 2 {
            return Ok(None);
        }
        let extra = self.start_one(&plan.from)?;
        self.note(format!("{extra} is started, so that requests are taken all the while"));
        if let Err(error) = self.healthy(&extra).await {
            self.end_one(&extra).await?;
            return Err(error);
        }
        Ok(Some(extra))
    }

    async fn replace_each(
        &self,
        plan: &Rollout,
        ids: &[String],
        replaced: &mut Vec<String>,
    ) -> Result<(), InstancesError> {
        let mut comparison: Option<Comparison> = None;
        for (index, id) in ids.iter().enumerate() {
            self.goes_on()?;
            self.update(|rollout| (rollout.step, rollout.state) = (index + 1, Progress::Running));
            if self.running(id)?.is_none() {
                self.note(format!("{id} does not run: it is left as it is"));
                continue;
            }
            if self.one(id)?.draining {
                self.note(format!("{id} takes no requests: it is left as it is"));
                continue;
            }
            if let Some(comparison) = &mut comparison {
                comparison.leaves(id);
            }
            replaced.push(id.clone());
            self.replace(id, &plan.version).await?;
            self.took_over(plan, id, &plan.version);
            if plan.kind == RolloutKind::Release {
                let first = comparison.is_none();
                let comparison = comparison.get_or_insert_with(|| self.compare(replaced));
                comparison.joins(id);
                if first {
                    self.watch(id, comparison).await?;
                }
                self.judge(comparison, false)?;
            }
        }
        comparison.map_or(Ok(()), |mut comparison| self.judge(&mut comparison, true))
    }

    fn took_over(&self, plan: &Rollout, id: &str, version: &str) {
        let what = format!("{id} runs {version}");
        self.record(Kind::Instance, &plan.who, what.clone());
        self.note(what);
    }

    fn compare(&self, replaced: &[String]) -> Comparison {
        let old: Vec<String> = self.alive().into_iter().filter(|id| !replaced.contains(id)).collect();
        Comparison::begin(self.balancer(), &old)
    }

    /// Compares the first of the new version with the others, until its time is over or it proves worse.
    async fn watch(&self, id: &str, comparison: &mut Comparison) -> Result<(), InstancesError> {
        let time = self.settings().snapshot().scaling.watch;
        self.update(|rollout| rollout.state = Progress::Watching);
        self.note(format!("{id} is watched for {} s", time.as_secs()));
        let (began, mut judge_at) = (Instant::now(), Instant::now() + JUDGE_EVERY);
        let mut until = began + time;
        loop {
            if Instant::now() >= until {
                // The balancer sends few to one that is slow: so few that its time may be too short to tell.
                if until - began >= WATCHES_MAX * time || !self.is_open(comparison) {
                    break;
                }
                until += time;
            }
            self.goes_on()?;
            self.is_well(id)?;
            if Instant::now() >= judge_at {
                judge_at += JUDGE_EVERY;
                self.judge(comparison, false)?;
            }
            tokio::time::sleep_until(until.min(Instant::now() + LOOK_EVERY)).await;
        }
        self.is_well(id)?;
        self.judge(comparison, true)
    }

    /// Whether the balancer still sends it requests: too few of them reach one that fails time after time.
    fn is_well(&self, id: &str) -> Result<(), InstancesError> {
        let view = self.balancer().view().into_iter().find(|view| view.id == id);
        let Some(view) = view else { return Err(InstancesError::CalledBack(format!("{id} is gone"))) };
        let breaker = view.breaker != breaker::State::Closed && view.breaker != breaker::State::Disabled;
        if matches!(view.state, State::Healthy | State::Starting) && !breaker {
            return Ok(());
        }
        let state = if breaker { "its circuit breaker is open" } else { view.state.id() };
        let reason = view.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        Err(InstancesError::CalledBack(format!("{id} failed: {state}{reason}")))
    }

    /// Whether there are requests, and too few of them to tell.
    fn is_open(&self, comparison: &mut Comparison) -> bool {
        let verdict = comparison.verdict(&self.settings().snapshot().scaling.canary);
        matches!(verdict, Verdict::Open(_)) && !comparison.is_quiet()
    }

    fn judge(&self, comparison: &mut Comparison, say: bool) -> Result<(), InstancesError> {
        match comparison.verdict(&self.settings().snapshot().scaling.canary) {
            Verdict::Worse(why) => Err(InstancesError::CalledBack(why)),
            Verdict::Good(why) if say => {
                self.note(why);
                Ok(())
            }
            Verdict::Open(_) if say && comparison.is_quiet() => {
                self.note("nobody asked anything meanwhile, so nothing could be compared".to_owned());
                Ok(())
            }
            Verdict::Open(why) if say => {
                let what_to_do = "send more traffic, or watch longer";
                Err(InstancesError::CalledBack(format!(
                    "too few requests to tell whether it is worse: {why}; {what_to_do}"
                )))
            }
            Verdict::Good(_) | Verdict::Open(_) => Ok(()),
        }
    }

    fn goes_on(&self) -> Result<(), InstancesError> {
        if *self.0.closing.borrow() {
            return Err(InstancesError::Stopped);
        }
        if *self.0.called_back.borrow() {
            return Err(InstancesError::CalledBack("it was called back".to_owned()));
        }
        Ok(())
    }

    /// A release that failed goes back to the version before; a restart stays where it is.
    async fn conclude(
        &self,
        plan: &Rollout,
        ids: &[String],
        replaced: &[String],
        rolled: Result<(), InstancesError>,
    ) -> Result<(), (Progress, String)> {
        let Err(error) = rolled else {
            *lock(&self.0.version) = plan.version.clone();
            let late = self.replace_late(plan, ids).await;
            return late.map_err(|error| (Progress::Stopped, error.to_string()));
        };
        let why = error.to_string();
        if plan.kind == RolloutKind::Restart || matches!(error, InstancesError::Stopped) {
            return Err((Progress::Stopped, why));
        }
        self.update(|rollout| (rollout.state, rollout.why) = (Progress::RollingBack, Some(why.clone())));
        self.note(format!("back to {}: {why}", plan.from));
        let mut failed = None;
        for id in replaced.iter().rev() {
            match self.replace(id, &plan.from).await {
                Ok(()) => self.took_over(plan, id, &plan.from),
                Err(_) if matches!(self.running(id), Ok(None)) => {
                    self.note(format!("{id} is dead, and comes back with {}", plan.from));
                }
                Err(error) => {
                    self.note(format!("{id} is not back: {error}"));
                    failed = Some(error);
                }
            }
        }
        match failed {
            None => Err((Progress::RolledBack, why)),
            Some(error) => Err((Progress::Stopped, format!("{why}; on the way back: {error}"))),
        }
    }

    /// Those that were dead when it was their turn, and came back with the version before.
    async fn replace_late(&self, plan: &Rollout, ids: &[String]) -> Result<(), InstancesError> {
        for id in ids {
            let is_late = self.running(id)?.is_some_and(|running| running.version() != plan.version);
            if is_late && !self.one(id)?.draining {
                self.replace(id, &plan.version).await?;
                self.took_over(plan, id, &plan.version);
            }
        }
        Ok(())
    }

    fn update(&self, change: impl FnOnce(&mut Rollout)) {
        if let Some(rollout) = lock(&self.0.rollout).as_mut() {
            change(rollout);
        }
    }

    fn note(&self, text: String) {
        log::info!("rollout: {text}");
        self.update(|rollout| {
            if rollout.log.len() < LINES_MAX {
                rollout.log.push(Line { at: OffsetDateTime::now_utc(), text });
            }
        });
    }
}

fn begun(plan: &Rollout) -> String {
    match plan.kind {
        RolloutKind::Restart => format!("a rolling restart of {} instances begins", plan.of),
        RolloutKind::Release => format!("the release of {} begins", plan.version),
    }
}

fn ended(plan: &Rollout, state: Progress, why: Option<&str>) -> String {
    let what = match plan.kind {
        RolloutKind::Restart => "the rolling restart".to_owned(),
        RolloutKind::Release => format!("the release of {}", plan.version),
    };
    let how = match state {
        Progress::RolledBack => format!("went back to {}", plan.from),
        Progress::Done => "is done".to_owned(),
        _ => "stopped".to_owned(),
    };
    why.map_or_else(|| format!("{what} {how}"), |why| format!("{what} {how}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_short_word() {
        assert!(is_version("v2") && is_version("2026.11-rc_1"));
        for wrong in ["", "v 2", "v2\n", "ä", &"v".repeat(VERSION_CHARS_MAX + 1)] {
            assert!(!is_version(wrong), "{wrong:?}");
        }
    }
}
