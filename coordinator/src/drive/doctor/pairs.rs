//! The ways between every two hosts, both ways, and with them the port on every host: `observe/paths/` tries them.

use shoal_api::Pair;

use crate::{
    drive::doctor::{LIMIT, Ports},
    edit::network::UDP_PORT,
    fleet::coordinator::Coordinator,
    observe::paths::{self, End, Sampled},
};

/// Checks every pair, and with it the port on every host.
pub(super) async fn check_pairs(
    coordinator: &Coordinator,
    ends: &[End],
) -> (Vec<Pair>, Option<Sampled>, Ports) {
    let probed = paths::probe(coordinator, ends, UDP_PORT, LIMIT).await;
    let pairs = probed.ways.iter().map(|way| paths::verdict(ends, UDP_PORT, way)).collect();
    let ports = ends.iter().map(|end| end.id).zip(probed.ports).collect();
    (pairs, probed.sampled, ports)
}
