//! The restaurant against a model of it: whatever guests, staff, kitchen workers and crashes do in any order,
//! both say the same, and the books agree afterwards. `PROPTEST_CASES=10000` for the long run.

#[path = "restaurant/model.rs"]
mod model;
#[path = "restaurant/world.rs"]
mod world;

use model::Model;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use world::{Deed, Op, Wanted, World};

/// Proptest's own default is more than each run of the suite needs.
fn config() -> Config {
    let config = Config::default();
    let cases = if config.cases == 256 { 64 } else { config.cases };
    Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..config }
}

fn any_order() -> impl Strategy<Value = Wanted> {
    (0..model::DISHES.len(), 1..9_u32, 1..4_u16).prop_map(|(dish, quantity, table)| Wanted { dish, quantity, table })
}

fn any_key() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![3 => Just(None), 1 => (0..3_u8).prop_map(Some)]
}

fn any_op() -> impl Strategy<Value = Op> {
    let deed = prop_oneof![
        3 => Just(Deed::Place),
        2 => Just(Deed::Serve),
        2 => Just(Deed::Pay),
        2 => Just(Deed::Cancel),
        1 => Just(Deed::Refund),
        2 => any_order().prop_map(Deed::Edit),
    ];
    let (who, nth) = (0..model::PEOPLE, 0..64_usize);
    let begin = (who.clone(), any_order(), any::<bool>(), any_key());
    let change = (who, nth.clone(), deed, prop::option::weighted(0.3, -1..1_i64), any_key());
    prop_oneof![
        5 => begin.prop_map(|(who, order, draft, key)| Op::Begin { who, order, draft, key }),
        8 => change.prop_map(|(who, nth, deed, off, key)| Op::Change { who, nth, deed, off, key }),
        4 => Just(Op::Claim),
        3 => nth.clone().prop_map(|nth| Op::Finish { nth }),
        1 => (nth.clone(), any::<bool>()).prop_map(|(nth, dies)| Op::GiveUp { nth, dies }),
        1 => nth.clone().prop_map(|nth| Op::HandBack { nth }),
        1 => nth.prop_map(|nth| Op::Requeue { nth }),
        1 => Just(Op::Wait),
        1 => any_key().prop_map(|key| Op::CloseDay { key }),
        1 => Just(Op::Crash),
    ]
}

fn follow(ops: &[Op]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::open().await;
        let mut model = Model::new(world.prices().await);
        for (at, op) in ops.iter().enumerate() {
            let expected = model.apply(op);
            prop_assert_eq!(expected, world.apply(op).await, "{} of {:?}", at, ops);
        }
        world.crash();
        prop_assert_eq!(model.orders(), world.orders().await);
        prop_assert_eq!(world.wrong().await, Vec::<String>::new());
        Ok(())
    })
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn whatever_happens_the_restaurant_does_as_the_model_says_and_its_books_agree(
        ops in prop::collection::vec(any_op(), 1..40),
    ) {
        follow(&ops)?;
    }
}
