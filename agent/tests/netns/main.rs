//! The agent in real network namespaces: hosts joined by a LAN, each with a bridge that stands for Docker's and namespaces that
//! stand for containers.
//!
//! ```text
//!   [w0]  [w1]          [w2]                [..] namespaces of nodes, with their address and MAC
//!    |     |             |
//!   sb... bridge        sb... bridge        10.96.4.1 on each
//!    | sv... VXLAN       | sv... VXLAN
//!   host h1             host h2             one agent process in each, with the two capabilities it has in its container
//!    |eth0 10.77.0.1     |eth0 10.77.0.2
//!    '------ bridge -----'                  namespace of the LAN
//! ```
//!
//! Needs root and iproute2. The agents are this executable, started again with `agent` as its first argument; with `measure` it
//! measures what the filter of tunnel packets costs.

mod agent;
mod cost;
mod exhaustion;
mod intrusion;
mod lab;
mod lifecycle;
mod names;
mod net;
mod nft;
mod path_probe;
mod process;
mod session;
mod traffic;
mod tunnel;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

type Test = fn() -> anyhow::Result<()>;

const TESTS: &[(&str, Test)] = &[
    ("session::a_caller_that_answers_no_ping_is_cut", session::a_caller_that_answers_no_ping_is_cut),
    ("traffic::nodes_of_three_hosts_speak_tcp", traffic::nodes_of_three_hosts_speak_tcp),
    ("traffic::arp_is_answered_locally", traffic::arp_is_answered_locally),
    ("traffic::a_node_that_moves_keeps_its_traffic", traffic::a_node_that_moves_keeps_its_traffic),
    ("traffic::a_hosts_ipsec_is_not_asked_about_nodes", traffic::a_hosts_ipsec_is_not_asked_about_nodes),
    ("lifecycle::entries_are_those_of_the_design", lifecycle::entries_are_those_of_the_design),
    ("lifecycle::what_is_broken_comes_back", lifecycle::what_is_broken_comes_back),
    ("lifecycle::a_restart_applies_what_was_kept", lifecycle::a_restart_applies_what_was_kept),
    ("lifecycle::after_boot_it_waits_for_the_bridge", lifecycle::after_boot_it_waits_for_the_bridge),
    ("lifecycle::removal_leaves_nothing", lifecycle::removal_leaves_nothing),
    (
        "lifecycle::what_is_left_behind_is_told_from_what_is_kept",
        lifecycle::what_is_left_behind_is_told_from_what_is_kept,
    ),
    ("lifecycle::revisions_only_grow", lifecycle::revisions_only_grow),
    ("lifecycle::two_networks_share_a_host_and_no_more", lifecycle::two_networks_share_a_host_and_no_more),
    (
        "intrusion::nobody_but_a_member_sends_into_a_network",
        intrusion::nobody_but_a_member_sends_into_a_network,
    ),
    (
        "intrusion::the_table_is_kept_and_goes_with_the_last_network",
        intrusion::the_table_is_kept_and_goes_with_the_last_network,
    ),
    ("intrusion::two_installations_share_hosts_and_port", intrusion::two_installations_share_hosts_and_port),
    ("exhaustion::connections_for_names_are_few", exhaustion::connections_for_names_are_few),
    (
        "exhaustion::questions_that_nobody_answers_are_a_networks_own",
        exhaustion::questions_that_nobody_answers_are_a_networks_own,
    ),
    (
        "exhaustion::a_bridge_learns_a_bounded_number_of_addresses",
        exhaustion::a_bridge_learns_a_bounded_number_of_addresses,
    ),
    ("exhaustion::tables_of_others_are_not_read", exhaustion::tables_of_others_are_not_read),
    ("lifecycle::what_others_hold_is_named", lifecycle::what_others_hold_is_named),
    ("lifecycle::a_thousand_members_fit_in_20_mb", lifecycle::a_thousand_members_fit_in_20_mb),
    ("names::every_host_gives_the_same_answers", names::every_host_gives_the_same_answers),
    ("names::a_nodes_own_resolver_finds_them", names::a_nodes_own_resolver_finds_them),
    ("names::names_change_below_an_open_socket", names::names_change_below_an_open_socket),
    ("names::names_of_others_are_forwarded", names::names_of_others_are_forwarded),
    ("names::a_dead_resolver_holds_up_nobody", names::a_dead_resolver_holds_up_nobody),
    ("names::what_must_not_be_answered_is_refused", names::what_must_not_be_answered_is_refused),
    ("tunnel::both_ways_end_by_themselves", tunnel::both_ways_end_by_themselves),
    ("tunnel::only_nodes_of_this_host_are_reached", tunnel::only_nodes_of_this_host_are_reached),
    ("session::a_session_greets_speaks_and_ends", session::a_session_greets_speaks_and_ends),
    (
        "path_probe::tunnel_packets_arrive_with_and_without_a_network",
        path_probe::tunnel_packets_arrive_with_and_without_a_network,
    ),
    (
        "path_probe::a_firewall_and_a_narrow_link_are_noticed",
        path_probe::a_firewall_and_a_narrow_link_are_noticed,
    ),
    (
        "path_probe::hosts_that_send_at_once_are_told_apart",
        path_probe::hosts_that_send_at_once_are_told_apart,
    ),
    ("path_probe::what_cannot_be_checked_is_refused", path_probe::what_cannot_be_checked_is_refused),
    ("session::it_tells_ports_and_facts", session::it_tells_ports_and_facts),
    ("session::it_tells_what_leads_addresses_away", session::it_tells_what_leads_addresses_away),
    ("session::it_tells_what_an_engine_left_behind", session::it_tells_what_an_engine_left_behind),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if let Some(role @ ("agent" | "connect")) = arguments.next().as_deref() {
        return process::run(role, arguments);
    }
    if std::env::args().nth(1).as_deref() == Some("measure") {
        return cost::measure().map_or_else(
            |error| {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    let arguments = Arguments::from_args();
    let missing = lab::missing();
    if let Some(missing) = &missing {
        println!("skipped: the agent's network tests need {missing}");
    }
    let trials = TESTS.iter().map(|(name, test)| {
        let run = move || test().map_err(|error| Failed::from(format!("{error:#}")));
        Trial::test(*name, run).with_ignored_flag(missing.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
