//! Nodes that ask for the same: every host is as good for one of a class as for another, so hosts are filtered and scored
//! once per class instead of once per node.

use shoal_types::LabelExpr;

use crate::{NodeRequest, Request};

/// What any node of a class asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand<'a> {
    pub(crate) request: &'a Request,
    /// The first node of the class.
    pub(crate) node: &'a NodeRequest,
    /// Its position in the request: tells classes apart.
    pub(crate) first: usize,
}

impl<'a> Demand<'a> {
    /// Every expression on a host's labels: those of all nodes, then the node's own.
    pub(crate) fn exprs(self) -> impl Iterator<Item = &'a LabelExpr> {
        self.request.constraints.iter().chain(&self.node.constraints)
    }
}

/// A class.
#[derive(Debug)]
pub(crate) struct Class<'a> {
    pub(crate) demand: Demand<'a>,
    /// Its nodes, by position in the request, ascending.
    pub(crate) nodes: Vec<usize>,
}

/// The classes of a request, in the order of their first nodes; `claimed` says whether any host is claimed for a role.
pub(crate) fn classes(request: &Request, claimed: bool) -> Vec<Class<'_>> {
    let mut classes: Vec<Class<'_>> = Vec::new();
    // A host others claim for a role refuses that role alone.
    let roles = claimed || !request.rules.apart.is_empty() || !request.rules.prefer_apart.is_empty();
    for (position, node) in request.nodes.iter().enumerate() {
        let same = |class: &&mut Class<'_>| {
            let first = class.demand.node;
            first.reserve == node.reserve
                && first.constraints == node.constraints
                && first.pin == node.pin
                && (first.role == node.role || !roles)
        };
        // From the back: nodes of one group follow each other.
        match classes.iter_mut().rev().find(same) {
            Some(class) => class.nodes.push(position),
            None => classes
                .push(Class { demand: Demand { request, node, first: position }, nodes: vec![position] }),
        }
    }
    classes
}
