//! What people do in a browser, in a real Chromium against the real binary.
//!
//! All scenarios share one browser and one server, since starting either costs more than most of
//! them take; cookies and storage are emptied between them. Without a Chromium the run says that it
//! was skipped, except where CI is set: there it fails.

#[path = "browser/backups.rs"]
mod backups;
#[path = "browser/bistro.rs"]
mod bistro;
#[path = "browser/breaking.rs"]
mod breaking;
#[path = "browser/chromium.rs"]
mod chromium;
#[path = "browser/edge.rs"]
mod edge;
#[path = "browser/first_visit.rs"]
mod first_visit;
#[path = "browser/floor.rs"]
mod floor;
#[path = "browser/journeys.rs"]
mod journeys;
#[path = "browser/keyboard.rs"]
mod keyboard;
#[path = "browser/kitchen.rs"]
mod kitchen;
#[path = "browser/live.rs"]
mod live;
#[path = "browser/looks.rs"]
mod looks;
#[path = "browser/own_service.rs"]
mod own_service;
#[path = "browser/page.rs"]
mod page;
#[path = "edge/rig.rs"]
mod rig;
#[path = "browser/server.rs"]
mod server;
#[path = "browser/signing.rs"]
mod signing;
#[path = "browser/tokens.rs"]
mod tokens;
#[path = "browser/traces.rs"]
mod traces;
#[path = "browser/world.rs"]
mod world;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chromium::{Chromium, Programs};
use world::World;

/// More than any scenario takes on a busy machine; each of its own waits gives up earlier.
const SCENARIO_MAX: Duration = Duration::from_secs(90);

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Scenario = (&'static str, fn(Arc<World>) -> Running);

macro_rules! scenarios {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((stringify!($name), |world| Box::pin($module::$name(world)))),*]
    };
}

static SCENARIOS: &[Scenario] = scenarios![
    first_visit::a_new_user_walks_from_the_printed_link_to_a_first_journey,
    first_visit::without_a_good_link_nobody_makes_an_account,
    signing::a_wrong_password_is_named_and_the_right_one_leads_back_to_the_page_asked_for,
    signing::after_signing_out_every_page_asks_to_sign_in,
    journeys::every_request_as_every_role_shows_where_it_turned,
    journeys::a_kept_connection_needs_no_name_and_no_handshake,
    journeys::a_path_of_ones_own_is_sent_and_a_wrong_one_is_named_at_its_field,
    journeys::the_policy_is_chosen_at_the_balancer_and_holds_from_the_next_request_on,
    journeys::an_answer_from_the_shared_cache_turns_at_the_edge_until_it_is_forgotten,
    journeys::reduced_motion_goes_straight_to_the_result_and_announces_it,
    journeys::a_link_reopens_its_journey_and_one_that_is_gone_says_so,
    journeys::several_at_once_are_dots_of_which_three_can_be_shown,
    own_service::the_line_to_ones_own_service_has_six_stations_and_says_what_is_known,
    own_service::a_stale_answer_goes_out_while_a_new_one_is_fetched_and_the_line_says_so,
    own_service::with_its_service_gone_the_line_ends_at_the_balancer,
    edge::an_upstream_is_weighed_and_emptied_while_it_serves,
    edge::the_configuration_is_loaded_again_or_what_is_wrong_with_it_is_said,
    edge::each_route_is_listed_with_its_rules_and_opens_by_keyboard,
    edge::a_setting_is_found_changed_and_set_back,
    edge::a_list_of_addresses_is_set_and_a_wrong_one_is_named_at_its_field,
    edge::the_edge_page_works_by_keyboard,
    breaking::what_a_fault_cuts_off_is_grey_every_page_says_so_and_one_button_ends_it,
    breaking::a_fault_is_aimed_and_timed_before_it_is_switched_on,
    breaking::what_the_server_refuses_is_said_at_the_control,
    breaking::a_station_is_broken_from_the_journey_and_by_keyboard,
    breaking::killing_each_instance_cuts_the_line_at_the_balancer,
    breaking::a_bad_day_begins_with_its_story,
    live::an_instance_is_killed_taken_back_and_removed,
    live::instances_are_restarted_released_and_given_more_workers,
    live::traffic_is_sent_and_seen,
    live::before_ones_own_service_there_is_traffic_and_nothing_of_instances,
    traces::traces_are_found_by_fault_and_opened,
    tokens::a_token_is_shown_once_listed_and_revoked,
    keyboard::the_line_is_one_tab_stop_and_arrows_walk_it,
    keyboard::the_keys_1_to_8_pick_a_station,
    keyboard::the_waterfall_is_one_tab_stop_and_up_and_down_walk_it,
    looks::the_theme_follows_the_system_until_chosen_and_the_choice_stays,
    looks::no_page_is_wider_than_a_phone_or_a_projector,
    bistro::a_guest_reads_the_menu_orders_and_sees_what_became_of_it,
    bistro::a_guest_keeps_a_draft_edits_places_and_cancels_it,
    bistro::a_guest_sees_the_kitchen_s_progress_without_reloading,
    floor::a_waiter_serves_and_takes_payment_and_the_manager_refunds_and_closes_the_day,
    backups::the_owner_backs_up_verifies_and_goes_back_by_keyboard,
    bistro::the_owner_sets_a_waiters_password_and_the_waiter_signs_in,
    kitchen::the_chef_sees_an_order_arrive_holds_it_and_lets_it_go,
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let chosen: Vec<Scenario> = SCENARIOS
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())))
        .copied()
        .collect();
    if std::env::args().any(|argument| argument == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    // `cargo test some_other_test` passes its filter to every test file.
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    let Some(programs) = Programs::find() else {
        eprintln!("skipped: no Chromium (tests/browser)");
        if !chromium::required() {
            return ExitCode::SUCCESS;
        }
        eprintln!("CI is set, where the browser tests must run: install chromium and chromium-driver");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run(&programs, &chosen))
}

async fn run(programs: &Programs, chosen: &[Scenario]) -> ExitCode {
    let began = Instant::now();
    println!("\nrunning {} browser scenarios", chosen.len());
    let world = Arc::new(World::start(Chromium::start(programs).await).await);
    let mut failed = Vec::new();
    for (name, scenario) in chosen {
        let began = Instant::now();
        let passed = passes(&world, *scenario).await;
        let seconds = began.elapsed().as_secs_f64();
        println!("test {name} ... {} ({seconds:.1} s)", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(*name);
        }
    }
    world.page.close().await;
    let passed = chosen.len() - failed.len();
    println!("\n{passed} passed; {} failed; finished in {:.1} s\n", failed.len(), began.elapsed().as_secs_f64());
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failures:\n    {}\nthe server's log:\n{}", failed.join("\n    "), world.server.log());
    ExitCode::FAILURE
}

/// A task of its own, so that a panic ends the scenario and not the run.
async fn passes(world: &Arc<World>, scenario: fn(Arc<World>) -> Running) -> bool {
    let theirs = Arc::clone(world);
    let running = tokio::spawn(async move {
        theirs.page.begin().await;
        scenario(Arc::clone(&theirs)).await;
        theirs.page.assert_quiet().await;
    });
    let stop = running.abort_handle();
    match tokio::time::timeout(SCENARIO_MAX, running).await {
        Ok(end) => end.is_ok(),
        Err(_) => {
            stop.abort();
            eprintln!("still running after {} s", SCENARIO_MAX.as_secs());
            false
        }
    }
}
