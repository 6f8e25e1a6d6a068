//! What of a ready cluster is not as the store says, and what a pass will do about it. Pure.
//!
//! ```text
//! no agent                                     agent
//! no Docker network                            network
//! the agent's part differs, or is in trouble   mesh
//! containers                                   create, start, recreate, remove: as plan.rs decides
//! ```
//! A host that does not answer has nothing to be mended: what is there is not known.

use std::{collections::BTreeMap, time::Duration};

use shoal_api::{Mend, MendKind};
use shoal_docker::{ContainerState, ContainerSummary};
use shoal_storage::Node;
use shoal_types::{Generation, HostId, NodeId, Timestamp};

use crate::{
    observe::{
        cluster::{AgentObservation, MemberObservation},
        containers::HostContainers,
        intent::Intent,
    },
    pass::{
        end::End,
        plan::{self, HostPlan, NodeStep, Wanted},
        restarts::{self, Standing},
        work::Behalf,
    },
    words::{
        fault::{AgentError, Fault},
        naming::{GENERATION, NODE},
    },
};

/// What was seen of one member host that answers.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) id: HostId,
    pub(crate) name: String,
    pub(crate) heard: &'a MemberObservation,
    /// The id of the cluster's Docker network there.
    pub(crate) network: Option<&'a str>,
    /// Its agent is not of this build.
    pub(crate) old_agent: bool,
    /// How containers there that have ended did, by their ids.
    pub(crate) ends: &'a BTreeMap<String, End>,
}

/// What differs on one host.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// In the order in which it is mended.
    pub(crate) mends: Vec<Mend>,
    /// How nodes there are restarted.
    pub(crate) standing: Standing,
}

/// What differs on one host. `underlays` is the digest of the member hosts' addresses.
pub(crate) fn differences(
    intent: &Intent,
    member: &Member<'_>,
    underlays: &str,
    behalf: Behalf,
    now: Timestamp,
) -> Differences {
    let Ok(containers) = &member.heard.containers else { return Differences::default() };
    let of_host = |kind, reason: String| Mend { kind, host: member.name.clone(), node: None, reason };
    let mut mends = Vec::new();
    match &member.heard.agent {
        Some(Err(fault)) => {
            // One that is there and does not answer is a trouble, and not to be replaced.
            if matches!(**fault, Fault::Agent(AgentError::Absent { .. })) {
                mends.push(of_host(MendKind::Agent, "no agent runs there".into()));
            }
        }
        Some(Ok(agent)) => {
            if member.old_agent {
                mends.push(of_host(MendKind::Agent, "its agent is of another build".into()));
            }
            let differs = mesh_differs(intent, agent, underlays);
            mends.extend(differs.map(|reason| of_host(MendKind::Mesh, reason)));
        }
        None => {}
    }
    if member.network.is_none() {
        mends.push(of_host(MendKind::Network, "the cluster's Docker network is not there".into()));
    }
    let nodes: BTreeMap<NodeId, &Node> = intent.on(member.id).map(|node| (node.id, node)).collect();
    let wanted: Vec<_> = nodes.values().map(|node| Wanted::of(node)).collect();
    let mut plan = plan::bring_up(&wanted, containers, member.network, true);
    let standing =
        restarts::judge(&nodes, (member.id, &plan), member.ends, &up(member, containers), (behalf, now));
    plan.hold(&standing.held);
    mends.extend(of_containers(&nodes, member, containers, &plan));
    Differences { mends, standing }
}

/// For how long nodes have been running, as far as their agent tells.
fn up(member: &Member<'_>, there: &HostContainers) -> BTreeMap<NodeId, Duration> {
    let agent = member.heard.agent.as_ref().and_then(|agent| agent.as_ref().ok());
    let probes = |container: &ContainerSummary| {
        let probe = agent?.nodes.probes.get(&container.id).filter(|probe| probe.alive)?;
        Some((container.labels.get(NODE)?.parse().ok()?, probe.up))
    };
    there.of_nodes().filter_map(probes).collect()
}

