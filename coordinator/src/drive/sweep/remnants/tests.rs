//! When a remnant waits, goes, or is forgotten.

use super::*;
use shoal_types::Generation;

use crate::drive::sweep::{
    known::Place,
    plan::tests::{
        cluster, container, device, docker_network, host, known, listing, mesh, naming, node, remnant, volume,
    },
};

/// What is due for a remnant of `host1`, so long after it was given up.
fn after(seconds: u64, remnant: &Remnant, known: &StoreView, things: Vec<Thing>) -> Due {
    let now = remnant.what.since.after(Duration::from_secs(seconds));
    let listing = Listing { at: now, ..listing(1, things) };
    due(&naming(), remnant, &listing, known, now)
}

fn waits(due: &Due) -> bool {
    matches!(due, Due::Wait(_))
}

#[test]
fn an_empty_list_counts_once_no_call_can_come_any_more() {
    let (remnant, known) = (remnant(7, None, 7), known());
    assert!(waits(&after(60, &remnant, &known, vec![])));
    assert_eq!(after(61, &remnant, &known, vec![]), Due::Forget);
    // Others' things are not its.
    assert_eq!(
        after(61, &remnant, &known, vec![container(1, 1, 2), docker_network(9), mesh(1)]),
        Due::Forget
    );
    // A list begun before counts for nothing, however late it is now.
    let late = remnant.what.since.after(Duration::from_secs(500));
    let early = Listing { at: remnant.what.since, ..listing(1, vec![]) };
    assert!(waits(&due(&naming(), &remnant, &early, &known, late)));
}

#[test]
fn everything_of_a_cluster_goes_at_once_and_in_order() {
    let (remnant, known) = (remnant(7, None, 7), known());
    let there =
        vec![volume(7), docker_network(7), device(7), mesh(7), container(7, 1, 1), container(1, 1, 2)];
    let expected = vec![container(7, 1, 1), mesh(7), device(7), docker_network(7), volume(7)];
    assert_eq!(after(1, &remnant, &known, there), Due::Remove(expected));
}

#[test]
fn a_cluster_that_has_nodes_there_keeps_everything() {
    let remnant = remnant(1, None, 1);
    assert!(waits(&after(500, &remnant, &known(), vec![container(1, 1, 2), docker_network(1)])));
    assert!(waits(&after(500, &remnant, &known(), vec![])));
}

#[test]
fn of_a_node_only_the_container_goes_that_no_row_places_there() {
    // Node 2 is placed on host 2 now.
    let (left, mut known) = (remnant(1, Some(node(2)), 1), known());
    let there = vec![container(1, 1, 2), container(1, 2, 1), docker_network(1), mesh(1), volume(1)];
    assert_eq!(after(121, &left, &known, there.clone()), Due::Remove(vec![container(1, 2, 1)]));
    // It came back to host 1, of generation 3: what is of an older one goes, what is of this one stays.
    known.nodes.insert(node(2), Place { cluster: cluster(1), host: host(1), generation: Generation(3) });
    assert_eq!(after(121, &left, &known, there), Due::Remove(vec![container(1, 2, 1)]));
    assert_eq!(after(121, &left, &known, vec![container(1, 2, 3)]), Due::Forget);
    // The node is no more.
    known.nodes.remove(&node(2));
    assert_eq!(after(121, &left, &known, vec![container(1, 2, 1)]), Due::Remove(vec![container(1, 2, 1)]));
}
