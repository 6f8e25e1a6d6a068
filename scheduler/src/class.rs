//! Nodes that ask for the same: every host is as good for one of a class as for another, so hosts are filtered and scored
//! once per class instead of once per node. Classes that differ in size alone are of one shape, and share what does not
//! depend on size ([`Shape`](crate::shape::Shape)).

use std::collections::BTreeMap;

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
    /// Number of its shape; shapes are numbered in the order of their first classes.
    pub(crate) shape: usize,
}

/// The classes of a request, in the order of their first nodes; `claimed` says whether any host is claimed for a role.
pub(crate) fn classes(request: &Request, claimed: bool) -> Vec<Class<'_>> {
    let mut classes: Vec<Class<'_>> = Vec::new();
    let mut shapes: Vec<&NodeRequest> = Vec::new();
    // (shape, CPU, memory) -> class
    let mut sizes = BTreeMap::new();
    // A host others claim for a role refuses that role alone.
    let roles = claimed || !request.rules.apart.is_empty() || !request.rules.prefer_apart.is_empty();
    for (position, node) in request.nodes.iter().enumerate() {
        let same = |first: &&NodeRequest| {
            first.constraints == node.constraints
                && first.pin == node.pin
                && (first.role == node.role || !roles)
        };
        // From the back: nodes of one group follow each other.
        let shape = shapes.iter().rposition(same).unwrap_or_else(|| {
            shapes.push(node);
            shapes.len() - 1
        });
        let next = classes.len();
        let class = *sizes.entry((shape, node.reserve.cpu, node.reserve.memory)).or_insert(next);
        if class == next {
            let demand = Demand { request, node, first: position };
            classes.push(Class { demand, nodes: vec![], shape });
        }
        classes[class].nodes.push(position);
    }
    classes
}