/// How an agent's part of the network is not what the store says.
fn mesh_differs(intent: &Intent, agent: &AgentObservation, underlays: &str) -> Option<String> {
    let Some(kept) = agent.networks.iter().find(|kept| kept.network == intent.network.id) else {
        return Some("its agent keeps no part of the network".into());
    };
    if let Some(trouble) = &kept.trouble {
        return Some(trouble.clone());
    }
    (kept.underlays != underlays).then(|| "its agent was told other underlay addresses".into())
}

fn of_containers(
    nodes: &BTreeMap<NodeId, &Node>,
    member: &Member<'_>,
    there: &HostContainers,
    plan: &HostPlan,
) -> Vec<Mend> {
    let removed = there.all().iter().filter(|container| plan.remove.contains(&container.id));
    let removed: Vec<(Option<&Node>, &ContainerSummary)> = removed.map(|c| (node_of(nodes, c), c)).collect();
    let mend = |kind, node: &Node, reason| Mend {
        kind,
        host: member.name.clone(),
        node: Some(node.name.to_string()),
        reason,
    };
    let mut mends = Vec::new();
    for (id, step) in &plan.nodes {
        let Some(node) = nodes.get(id) else { continue };
        let before = removed.iter().find(|(of, _)| of.is_some_and(|of| of.id == node.id));
        mends.extend(match step {
            NodeStep::Keep { .. } | NodeStep::Wait => None,
            NodeStep::Create => Some(match before {
                Some((_, container)) => {
                    mend(MendKind::Recreate, node, why_removed(node, container, member.network))
                }
                None => mend(MendKind::Create, node, "it has no container".into()),
            }),
            NodeStep::Fill { container } => {
                let how = member.ends.get(container).map(|how| format!("its container {how}"));
                Some(mend(MendKind::Start, node, how.unwrap_or_else(|| "its container does not run".into())))
            }
        });
    }
    for (_, container) in removed.iter().filter(|(of, _)| of.is_none()) {
        mends.push(Mend {
            kind: MendKind::Remove,
            host: member.name.clone(),
            node: None,
            reason: format!("container {} is of no node that is placed there", container.name),
        });
    }
    mends
}

/// The node of this host that a container is of.
fn node_of<'a>(nodes: &BTreeMap<NodeId, &'a Node>, container: &ContainerSummary) -> Option<&'a Node> {
    nodes.get(&container.labels.get(NODE)?.parse().ok()?).copied()
}

