//! A scheduler of the user's: a program on this machine that is asked over gRPC. Its answer is outside input.
//!
//! This file is the whole edge to that program: it makes the request of snapshot and rules, reads the answer, and no message
//! leaves it.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use hyper_util::rt::TokioIo;
use shoal_proto::v1::{self, scheduler_client::SchedulerClient};
use shoal_scheduler::{HostView, Plan, Reason, Request, Snapshot, check, refusal_of};
use shoal_types::{Capacity, ClusterSpec, NodeName, SchedulerAddress};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::words::{MESSAGE_LIMIT, fault::ProgramError};

/// Most nodes a reason is kept of.
const NOTES: usize = 1000;
/// Longest text of a program's that is kept, in characters.
const TEXT: usize = 200;

/// The plan of the program at `address`, checked, and what it said of nodes.
pub(super) async fn ask(
    address: &SchedulerAddress,
    limit: Duration,
    spec: &ClusterSpec,
    snapshot: &Snapshot,
    request: &Request,
) -> Result<(Plan, BTreeMap<NodeName, String>), ProgramError> {
    let asked = async {
        let channel = connect(address).await.map_err(ProgramError::Unreachable)?;
        let mut client = SchedulerClient::new(channel)
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        let answer = client.place(message(spec, snapshot, request)).await;
        answer.map_err(|status| ProgramError::Failed { reason: plain(status.message()) })
    };
    let answer = tokio::time::timeout(limit, asked).await.map_err(|_| ProgramError::Silent { limit })??;
    let answer = answer.into_inner();
    if !answer.refused.is_empty() {
        return Err(ProgramError::Refused { reason: plain(&answer.refused) });
    }
    let pairs = answer.placements.iter().map(|p| (p.node.as_str(), p.host.as_str()));
    let plan = check(snapshot, request, pairs).map_err(ProgramError::Wrong)?;
    let said = answer.placements.iter().filter(|p| !p.why.is_empty());
    let notes = said.filter_map(|p| Some((p.node.parse().ok()?, plain(&p.why)))).take(NOTES).collect();
    Ok((plan, notes))
}

async fn connect(address: &SchedulerAddress) -> Result<Channel, tonic::transport::Error> {
    match address {
        SchedulerAddress::Loopback(socket) => {
            Endpoint::from_shared(format!("http://{socket}"))?.connect().await
        }
        SchedulerAddress::Unix(path) => {
            let path = path.clone();
            let dial = move |_: Uri| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            };
            // The name is never looked up: the connector knows the way.
            Endpoint::from_static("http://scheduler").connect_with_connector(tower::service_fn(dial)).await
        }
    }
}

/// Somebody else's text on one line, without control characters, not too long.
fn plain(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().take(TEXT) {
        match c {
            c if c.is_control() => drop(write!(line, "{}", c.escape_default())),
            c => line.push(c),
        }
    }
    line
}

/// The request as the program reads it.
fn message(spec: &ClusterSpec, snapshot: &Snapshot, request: &Request) -> v1::PlaceRequest {
    let mut hosts: Vec<&HostView> = snapshot.hosts.iter().collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    let sorted = Snapshot { hosts: hosts.iter().map(|host| (*host).clone()).collect() };
    let (lists, of_node) = shoal_scheduler::candidates(&sorted, request);
    let nodes = request.nodes.iter().zip(of_node).map(|(node, list)| v1::SnapshotNode {
        name: node.name.to_string(),
        role: node.role.to_string(),
        cpu_milli: node.reserve.cpu.0,
        memory_bytes: node.reserve.memory.0,
        candidates: list,
    });
    let rules = &request.rules;
    v1::PlaceRequest {
        realm: spec.realm.to_string(),
        cluster: spec.name.to_string(),
        hosts: hosts.into_iter().map(|host| shown(host, refusal_of(host, request))).collect(),
        nodes: nodes.collect(),
        rules: Some(v1::PlaceRules {
            candidates: lists.into_iter().map(|hosts| v1::Candidates { hosts }).collect(),
            max_per_host: rules.max_per_host.map_or(0, |most| most.get()),
            spread_over: rules.spread_over.as_ref().map(ToString::to_string).unwrap_or_default(),
            prefer_apart: rules.prefer_apart.iter().map(ToString::to_string).collect(),
        }),
        seed: request.seed,
    }
}

fn shown(host: &HostView, refusal: Option<Reason>) -> v1::SnapshotHost {
    let amounts = |c: Capacity| v1::SnapshotAmounts {
        cpu_milli: c.cpu.0,
        memory_bytes: c.memory.0,
        nodes: c.node_slots,
    };
    v1::SnapshotHost {
        name: host.name.to_string(),
        labels: host.labels.0.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        capacity: Some(amounts(host.allocatable())),
        reserved: Some(amounts(host.reserved)),
        cluster_nodes: host.cluster_nodes,
        other_nodes: host.others.iter().map(|(role, count)| (role.to_string(), *count)).collect(),
        claimed_roles: host.claimed.iter().map(ToString::to_string).collect(),
        usable: refusal.is_none(),
        refusal: refusal.map(|reason| reason.to_string()).unwrap_or_default(),
    }
}
