//! The upstreams of one balancer. Their list can be replaced while requests are under way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::hmac;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::UpstreamConfig;
use super::events::Events;
use super::health;
use super::known::now;
use super::queue::Queue;
use super::turns::Turns;
use super::upstream::Upstream;
use crate::policy::breaker;
use crate::policy::health::State;
use crate::policy::random;
use crate::policy::retry_budget::RetryBudget;
use crate::settings::balancer::{BalancerPolicy, BalancerSettings};
use crate::settings::runtime::{Settings, Snapshot};

/// Bytes of a token: nobody guesses one, nor takes two for the same.
const TOKEN_BYTES: usize = 12;

#[derive(Debug)]
pub struct Roster {
    pub members: ArcSwap<Vec<Member>>,
    pub events: Events,
    pub settings: Settings,
    /// Told whenever a request may find a place where there was none.
    pub places: Notify,
    pub queue: Queue,
    /// Held while the list is changed.
    changing: Mutex<()>,
    /// Held while it is decided whether one may be ejected.
    pub ejecting: Mutex<()>,
    own: ArcSwap<PoolRules>,
    /// What holds, and what it was made of.
    effective: ArcSwap<Effective>,
    turns: Mutex<Turns>,
    budget: Mutex<RetryBudget>,
    hop_secret: String,
    serials: AtomicU64,
    random_state: AtomicU64,
}

/// What holds for one pool, whatever the settings say.
#[derive(Debug, Clone, Copy, Default)]
pub struct PoolRules {
    pub policy: Option<BalancerPolicy>,
    /// A breaker answers in the upstream's place: not before a service whose every answer is to come through.
    pub without_breaker: bool,
}

#[derive(Debug)]
struct Effective {
    settings: Arc<Snapshot>,
    own: Arc<PoolRules>,
    rules: Arc<BalancerSettings>,
}

impl Effective {
    fn new(settings: Arc<Snapshot>, own: Arc<PoolRules>) -> Self {
        let mut rules = settings.balancer;
        rules.policy = own.policy.unwrap_or(rules.policy);
        if own.without_breaker && rules.breaker.mode == breaker::Mode::On {
            rules.breaker.mode = breaker::Mode::Off;
        }
        Self { settings, own, rules: Arc::new(rules) }
    }
}

/// An upstream and its health check, which ends with the last list that it is in.
#[derive(Debug, Clone)]
pub struct Member {
    pub upstream: Arc<Upstream>,
    _check: Arc<Check>,
}

#[derive(Debug)]
struct Check(AbortHandle);

impl Drop for Check {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Roster {
    pub fn new(configs: Vec<UpstreamConfig>, settings: Settings, hop_secret: String) -> Arc<Self> {
        let roster = Arc::new(Self {
            members: ArcSwap::default(),
            events: Events::default(),
            effective: ArcSwap::from_pointee(Effective::new(Arc::clone(&settings.snapshot()), Arc::default())),
            settings,
            places: Notify::new(),
            queue: Queue::default(),
            changing: Mutex::default(),
            ejecting: Mutex::default(),
            own: ArcSwap::default(),
            turns: Mutex::default(),
            budget: Mutex::default(),
            hop_secret,
            serials: AtomicU64::new(0),
            random_state: AtomicU64::new(seed()),
        });
        let members = configs.into_iter().map(|config| roster.join(config)).collect();
        roster.members.store(Arc::new(members));
        roster
    }

    /// Those that stay keep all that is known about them; others leave, and what they have under way ends.
    pub fn replace(self: &Arc<Self>, configs: Vec<UpstreamConfig>) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.members.load_full();
        let mut members = Vec::<Member>::with_capacity(configs.len());
        for config in configs {
            let is_same = |upstream: &Upstream| {
                let same = upstream.own == config.own && upstream.health_path.as_deref() == config.checked_path();
                same && upstream.place().0.is_same_place(&config.target)
            };
            let is_free = |serial: u64| members.iter().all(|member| member.upstream.serial != serial);
            let stays =
                before.iter().find(|Member { upstream, .. }| is_same(upstream) && is_free(upstream.serial)).cloned();
            members.push(match stays {
                Some(member) => {
                    member.upstream.configure(config);
                    member
                }
                None => self.join(config),
            });
        }
        self.become_members(&before, members, "it is no longer configured");
    }

