//! Counts on its own, in 128 bits and without the crate's capacity code, what a host can take, so that it can disagree with
//! the scheduler.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shoal_scheduler::{HostView, ImageState, NodeRequest, Plan, Request};
use shoal_types::{HostState, LabelExpr, Scheduling, Strategy};

/// Expressions that keep nodes off hosts under a strategy.
fn required<'a>(strategy: Strategy, request: &'a Request, node: &'a NodeRequest) -> Vec<&'a LabelExpr> {
    match strategy {
        Strategy::Spread | Strategy::RoundRobin | Strategy::Binpack | Strategy::Random => {
            request.constraints.iter().chain(&node.constraints).collect()
        }
        Strategy::Metadata => vec![],
    }
}

/// Whether a filter that has nothing to do with room refuses the host.
fn unfit(strategy: Strategy, host: &HostView, request: &Request, node: &NodeRequest) -> bool {
    host.state != HostState::Ready
        || host.scheduling != Scheduling::Schedulable
        || host.privilege_denied
        || request.exclude.contains_key(&host.id)
        || request.architecture.as_ref().is_some_and(|a| *a != host.architecture)
        || !host.profiles.contains(&request.profile)
        || request.mtu.is_some_and(|mtu| host.mtu < mtu.get().into())
        || !matches!(host.image, ImageState::Present | ImageState::Obtainable)
        || node.pin.as_ref().is_some_and(|pin| *pin != host.name)
        || request.rules.spread_over.as_ref().is_some_and(|label| host.labels.get(label).is_none())
        || host.claimed.contains(&node.role)
        || (request.rules.apart.contains(&node.role) && host.others.get(&node.role).is_some_and(|n| *n > 0))
        || required(strategy, request, node).iter().any(|e| !e.matches(&host.labels))
}

/// What is left of a resource, not below zero.
fn left(total: u64, factor_milli: u32, kept: u64, reserved: u64) -> u128 {
    let promised = (u128::from(total) * u128::from(factor_milli) / 1000).min(u128::from(u64::MAX));
    promised.saturating_sub(u128::from(kept)).saturating_sub(u128::from(reserved))
}

/// CPU, memory and slots left of a host.
fn room(host: &HostView) -> [u128; 3] {
    [
        left(host.total.cpu.0, host.overcommit.cpu_milli, host.keep_back.cpu.0, host.reserved.cpu.0),
        left(
            host.total.memory.0,
            host.overcommit.memory_milli,
            host.keep_back.memory.0,
            host.reserved.memory.0,
        ),
        left(host.total.node_slots.into(), 1000, 0, host.reserved.node_slots.into()),
    ]
}

fn needs(node: &NodeRequest) -> [u128; 3] {
    [node.reserve.cpu.0.into(), node.reserve.memory.0.into(), 1]
}

/// How many more nodes of the cluster a host may have.
fn of_cluster(host: &HostView, request: &Request) -> u128 {
    let most = request.rules.max_per_host.map_or(u128::MAX, |most| most.get().into());
    most.saturating_sub(host.cluster_nodes.into())
}

/// How many such nodes a host can take.
pub(crate) fn takes(strategy: Strategy, host: &HostView, request: &Request, node: &NodeRequest) -> u128 {
    if unfit(strategy, host, request, node) {
        return 0;
    }
    let times = |(room, need): (u128, u128)| room.checked_div(need).unwrap_or(u128::MAX);
    room(host).into_iter().zip(needs(node)).map(times).min().unwrap_or(0).min(of_cluster(host, request))
}

/// Every node once and in order, on a host that may have it, and no host beyond what it has left.
pub(crate) fn check(
    strategy: Strategy,
    hosts: &[HostView],
    request: &Request,
    plan: &Plan,
) -> Result<(), TestCaseError> {
    let asked: Vec<_> = request.nodes.iter().map(|n| &n.name).collect();
    let placed: Vec<_> = plan.placements.iter().map(|p| &p.node).collect();
    prop_assert_eq!(asked, placed);
    let mut used: BTreeMap<_, [u128; 3]> = BTreeMap::new();
    for (node, placement) in request.nodes.iter().zip(&plan.placements) {
        let host = hosts.iter().find(|h| h.id == placement.host_id).unwrap();
        prop_assert_eq!(&host.name, &placement.host);
        prop_assert!(!unfit(strategy, host, request, node), "{} is on unfit {}", node.name, host.name);
        let sum = used.entry(host.id).or_default();
        for (sum, need) in sum.iter_mut().zip(needs(node)) {
            *sum += need;
        }
    }
    for host in hosts {
        let used = used.get(&host.id).copied().unwrap_or_default();
        let over = used.into_iter().zip(room(host)).any(|(used, room)| used > room);
        prop_assert!(used[2] <= of_cluster(host, request), "{} has too many of the cluster", host.name);
        prop_assert!(!over, "{} is over capacity: {used:?} of {:?}", host.name, room(host));
    }
    Ok(())
}

/// Nodes of one kind are as evenly over the values of a label as room allows: where a value has two fewer than another that
/// was given a node, none of its hosts can take one more.
pub(crate) fn check_even(
    strategy: Strategy,
    hosts: &[HostView],
    request: &Request,
    plan: &Plan,
) -> Result<(), TestCaseError> {
    let (Some(label), Some(node)) = (&request.rules.spread_over, request.nodes.first()) else {
        return Ok(());
    };
    let given = |h: &HostView| plan.placements.iter().filter(|p| p.host_id == h.id).count() as u128;
    let mut counts: BTreeMap<_, u128> = BTreeMap::new();
    for host in hosts {
        *counts.entry(host.labels.get(label)).or_default() += u128::from(host.cluster_nodes) + given(host);
    }
    let most = hosts.iter().filter(|h| given(h) > 0).map(|h| counts[&h.labels.get(label)]).max().unwrap_or(0);
    for host in hosts.iter().filter(|h| counts[&h.labels.get(label)] + 1 < most) {
        prop_assert_eq!(given(host), takes(strategy, host, request, node), "{} {:?}", host.name, counts);
    }
    Ok(())
}
