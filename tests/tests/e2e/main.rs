//! `shoal` end to end: the program, a lab of three hosts with both kinds of engine, real Slurm.
//!
//! `cargo xtask test --tier e2e` builds what these tests need and runs them; arguments filter by name, as with libtest. They run in
//! two lanes, each with a lab of its own, one after the other in each: they wait for most of their time, and two cores are what a
//! CI machine has.

mod access;
mod bed;
mod big;
mod collisions;
mod completion;
mod crashes;
mod documentation;
mod failures;
mod files;
mod images;
mod insight;
mod installations;
mod interrupted;
mod intruders;
mod jobs;
mod lost_hosts;
mod machines;
mod names;
mod progress;
mod refusals;
mod serve;
mod strangers;
mod streams;
mod sweep;
mod terminals;
mod together;
mod upkeep;
mod ways;

mod lanes;

use std::{env, process::ExitCode};

use lanes::Lane;
use libtest_mimic::{Arguments, Trial};
use shoal_tests::{Means, Stage};

/// A test: an error or a panic fails it.
type Test = (&'static str, fn(&Stage) -> anyhow::Result<()>);

macro_rules! tests {
    ($($module:ident::$name:ident,)*) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*]
    };
}

/// What works is looked at, and what is refused: first those tests that only look at `dev`.
const STEADY: &[Test] = tests![
    jobs::a_job_runs_on_every_worker_of_both_kinds_of_engine,
    jobs::what_json_tells_of_hosts_and_nodes,
    names::every_host_gives_the_same_answers,
    names::what_is_not_there_has_no_answer,
    machines::limits_and_shared_memory_are_the_same_on_every_engine,
    access::any_node_reaches_any_other_by_ssh,
    access::a_host_key_that_is_not_the_nodes_is_refused,
    access::ssh_passes_input_output_and_status,
    access::exec_passes_input_outputs_and_status,
    access::what_is_not_there_cannot_be_entered,
    completion::shells_offer_the_names_there_are,
    insight::a_new_cluster_is_well,
    terminals::a_shell_has_the_users_terminal,
    terminals::a_terminal_is_given_back_however_it_ends,
    terminals::a_command_goes_with_its_client,
    files::plain_ssh_and_its_kin_go_by_one_file,
    files::what_a_user_has_for_all_hosts_changes_nothing,
    files::many_log_in_at_once_and_by_every_name,
    files::files_and_directories_are_copied_both_ways,
    files::every_kind_of_thing_is_copied_or_named,
    files::the_journal_is_shown_and_followed,
    streams::two_hundred_tunnels_and_readers_that_stop,
    streams::a_reader_that_stops_holds_no_memory,
    streams::a_terminal_holds_nothing_of_what_a_node_writes,
    strangers::a_container_without_address_never_gets_a_nodes,
    refusals::what_does_not_fit_says_why,
    refusals::a_dry_run_shows_where_and_makes_nothing,
    refusals::constraints_choose_the_hosts,
    refusals::what_is_not_there_is_not_found,
    refusals::wrong_use_says_what_is_wrong,
    refusals::a_host_that_cannot_be_reached_is_not_registered,
    refusals::a_host_with_nodes_stays,
    refusals::a_name_is_given_once,
    collisions::images_that_cannot_be_nodes_are_named,
    collisions::subnets_of_others_are_left_to_them,
    jobs::a_program_submits_over_http,
    jobs::what_people_configure_is_followed,
    machines::a_node_reboots_and_powers_off_as_it_is_told,
    failures::a_deadline_names_node_host_and_stage_and_leaves_nothing,
    failures::what_slurm_refuses_is_shown,
    failures::a_failure_can_be_kept,
    progress::a_create_looks_the_same_from_elsewhere,
    progress::a_create_that_fails_looks_the_same_from_elsewhere,
    insight::what_is_broken_in_nodes_is_told,
    sweep::what_nothing_explains_goes_and_nothing_else,
    intruders::a_node_does_no_harm_to_other_clusters,
    installations::two_on_the_same_hosts_do_not_touch_each_other,
    ways::contexts_and_variables_of_dockers_client,
    ways::a_host_is_reached_by_the_users_own_ssh,
    ways::a_host_is_reached_by_a_sealed_ssh_key,
    ways::what_ssh_refuses_is_told,
    documentation::the_first_session_is_as_recorded,
    documentation::every_command_of_every_page_runs,
];

/// Processes are killed, then hosts: what that does to others on the lab is why these tests run last.
const FAULTS: &[Test] = tests![
    images::a_missing_image_comes_from_the_host_that_has_it,
    images::an_image_is_pulled_as_who_was_set,
    interrupted::an_interrupt_rolls_back,
    interrupted::a_killed_create_is_finished_by_the_next_command,
    sweep::resume_finishes_what_a_killed_process_left,
    crashes::killed_before_the_engine_sees_each_kind_of_effect,
    crashes::killed_after_each_kind_of_effect_before_its_answer,
    crashes::deleted_right_after_a_kill_nothing_is_left_of_what_came_late,
    crashes::killed_after_each_kind_of_event,
    crashes::a_second_interrupt_ends_at_once,
    crashes::killed_while_bringing_an_agent,
    together::different_clusters_do_not_meet,
    together::a_name_wanted_twice_is_given_once,
    together::a_cluster_can_be_deleted_while_it_is_created,
    big::sixty_four_workers_come_and_go_without_a_trace,
    upkeep::what_is_broken_by_hand_is_mended,
    serve::a_create_outlives_its_server,
    serve::what_is_broken_while_a_server_runs_is_mended_by_itself,
    lost_hosts::errors_of_users_do_not_count_against_a_host,
    lost_hosts::a_create_goes_elsewhere_while_nothing_was_started,
    lost_hosts::a_create_fails_once_a_node_was_started_there,
    lost_hosts::a_slow_host_delays_only_itself,
    lost_hosts::an_engine_dies_while_its_nodes_live,
    lost_hosts::a_power_cut_before_a_start,
    lost_hosts::a_host_is_cut_off,
    upkeep::a_host_that_lost_power_has_its_nodes_again,
    images::a_power_cut_amid_a_transfer,
];

const LANES: &[Lane] = &[Lane { lab: "e2e", tests: STEADY }, Lane { lab: "e2e-faults", tests: FAULTS }];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let asked = env::var(lanes::ONLY).ok();
    let is_asked = |lane: &&Lane| asked.as_ref().is_none_or(|only| only == lane.lab) && lane.has_some(&args);
    let lanes: Vec<&Lane> = LANES.iter().filter(is_asked).collect();
    match (Means::find(), lanes.as_slice()) {
        (Ok(_), [_, _, ..]) if !args.list => lanes::beside(&lanes),
        (Ok(means), [lane]) if !args.list => lane.run(args, means),
        (means, lanes) => {
            if let Err(reason) = &means {
                println!("skipped: {reason}");
            }
            let none = || Err("there is no lab".into());
            let trials = lanes.iter().flat_map(|lane| lane.tests);
            let trials = trials.map(|(name, _)| Trial::test(*name, none).with_ignored_flag(means.is_err()));
            libtest_mimic::run(&args, trials.collect()).exit_code()
        }
    }
}
