//! What engines do: one suite of behaviours, run on the fake engine as each release, and on every real engine of
//! `SHOAL_TEST_ENGINES`. All must agree: that is what makes the fake worth testing on.
//!
//! ```text
//! SHOAL_TEST_ENGINES='[{"socket": "/run/a.sock"}, {"endpoint": "tcp://10.0.0.2:2376", "tls_dir": "/etc/tls"}]'
//! ```
//! An entry with both is asked everything over TLS, as hosts are, and over its socket only what takes the connection over from
//! HTTP: there, and nowhere else, the two differ. The test image holds this very executable, which is statically linked and plays
//! the probe when called with that word: nothing is downloaded and nothing needs to be installed.
//!
//! The harness is its own, because the number of engines is known at run time; arguments filter by substring.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its failure")]

mod archives;
mod bench;
mod commands;
mod containers;
mod fake;
mod images;
mod networks;
mod probe;
mod removals;
mod restarts;
mod tls;
mod vanished;
mod volumes;

use std::{process::ExitCode, sync::Arc, time::Instant};

use bench::{Bench, Target};
use futures_util::future::LocalBoxFuture;
use shoal_docker_fake::Release;
use tokio::task::{LocalSet, spawn_local};

/// Module, name, test.
type Behaviour = (&'static str, &'static str, fn(Arc<Bench>) -> LocalBoxFuture<'static, ()>);

macro_rules! behaviours {
    ($($module:ident::$name:ident,)*) => {
        &[$((stringify!($module), stringify!($name), |bench| Box::pin(async move { $module::$name(&bench).await }))),*]
    };
}

const BEHAVIOURS: &[Behaviour] = behaviours![
    containers::facts_are_those_of_this_machine,
    containers::a_second_create_finds_the_first,
    containers::of_many_creates_at_once_one_wins,
    containers::what_is_missing_is_named,
    archives::an_archive_goes_in_before_the_start_and_comes_out,
    archives::an_archive_goes_into_a_running_and_a_stopped_container,
    archives::a_directory_comes_out_with_what_is_in_it,
    archives::a_directory_tells_that_what_is_in_it_changed,
    archives::what_an_archive_puts_below_a_tmpfs_lies_hidden,
    archives::what_an_archive_puts_into_a_volume_stays_there,
    archives::what_is_no_tar_goes_nowhere,
    containers::start_stop_kill_and_remove_may_be_repeated,
    removals::many_removals_at_once_end_with_nothing,
    removals::a_name_is_free_once_its_container_is_gone,
    removals::a_create_during_a_removal_comes_after_it,
    removals::a_start_during_a_removal_changes_nothing,
    restarts::a_container_begins_again_with_what_it_wrote,
    restarts::of_many_starts_at_once_one_starts,
    restarts::policy_always_begins_again_until_somebody_ends_it,
    restarts::what_cannot_run_is_never_started,
    restarts::what_does_not_end_when_told_is_killed_after_its_grace,
    restarts::a_command_ends_with_its_container,
    restarts::a_tmpfs_is_empty_at_every_start,
    vanished::a_create_given_up_is_whole_or_nothing,
    vanished::a_start_given_up_is_whole_or_nothing,
    containers::a_container_is_found_by_its_labels_alone,
    containers::the_last_lines_of_its_output,
    containers::events_tell_of_starts_and_deaths,
    containers::mounts_and_hostname_are_there,
    containers::the_agent_gets_what_it_needs_and_no_more,
    containers::a_node_gets_a_cgroup_tree_of_its_own,
    commands::status_and_both_outputs,
    commands::output_beyond_the_limit_is_cut,
    commands::what_cannot_be_run_says_so,
    commands::half_close_reaches_the_command_and_the_answer_comes_back,
    commands::a_duplex_carries_bytes_both_ways,
    commands::a_command_ends_with_its_stream,
    commands::a_terminal_has_a_size_that_changes,
    commands::output_that_looks_like_a_frame_is_output,
    images::an_image_has_the_id_it_was_packed_with,
    images::what_is_saved_can_be_loaded,
    images::what_is_no_archive_is_refused,
    images::an_image_in_use_stays,
    images::a_tag_moves_to_the_image_it_was_last_given_to,
    images::a_registry_that_is_not_there_is_not_the_hosts_fault,
    networks::a_network_is_made_as_asked,
    networks::address_and_mac_are_ours,
    networks::an_address_is_given_once,
    networks::subnets_do_not_overlap,
    networks::a_network_in_use_stays,
    networks::a_network_is_found_by_its_labels,
    networks::twins_are_made_by_old_engines_alone,
    networks::a_network_without_running_containers_goes,
    networks::an_address_is_free_while_its_container_does_not_run,
    networks::events_tell_who_left_a_network_and_that_it_is_gone,
    networks::a_gateways_address_is_taken,
    networks::a_fixed_address_is_told_before_the_first_start,
    volumes::a_volume_keeps_labels_and_content,
    volumes::a_volume_is_in_use_as_long_as_its_container_exists,
];

/// Its behaviours speak over a connection that was HTTP's, which each transport hands over in its own way.
const HIJACKING: &str = "commands";

/// Only where there is TLS.
const TLS_BEHAVIOURS: &[Behaviour] =
    behaviours![tls::a_foreign_client_certificate_is_told_apart, tls::a_foreign_ca_is_told_apart,];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let first = args.next();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if first.as_deref() == Some("probe") {
        return runtime.block_on(probe::run(args.collect()));
    }
    let filters = filters(first.into_iter().chain(args));
    let mut failed = 0;
    for release in [Release::V20_10, Release::V28_5] {
        // Paused: what takes an engine a second takes the fake none.
        let paused = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        failed += paused.unwrap().block_on(on_engine(&Target::Fake(release), &filters));
    }
    match std::env::var("SHOAL_TEST_ENGINES") {
        Ok(list) => {
            for target in bench::targets(&list) {
                failed += runtime.block_on(on_engine(&target, &filters));
            }
        }
        Err(_) => println!(
            "\nskipped: real engines: SHOAL_TEST_ENGINES is not set (a JSON list of {{\"socket\": PATH}} or \
             {{\"endpoint\": URL, \"tls_dir\": DIR}})"
        ),
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The substrings that select behaviours. `--skip WORD` of other harnesses selects none of ours.
fn filters(args: impl Iterator<Item = String>) -> Vec<String> {
    let (mut args, mut found) = (args, Vec::new());
    while let Some(arg) = args.next() {
        if arg == "--skip" {
            args.next();
        } else if !arg.starts_with('-') {
            found.push(arg);
        }
    }
    found
}

/// Runs the suite on one engine; how many behaviours failed.
async fn on_engine(target: &Target, filters: &[String]) -> usize {
    let bench = Arc::new(Bench::open(target).await);
    println!("\nrunning on {target}: engine {}", bench.engine.facts().await.unwrap().version);
    let mut failed = 0;
    let over_tls = if bench.tls_dir.is_some() { TLS_BEHAVIOURS } else { &[] };
    for (module, name, behaviour) in BEHAVIOURS.iter().chain(over_tls) {
        if !target.is_asked_all() && *module != HIJACKING {
            continue;
        }
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        let not_asked = if let Target::Fake(_) = target { fake::not_asked(name) } else { None };
        if let Some(reason) = not_asked {
            println!("not asked of the fake: {name} on {target}: {reason}");
            continue;
        }
        let began = Instant::now();
        // A task of its own, so that a panic fails this behaviour alone and the engine is tidied up in any case.
        let task = async { spawn_local(behaviour(Arc::clone(&bench))).await };
        let outcome = LocalSet::new().run_until(task).await;
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("behaviour {name} on {target} ... {word} ({} ms)", began.elapsed().as_millis());
        failed += usize::from(outcome.is_err());
    }
    bench.clean().await;
    failed
}
