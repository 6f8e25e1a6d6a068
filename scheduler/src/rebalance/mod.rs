//! Which nodes of a cluster had better be elsewhere: hosts came back, or clusters went, since they were placed.
//!
//! ```text
//! Snapshot, Request (nodes that may move), where each is --> by the cluster's own strategy --> moves, each worth its while
//!     spread, metadata, round-robin, random   even.rs: a node goes where its strategy would place it now, from the worst host on
//!     binpack                                 pack.rs: a host is left by all nodes of the cluster, or by none
//! ```
//! No move lets a rule, a filter or a capacity be broken that held before, and a node moves once at most. As placing, the same
//! input always gives the same moves.

mod even;
mod pack;

use shoal_types::{HostId, HostName, HostState, NodeName, Scheduling, Strategy};

use crate::{Request, Snapshot, place::rooms, room::Room};

/// A node that is to go to another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The node.
    pub node: NodeName,
    /// The host it is on.
    pub from: HostId,
    /// Where it goes.
    pub to: HostId,
    /// That host's name.
    pub to_name: HostName,
}

/// (number of the node in the request, position it leaves, position it goes to)
type Step = (usize, usize, usize);

/// At most `most` moves, in the order in which they are worth it. `request` has the nodes that may move and `at` the host of each;
/// the snapshot counts them where they are. A node whose host is not in the snapshot, does not answer or is not schedulable stays.
#[must_use]
pub fn rebalance(
    strategy: Strategy,
    snapshot: &Snapshot,
    request: &Request,
    at: &[HostId],
    most: usize,
) -> Vec<Move> {
    let mut rooms = rooms(snapshot);
    let position = |host: &HostId| rooms.binary_search_by_key(host, |room| room.host.id).ok();
    let at: Vec<Option<usize>> =
        at.iter().map(position).map(|at| at.filter(|at| is_open(&rooms[*at]))).collect();
    let by = match strategy {
        Strategy::Spread => Some(even::By::Spread),
        Strategy::Metadata => Some(even::By::Metadata),
        Strategy::RoundRobin => Some(even::By::Number),
        Strategy::Random => Some(even::By::Load),
        Strategy::Binpack => None,
    };
    let steps = match by {
        Some(by) => even::moves(by, &mut rooms, request, &at, most),
        None => pack::moves(&mut rooms, request, &at, most),
    };
    let named = |(node, from, to): Step| Move {
        node: request.nodes[node].name.clone(),
        from: rooms[from].host.id,
        to: rooms[to].host.id,
        to_name: rooms[to].host.name.clone(),
    };
    steps.into_iter().map(named).collect()
}

/// Whether load may be taken from a host: it answers, and its operator has not said otherwise.
fn is_open(room: &Room<'_>) -> bool {
    let host = room.host;
    host.state == HostState::Ready && host.scheduling == Scheduling::Schedulable
}