fn why_removed(node: &Node, container: &ContainerSummary, network: Option<&str>) -> String {
    let generation = container.labels.get(GENERATION).and_then(|g| g.parse().ok()).map(Generation);
    if container.state == ContainerState::Dead {
        "its container is dead".into()
    } else if container.state == ContainerState::Created {
        "its container was never started".into()
    } else if generation != Some(node.generation) {
        "its container is of an earlier generation".into()
    } else {
        let drift = Wanted::of(node).drift(container, network);
        drift.map_or_else(|| "it has a second container".into(), |drift| drift.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use shoal_docker::Attachment;
    use shoal_types::digest_of_addresses;

    use super::*;
    use crate::{
        observe::intent::tests::intent,
        words::agent::{KeptNetwork, NodeProbes},
    };

    const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

    fn container(intent: &Intent, node: usize, state: ContainerState) -> ContainerSummary {
        let node = &intent.nodes[node];
        ContainerSummary {
            id: format!("id-{}", node.name),
            name: node.name.to_string(),
            labels: [
                (NODE.to_owned(), node.id.to_string()),
                (GENERATION.to_owned(), node.generation.to_string()),
            ]
            .into(),
            state,
            image_id: String::new(),
            created: None,
            attachments: vec![Attachment {
                network: "shoal-dev".into(),
                network_id: "net".into(),
                address: Some(node.address),
                mac: Some(node.mac),
            }],
        }
    }

    fn agent(intent: &Intent, trouble: Option<&str>, underlays: &[Ipv4Addr]) -> AgentObservation {
        let kept = KeptNetwork {
            network: intent.network.id,
            trouble: trouble.map(Into::into),
            device: "sv1".into(),
            bridge: "sb1".into(),
            underlays: digest_of_addresses(underlays.iter().copied()),
        };
        AgentObservation { nodes: NodeProbes::default(), networks: vec![kept] }
    }

    fn told(
        intent: &Intent,
        containers: Vec<ContainerSummary>,
        agent: Option<AgentObservation>,
    ) -> Vec<String> {
        told_with(intent, containers, agent, Some("net"))
    }

    fn told_with(
        intent: &Intent,
        containers: Vec<ContainerSummary>,
        agent: Option<AgentObservation>,
        network: Option<&str>,
    ) -> Vec<String> {
        let absent = || Arc::new(Fault::from(AgentError::Absent { host: "host1".parse().unwrap() }));
        let heard = MemberObservation {
            containers: Ok(HostContainers::new(containers)),
            agent: Some(agent.ok_or_else(absent)),
        };
        let host = intent.nodes[0].host;
        let ends = [("id-worker-0".to_owned(), End::sample(137))].into();
        let member =
            Member { id: host, name: "host1".into(), heard: &heard, network, old_agent: false, ends: &ends };
        let (underlays, now) = (digest_of_addresses([LOCAL]), Timestamp(0));
        let mends = differences(intent, &member, &underlays, Behalf::Person, now).mends;
        let shown = |m: Mend| format!("{} {}: {}", m.kind, m.node.unwrap_or_default(), m.reason);
        mends.into_iter().map(shown).collect()
    }

    #[test]
    fn a_cluster_that_is_well_has_nothing_to_be_mended() {
        let intent = intent(&[0]);
        let all = (0..2).map(|n| container(&intent, n, ContainerState::Running)).collect();
        assert_eq!(told(&intent, all, Some(agent(&intent, None, &[LOCAL]))), Vec::<String>::new());
    }

    #[test]
    fn what_differs_is_told_in_the_order_in_which_it_is_mended() {
        let intent = intent(&[0, 1, 2]);
        let old = ContainerSummary {
            labels: [(NODE.to_owned(), intent.nodes[2].id.to_string())].into(),
            ..container(&intent, 2, ContainerState::Running)
        };
        let foreign = ContainerSummary {
            name: "left".into(),
            labels: [].into(),
            ..container(&intent, 2, ContainerState::Running)
        };
        let containers = vec![
            ContainerSummary { attachments: vec![], ..container(&intent, 0, ContainerState::Running) },
            container(&intent, 1, ContainerState::Exited),
            old,
            ContainerSummary { id: "left".into(), ..foreign },
        ];
        assert_eq!(
            told(&intent, containers, None),
            [
                "agent : no agent runs there",
                "recreate controller: it is not on the cluster's network",
                "start worker-0: its container exited, exit status 137",
                "recreate worker-1: its container is of an earlier generation",
                "create worker-2: it has no container",
                "remove : container left is of no node that is placed there",
            ]
        );
    }

    #[test]
    fn a_container_that_was_never_started_is_made_anew() {
        let intent = intent(&[0]);
        let states = [ContainerState::Running, ContainerState::Created];
        let all = states.into_iter().enumerate().map(|(n, state)| container(&intent, n, state)).collect();
        let told = told(&intent, all, Some(agent(&intent, None, &[LOCAL])));
        assert_eq!(told, ["recreate worker-0: its container was never started"]);
    }

    #[test]
    fn a_network_that_is_gone_or_told_otherwise() {
        let intent = intent(&[0]);
        let all = || (0..2).map(|n| container(&intent, n, ContainerState::Running)).collect::<Vec<_>>();
        let mesh = |agent| told(&intent, all(), Some(agent));
        assert_eq!(mesh(agent(&intent, Some("no device"), &[LOCAL])), ["mesh : no device"]);
        let moved = agent(&intent, None, &[Ipv4Addr::new(10, 77, 0, 9)]);
        assert_eq!(mesh(moved), ["mesh : its agent was told other underlay addresses"]);
        let nothing = AgentObservation { networks: vec![], ..agent(&intent, None, &[]) };
        assert_eq!(mesh(nothing), ["mesh : its agent keeps no part of the network"]);
        assert_eq!(
            told_with(&intent, all(), Some(agent(&intent, None, &[LOCAL])), None),
            [
                "network : the cluster's Docker network is not there",
                "recreate controller: it is not on the cluster's network",
                "recreate worker-0: it is not on the cluster's network",
            ]
        );
    }
}
