//! Several workers, any of whom may die, sleep through its lease or report twice: each ticket has one outcome.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use roundtrip::domain::kitchen::{Claim, Direction};
use roundtrip::domain::order::TicketState;
use roundtrip::store::bistro::LeaseError;

use super::queue::{Kitchen, LEASE, span};

/// What may happen next. A worker is one of three; it keeps every claim that it ever had, and may use any of
/// them again.
#[derive(Debug, Clone)]
enum Step {
    Order,
    Claim(usize),
    Extend(usize, prop::sample::Index),
    Finish(usize, prop::sample::Index),
    GiveUp(usize, prop::sample::Index, Option<u64>),
    HandBack(usize, prop::sample::Index),
    Pass(u64),
    Requeue(prop::sample::Index),
    Pause(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..3_usize;
    let claim = any::<prop::sample::Index>();
    prop_oneof![
        2 => Just(Step::Order),
        5 => worker.clone().prop_map(Step::Claim),
        1 => (worker.clone(), claim.clone()).prop_map(|(worker, claim)| Step::Extend(worker, claim)),
        3 => (worker.clone(), claim.clone()).prop_map(|(worker, claim)| Step::Finish(worker, claim)),
        1 => (worker.clone(), claim.clone(), prop::option::of(0..3_000_u64))
            .prop_map(|(worker, claim, retry)| Step::GiveUp(worker, claim, retry)),
        1 => (worker, claim.clone()).prop_map(|(worker, claim)| Step::HandBack(worker, claim)),
        3 => (0..8_000_u64).prop_map(Step::Pass),
        1 => claim.prop_map(Step::Requeue),
        1 => prop::bool::weighted(0.3).prop_map(Step::Pause),
    ]
}

/// The kitchen beside what was acknowledged of it.
struct Run {
    kitchen: Kitchen,
    claims: [Vec<Claim>; 3],
    orders: i64,
    /// Finishes that were acknowledged, by ticket.
    finished: HashMap<i64, u32>,
    /// The latest lease given out, by ticket.
    latest: HashMap<i64, i64>,
}

impl Run {
    fn new() -> Run {
        let kitchen = Kitchen::open();
        Run { kitchen, claims: Default::default(), orders: 0, finished: HashMap::new(), latest: HashMap::new() }
    }

    fn held(&self, worker: usize, index: &prop::sample::Index) -> Option<Claim> {
        let claims = &self.claims[worker];
        (!claims.is_empty()).then(|| index.get(claims).clone())
    }

    /// Only the latest lease of a ticket may ever be believed.
    fn judge(&self, claim: &Claim, outcome: &Result<(), LeaseError>) {
        match outcome {
            Ok(()) => {
                assert_eq!(self.latest[&claim.ticket], claim.lease, "an older lease was believed");
                assert!(!self.finished.contains_key(&claim.ticket), "it was finished before");
            }
            Err(error) => assert_eq!(*error, LeaseError::Lost),
        }
    }

    async fn take(&mut self, step: &Step) {
        let bistro = self.kitchen.bistro.clone();
        match step {
            Step::Order => {
                self.kitchen.order().await;
                self.orders += 1;
            }
            Step::Claim(worker) => {
                if let Some(claim) = self.kitchen.claim(&format!("i{worker}/1")).await {
                    assert!(!self.finished.contains_key(&claim.ticket), "a finished ticket was given out");
                    let before = self.latest.insert(claim.ticket, claim.lease);
                    assert!(before.is_none_or(|before| before < claim.lease), "lease numbers go up");
                    self.claims[*worker].push(claim);
                }
            }
            Step::Extend(worker, index) => {
                if let Some(claim) = self.held(*worker, index) {
                    self.judge(&claim, &bistro.extend(&span(), &claim, LEASE).await);
                }
            }
            Step::Finish(worker, index) => {
                if let Some(claim) = self.held(*worker, index) {
                    let outcome = bistro.finish(&span(), &claim).await;
                    self.judge(&claim, &outcome);
                    if outcome.is_ok() {
                        *self.finished.entry(claim.ticket).or_default() += 1;
                    }
                }
            }
            Step::GiveUp(worker, index, retry) => {
                if let Some(claim) = self.held(*worker, index) {
                    let retry = retry.map(Duration::from_millis);
                    self.judge(&claim, &bistro.give_up(&span(), &claim, "burnt", retry).await);
                }
            }
            Step::HandBack(worker, index) => {
                if let Some(claim) = self.held(*worker, index) {
                    self.judge(&claim, &bistro.hand_back(&span(), &claim).await);
                }
            }
            Step::Pass(millis) => self.kitchen.pass(Duration::from_millis(*millis)),
            Step::Requeue(index) => {
                let dead = self.kitchen.queue().await.dead;
                if !dead.is_empty() {
                    let requeued = bistro.direct(&span(), index.get(&dead).id, Direction::Requeue).await;
                    requeued.expect("it is dead");
                }
            }
            Step::Pause(paused) => bistro.pause_kitchen(&span(), *paused).await.expect("an answer"),
        }
    }

    /// With one honest worker and a chef everything is cooked in the end, each once.
    async fn end(mut self) {
        self.kitchen.is_consistent().await;
        let bistro = self.kitchen.bistro.clone();
        bistro.pause_kitchen(&span(), false).await.expect("an answer");
        loop {
            for dead in self.kitchen.queue().await.dead {
                bistro.direct(&span(), dead.id, Direction::Requeue).await.expect("it is dead");
            }
            match self.kitchen.claim("honest").await {
                Some(claim) => {
                    bistro.finish(&span(), &claim).await.expect("nobody else is there");
                    *self.finished.entry(claim.ticket).or_default() += 1;
                }
                None if self.kitchen.queue().await.lengths == Default::default() => break,
                None => self.kitchen.pass(LEASE),
            }
        }
        self.kitchen.is_consistent().await;
        assert_eq!(self.finished.len() as i64, self.orders, "none was lost");
        assert!(self.finished.values().all(|times| *times == 1), "none was finished twice: {:?}", self.finished);
        let orders = bistro.latest_orders(&span()).await.expect("an answer");
        let done = |state: TicketState| state == TicketState::Done;
        assert!(orders.iter().all(|order| order.ticket.is_some_and(|ticket| done(ticket.state))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn each_ticket_has_one_outcome_whoever_dies_sleeps_or_reports_twice(
        steps in prop::collection::vec(step(), 10..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut run = Run::new();
            for step in &steps {
                run.take(step).await;
            }
            run.end().await;
        });
    }
}
