//! Whether a plan that somebody else made may be: it is replayed through the same rooms and filters.

use std::collections::BTreeMap;

use shoal_types::{HostName, LabelKey, LabelValue, NodeName};

use crate::{
    Placement, Plan, Reason, Request, Snapshot,
    class::Class,
    place::{Survey, refuses, rooms, survey},
    queue::{per_group, value},
    rank::Constraints,
    room::Room,
};

/// What is wrong with a plan somebody else made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It places a node nobody asked for.
    #[error("the answer places {}, which is no node of the request", node.escape_debug())]
    NotAsked {
        /// The node, as it was called.
        node: String,
    },
    /// A node is there twice.
    #[error("the answer places {node} twice")]
    Twice {
        /// The node.
        node: NodeName,
    },
    /// A node is not there.
    #[error("the answer places {placed} of {nodes} nodes: {node} has no host")]
    Missing {
        /// The first node without a host.
        node: NodeName,
        /// How many have one.
        placed: usize,
        /// How many were asked for.
        nodes: usize,
    },
    /// There is no such host.
    #[error("the answer places {node} on {}, which is no host of the request", host.escape_debug())]
    NoHost {
        /// The node.
        node: NodeName,
        /// The host, as it was called.
        host: String,
    },
    /// The host cannot take the node.
    #[error("the answer places {node} on {host}, which {reason}")]
    Refused {
        /// The node.
        node: NodeName,
        /// The host.
        host: HostName,
        /// Why not.
        reason: Reason,
    },
    /// Nodes are not spread as was asked.
    #[error(
        "the answer spreads nodes unevenly over {label}: {most} on {more}, {least} on {less}, which has room"
    )]
    Uneven {
        /// The label.
        label: LabelKey,
        /// The value with too many.
        more: LabelValue,
        /// How many.
        most: u64,
        /// The value with too few.
        less: LabelValue,
        /// How many.
        least: u64,
    },
}

/// The plan of an answer, (node, host) in any order, if it may be: every node once, each on a host that no filter refuses
/// once all the others are there, and no node where another value of the label they are spread over has two fewer and room.
///
/// # Errors
/// [`Wrong`]: the first thing that is wrong, in the order of the request.
pub fn check<'a>(
    snapshot: &Snapshot,
    request: &Request,
    answer: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Plan, Wrong> {
    let mut rooms = rooms(snapshot);
    let by_name: BTreeMap<&str, usize> =
        rooms.iter().enumerate().map(|(at, room)| (room.host.name.as_str(), at)).collect();
    let numbers: BTreeMap<&str, usize> =
        request.nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    let mut hosts: Vec<Option<&str>> = vec![None; request.nodes.len()];
    for (node, host) in answer {
        let at = *numbers.get(node).ok_or_else(|| Wrong::NotAsked { node: shortened(node) })?;
        if hosts[at].replace(host).is_some() {
            return Err(Wrong::Twice { node: request.nodes[at].name.clone() });
        }
    }
    let placed = hosts.iter().flatten().count();
    let Survey { classes, refused, .. } = survey(Constraints::Required, &rooms, request);
    let mut class_of = vec![0; request.nodes.len()];
    for (number, class) in classes.iter().enumerate() {
        for node in &class.nodes {
            class_of[*node] = number;
        }
    }
    let mut positions = Vec::with_capacity(placed);
    for (at, host) in hosts.into_iter().enumerate() {
        let node = || request.nodes[at].name.clone();
        let host = host.ok_or_else(|| Wrong::Missing { node: node(), placed, nodes: request.nodes.len() })?;
        let position = by_name.get(host).copied();
        let position = position.ok_or_else(|| Wrong::NoHost { node: node(), host: shortened(host) })?;
        let (room, demand) = (&mut rooms[position], classes[class_of[at]].demand);
        if let Some(reason) = refuses(Constraints::Required, room, demand) {
            return Err(Wrong::Refused { node: node(), host: room.host.name.clone(), reason });
        }
        room.take(demand.node.reserve);
        positions.push(position);
    }
    even(&rooms, &classes, &positions)?;
    let placement = |(node, at): (&crate::NodeRequest, &usize)| Placement {
        node: node.name.clone(),
        host: rooms[*at].host.name.clone(),
        host_id: rooms[*at].host.id,
    };
    let placements = request.nodes.iter().zip(&positions).map(placement).collect();
    Ok(Plan { placements, refusals: crate::place::named(&rooms, refused) })
}

/// No node could go to a value of the label with two nodes fewer.
fn even(rooms: &[Room<'_>], classes: &[Class<'_>], positions: &[usize]) -> Result<(), Wrong> {
    for Class { demand, nodes, .. } in classes {
        let Some(label) = &demand.request.rules.spread_over else { return Ok(()) };
        let counts = per_group(rooms, *demand);
        let count = |room: &Room<'_>| counts.get(&value(room, *demand)).copied().unwrap_or(0);
        let open = |room: &&Room<'_>| refuses(Constraints::Required, room, *demand).is_none();
        let less = rooms.iter().filter(open).min_by_key(|room| count(room));
        let more = nodes.iter().map(|node| &rooms[positions[*node]]).max_by_key(|room| count(room));
        let (Some(less), Some(more)) = (less, more) else { continue };
        let (least, most) = (count(less), count(more));
        let named = (value(less, *demand), value(more, *demand));
        if let (Some(less), Some(more)) = named
            && most > least + 1
        {
            let (less, more) = (less.clone(), more.clone());
            return Err(Wrong::Uneven { label: label.clone(), more, most, less, least });
        }
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