    /// One more, or in the place of the one of its id, with the weight that was set for it.
    pub fn put(self: &Arc<Self>, config: UpstreamConfig) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.members.load_full();
        let mut members = before.as_ref().clone();
        match members.iter_mut().find(|member| member.upstream.id() == config.id) {
            Some(place) => {
                let member = self.join(config);
                member.upstream.inherit(&place.upstream);
                *place = member;
            }
            None => members.push(self.join(config)),
        }
        self.become_members(&before, members, "another is in its place");
    }

    /// False when there is none of that id.
    pub fn remove(&self, id: &str) -> bool {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.members.load_full();
        let members: Vec<Member> = before.iter().filter(|member| member.upstream.id() != id).cloned().collect();
        let found = members.len() < before.len();
        if found {
            self.become_members(&before, members, "it was removed");
        }
        found
    }

    fn become_members(&self, before: &[Member], members: Vec<Member>, why_others_leave: &str) {
        let stays = |serial: u64| members.iter().any(|member| member.upstream.serial == serial);
        for Member { upstream, .. } in before.iter().filter(|member| !stays(member.upstream.serial)) {
            upstream.pool.close();
            self.events.record(&upstream.id(), upstream.state().id(), "gone", why_others_leave);
        }
        self.members.store(Arc::new(members));
        self.events.changed();
        self.places.notify_one();
    }

    fn join(self: &Arc<Self>, config: UpstreamConfig) -> Member {
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let token = self.token(&config.lasting_name());
        let upstream = Arc::new(Upstream::new(config, serial, token, Arc::downgrade(self)));
        let check = health::check_forever(Arc::clone(&upstream), self.hop_secret.clone());
        Member { upstream, _check: Arc::new(Check(tokio::spawn(check).abort_handle())) }
    }

    /// Says nothing about the upstream to anybody else, and is the same after a reload.
    fn token(&self, name: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.hop_secret.as_bytes());
        let tag = hmac::sign(&key, format!("sticky {name}").as_bytes());
        tag.as_ref().iter().take(TOKEN_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn rules(&self) -> Arc<BalancerSettings> {
        let (effective, settings, own) = (self.effective.load(), self.settings.snapshot(), self.own.load());
        if Arc::ptr_eq(&effective.settings, &settings) && Arc::ptr_eq(&effective.own, &own) {
            return Arc::clone(&effective.rules);
        }
        let effective = Effective::new(Arc::clone(&settings), Arc::clone(&own));
        let rules = Arc::clone(&effective.rules);
        self.effective.store(Arc::new(effective));
        rules
    }

    pub fn set_own_rules(&self, own: PoolRules) {
        self.own.store(Arc::new(own));
    }

    pub fn hop_secret(&self) -> &str {
        &self.hop_secret
    }

    pub fn find(&self, id: &str) -> Option<Arc<Upstream>> {
        let members = self.members.load();
        members.iter().find(|member| member.upstream.id() == id).map(|member| Arc::clone(&member.upstream))
    }

    /// Whether one but `serial` is healthy and may be asked, though it may be full just now.
    pub fn has_another_to_ask(&self, serial: u64, rules: &BalancerSettings) -> bool {
        let (members, now) = (self.members.load(), now());
        members.iter().filter(|member| member.upstream.serial != serial).any(|member| {
            let look = member.upstream.look(rules, now);
            look.state == State::Healthy && look.set_weight > 0 && look.permitted
        })
    }

    pub fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn deposit(&self, rules: &BalancerSettings, now: Duration) {
        self.budget().deposit(&rules.retry_budget, now);
    }

    pub fn withdraw(&self, rules: &BalancerSettings, now: Duration) -> bool {
        self.budget().withdraw(&rules.retry_budget, now)
    }

    fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn random(&self) -> u64 {
        random::split_mix(self.random_state.fetch_add(random::STEP, Ordering::Relaxed))
    }
}

fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // RandomState takes its keys from the system's random source.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
