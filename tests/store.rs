//! What any engine beneath the store must do: one suite over the store's public interface, for each engine that
//! there is. A second one is a second [`ground::Ground`] and a second `suite!`.

mod store {
    pub mod console;
    pub mod ground;
    pub mod orders;
    pub mod sessions;
}

use store::ground::Outcome;
use store::{console, orders, sessions};

/// Runs each rule on one ground. A rule that no suite names does not compile without a warning.
macro_rules! suite {
    ($ground:ty: $($part:ident::$rule:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() -> super::Outcome {
                super::$part::$rule::<$ground>().await
            }
        )*
    };
}

mod sqlite {
    suite! {
        crate::store::ground::Sqlite:
        orders::a_new_house_has_forty_dishes_that_can_all_be_had_and_staff_without_a_password,
        orders::an_acknowledged_order_is_there_after_reopening,
        orders::two_hundred_guests_want_the_last_twenty_portions_and_twenty_get_one,
        orders::a_refused_order_leaves_nothing_behind,
        orders::one_key_is_one_order_however_often_and_at_once_it_comes,
        sessions::a_session_ends_when_idle_when_old_and_when_told,
        sessions::a_person_has_five_sessions_at_most_and_minted_ones_push_none_out,
        sessions::a_new_password_ends_the_sessions_of_before,
        console::set_up_happens_once_with_a_live_token,
        console::a_token_counts_until_its_time_is_over_or_it_is_revoked,
        console::a_tokens_last_use_is_written_down_once_a_minute,
        console::changes_are_there_after_reopening_the_newest_first,
    }
}
