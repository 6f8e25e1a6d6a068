//! The hosts that can take each node, by the built-in filters: the input of a scheduler outside this crate.

use crate::{
    Filter, HostView, Reason, Request, Snapshot,
    class::{Demand, classes},
    place::refuses,
    rank::Constraints,
    room::Room,
};

/// Filters on a host whatever the node.
const OF_HOST: [Filter; 7] = [
    Filter::State,
    Filter::Privilege,
    Filter::Excluded,
    Filter::Architecture,
    Filter::Profile,
    Filter::Mtu,
    Filter::Image,
];

/// Why a host can take no node of a request, whatever its size and role; `None` if it may take some.
#[must_use]
pub fn refusal_of(host: &HostView, request: &Request) -> Option<Reason> {
    let demand = Demand { request, node: request.nodes.first()?, first: 0 };
    OF_HOST.into_iter().find_map(|filter| filter.refuses(host, demand))
}

/// The hosts that can take each node while no other is placed: lists of positions in the snapshot, ascending, and the number
/// of its list for every node, in the order of the request.
#[must_use]
pub fn candidates(snapshot: &Snapshot, request: &Request) -> (Vec<Vec<u32>>, Vec<u32>) {
    let rooms: Vec<_> = snapshot.hosts.iter().map(Room::new).collect();
    let claimed = snapshot.hosts.iter().any(|host| !host.claimed.is_empty());
    let mut of_node = vec![0; request.nodes.len()];
    let mut lists = Vec::new();
    for (number, class) in (0..).zip(classes(request, claimed)) {
        let fits = |room: &Room<'_>| refuses(Constraints::Required, room, class.demand).is_none();
        lists.push((0..).zip(&rooms).filter(|(_, room)| fits(room)).map(|(at, _)| at).collect());
        for node in class.nodes {
            of_node[node] = number;
        }
    }
    (lists, of_node)
}
