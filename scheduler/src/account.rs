//! Why a node is on its host: the candidates as the scheduler saw them when it chose.

use shoal_types::{HostName, LabelValue, NodeName};

use crate::{
    Refusal, Request,
    choice::Choice,
    class::Demand,
    place::refused_now,
    queue::{Queue, per_group, unwished, value},
    room::Room,
};

/// Most candidates an account lists by name.
const LISTED: usize = 5;

/// What the scheduler saw when it chose a node's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The node.
    pub node: NodeName,
    /// The host it was given.
    pub host: HostName,
    /// How many nodes were placed before it.
    pub before: usize,
    /// How many hosts could have taken it.
    pub candidates: usize,
    /// The host's rank among them, from 1; chance may choose another than the first.
    pub rank: usize,
    /// The best of them and the chosen one, best first.
    pub best: Vec<Candidate>,
    /// The value of the label nodes are spread over, if they are.
    pub group: Option<Group>,
    /// The hosts that could not, by name, and why.
    pub refusals: Vec<Refusal>,
}

/// A host that could have taken the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub host: HostName,
    /// Its rank, from 1.
    pub rank: usize,
    /// What the strategy saw in it: `has 2 nodes of the cluster, would be 12.3 % full`.
    pub score: String,
    /// Nodes of other clusters on it that had better be apart.
    pub unwished: u32,
}

/// A value of the label nodes are spread over, as the node was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The value.
    pub value: LabelValue,
    /// Nodes of the cluster on hosts with it.
    pub nodes: u64,
}

/// What is seen before a node is placed; completed by the host it is given.
pub(crate) struct Sight {
    standings: Vec<(usize, String)>,
    groups: Vec<Option<Group>>,
    unwished: Vec<u32>,
    refusals: Vec<Refusal>,
    before: usize,
}

impl Sight {
    pub(crate) fn of<C: Choice>(
        queue: &Queue<'_, C>,
        rooms: &[Room<'_>],
        demand: Demand<'_>,
        before: usize,
    ) -> Self {
        let nodes = per_group(rooms, demand);
        let group = |room: &Room<'_>| {
            let value = value(room, demand)?;
            Some(Group { value: value.clone(), nodes: nodes.get(&Some(value)).copied().unwrap_or(0) })
        };
        Self {
            standings: queue.standings(rooms),
            groups: rooms.iter().map(group).collect(),
            unwished: rooms.iter().map(|room| unwished(room, demand)).collect(),
            refusals: refused_now(C::CONSTRAINTS, rooms, demand),
            before,
        }
    }

    pub(crate) fn chosen(
        mut self,
        rooms: &[Room<'_>],
        request: &Request,
        node: usize,
        position: usize,
    ) -> Account {
        let at = self.standings.iter().position(|(host, _)| *host == position).unwrap_or(0);
        let candidates = self.standings.len();
        let name = |host: usize| rooms[host].host.name.clone();
        let listed = |(rank, (host, score)): (usize, (usize, String))| Candidate {
            host: name(host),
            rank: rank + 1,
            score,
            unwished: self.unwished[host],
        };
        let shown = self.standings.into_iter().enumerate().filter(|(n, _)| *n < LISTED || *n == at);
        Account {
            node: request.nodes[node].name.clone(),
            host: name(position),
            before: self.before,
            candidates,
            rank: at + 1,
            best: shown.map(listed).collect(),
            group: self.groups[position].take(),
            refusals: self.refusals,
        }
    }
}
