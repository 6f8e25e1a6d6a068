//! Packing: a host is left by all of a cluster's nodes, for fuller ones that are in use, if that frees it or makes the cluster's
//! hosts fewer. A few nodes moved from a host that keeps others would gain nothing.
//!
//! ```text
//! nodes   a: 7 of 10, b: 2 of 10, c: 1 of 10     the emptiest first:   c>a, then b>a b>a; a is full, b and c are free
//! ```

use super::Step;
use crate::{
    Request,
    class::{Class, Demand, classes},
    place::refuses,
    queue::{unwished, value},
    rank::Constraints,
    room::Room,
};

pub(super) fn moves(
    rooms: &mut [Room<'_>],
    request: &Request,
    at: &[Option<usize>],
    most: usize,
) -> Vec<Step> {
    let claimed = rooms.iter().any(|room| !room.host.claimed.is_empty());
    let classes = classes(request, claimed);
    let mut demands: Vec<Option<Demand<'_>>> = vec![None; request.nodes.len()];
    for Class { demand, nodes, .. } in &classes {
        nodes.iter().for_each(|node| demands[*node] = Some(*demand));
    }
    let mut sources: Vec<(u64, usize)> = (0..rooms.len())
        .filter(|from| at.contains(&Some(*from)))
        .map(|from| (rooms[from].fill(), from))
        .collect();
    sources.sort_unstable();
    let mut steps: Vec<Step> = Vec::new();
    // Hosts that were left or came to more: they stay as they are.
    let mut settled = vec![false; rooms.len()];
    for (fill, from) in sources {
        let nodes: Vec<usize> = (0..at.len()).filter(|node| at[*node] == Some(from)).collect();
        let all_move = usize::try_from(rooms[from].cluster_nodes).is_ok_and(|there| there == nodes.len());
        if settled[from] || !all_move || steps.len() + nodes.len() > most {
            continue;
        }
        let before: Vec<_> = rooms.iter().map(Room::standing).collect();
        let was: Vec<u32> = rooms.iter().map(|room| room.cluster_nodes).collect();
        let mut left = Vec::new();
        for node in nodes {
            let Some(demand) = demands[node] else { break };
            let fuller = |to: &usize| {
                let room = &rooms[*to];
                *to != from
                    && room.nodes() > 0
                    && (room.fill(), *to) > (fill, from)
                    && value(room, demand) == value(&rooms[from], demand)
                    && unwished(room, demand) <= unwished(&rooms[from], demand)
                    && refuses(Constraints::Required, room, demand).is_none()
            };
            let fullest = |to: &usize| (rooms[*to].fill_with(demand.node.reserve), std::cmp::Reverse(*to));
            let Some(to) = (0..rooms.len()).filter(fuller).max_by_key(fullest) else { break };
            rooms[from].give_back(demand.node.reserve);
            rooms[to].take(demand.node.reserve);
            left.push((node, from, to));
        }
        let moved = usize::try_from(was[from]).is_ok_and(|there| there == left.len());
        let frees = rooms[from].nodes() == 0 || left.iter().all(|(_, _, to)| was[*to] > 0);
        if moved && frees {
            settled[from] = true;
            left.iter().for_each(|(_, _, to)| settled[*to] = true);
            steps.extend(left);
        } else {
            rooms.iter_mut().zip(before).for_each(|(room, before)| room.set_standing(before));
        }
    }
    steps
}
