//! How a cluster is, as a person is told: what was heard of it, put together. Pure.

use shoal_api::{
    ClusterImage, HostStatus, NetworkPart, NodeStatus, Phase, Slurm, StateCopy, Status, Time, millis,
};
use shoal_slurm::RoleSpec;
use shoal_storage::{Node, StateCopy as KnownCopy};
use shoal_types::{HostId, NetworkId, Timestamp, chain};

use crate::observe::{
    cluster::{AgentObservation, ClusterRows, MemberObservation, Observation},
    failing::failing,
    judge::{Evidence, judge},
    lists::{host_name, network},
};

/// All that is told of a cluster, but for how long it took to hear it.
pub(crate) fn status(rows: &ClusterRows, seen: &Observation, at: Timestamp) -> Status {
    let ClusterRows { cluster, nodes, owned, .. } = rows;
    let slurm = seen.slurm.as_ref();
    let silence = slurm.and_then(|slurm| slurm.as_ref().err());
    let part_of = rows.network.as_ref().map(|network| network.id);
    let status = Status {
        id: cluster.id.to_string(),
        name: cluster.spec.name.to_string(),
        realm: cluster.spec.realm.to_string(),
        phase: Phase::of(cluster.phase, *owned),
        well: false,
        failure: cluster.failure.clone(),
        created: Time::known(cluster.created),
        nodes: nodes.iter().map(|node| of_node(rows, seen, node, at)).collect(),
        hosts: seen.heard.iter().map(|(id, heard)| of_host(rows, seen, (*id, heard), part_of, at)).collect(),
        network: network(rows, seen),
        image: ClusterImage { reference: cluster.spec.image.clone(), digest: cluster.image_id.clone() },
        slurm: Slurm {
            version: cluster.slurm_version.clone(),
            error: silence.map(|silence| chain(silence)),
            workers: [].into(),
        },
        healing: cluster.healing.into(),
        expires: cluster.expiry.and_then(|expiry| Time::known(expiry.at)),
        state_copy: rows.copies.first().map(|copy| state_copy(copy, at)),
        elapsed_ms: 0,
    };
    status.summed_up()
}

fn state_copy(copy: &KnownCopy, at: Timestamp) -> StateCopy {
    let kept = copy.kept.as_ref();
    StateCopy {
        age_ms: kept.map(|kept| millis(at.since(kept.checked))),
        state_bytes: kept.map_or(0, |kept| kept.state.0),
        copy_bytes: kept.map_or(0, |kept| kept.copy.0),
        trouble: copy.trouble.clone(),
    }
}

fn of_node(rows: &ClusterRows, seen: &Observation, node: &Node, at: Timestamp) -> NodeStatus {
    let heard = seen.heard.get(&node.host);
    let containers = heard.and_then(|heard| heard.containers.as_ref().ok());
    let container = containers.map(|all| all.of(node.id));
    let agent = heard.and_then(agent);
    let slurm = seen.slurm.as_ref().and_then(|slurm| slurm.as_ref().ok());
    let state = container.flatten().map(|container| container.state);
    let failing = state.and_then(|state| failing(node, state, rows.cluster.healing.policy, at));
    let verdict = judge(&Evidence {
        role: RoleSpec::of(node.role, rows.cluster.spec.profile),
        container: container.map(|found| found.map(|container| container.state)),
        probe: agent.zip(container.flatten()).and_then(|(agent, found)| agent.nodes.probes.get(&found.id)),
        slurm: slurm.map(|all| all.get(&node.name)),
        failing: failing.as_ref(),
    });
    NodeStatus {
        name: node.name.to_string(),
        role: node.role,
        host: host_name(seen, node.host),
        address: node.address.to_string(),
        container: verdict.container,
        systemd: verdict.systemd,
        munge: verdict.munge,
        sshd: verdict.sshd,
        daemon: verdict.daemon,
        slurm: verdict.slurm,
        slurm_reason: verdict.reason,
        age_ms: if containers.is_some() { 0 } else { age(seen, node.host, at) },
        troubles: verdict.troubles,
        failing,
    }
}

fn of_host(
    rows: &ClusterRows,
    seen: &Observation,
    (id, heard): (HostId, &MemberObservation),
    part_of: Option<NetworkId>,
    at: Timestamp,
) -> HostStatus {
    let (network, network_trouble) = part(heard, part_of);
    let error = heard.containers.as_ref().err();
    let agent_error = heard.agent.as_ref().and_then(|agent| agent.as_ref().err());
    let version = agent(heard).map(|agent| agent.nodes.version.clone());
    HostStatus {
        name: host_name(seen, id).unwrap_or_default(),
        nodes: u32::try_from(rows.nodes.iter().filter(|node| node.host == id).count()).unwrap_or(u32::MAX),
        engine_version: seen.hosts.get(&id).map(|host| host.engine.version.clone()),
        agent_version: version,
        network,
        network_trouble,
        error: error.map(|fault| chain(fault)),
        // What silences the engine silences the agent: it is told once.
        agent_error: agent_error.filter(|_| error.is_none()).map(|fault| chain(fault)),
        age_ms: error.map_or(0, |_| age(seen, id, at)),
    }
}

fn agent(heard: &MemberObservation) -> Option<&AgentObservation> {
    heard.agent.as_ref().and_then(|agent| agent.as_ref().ok())
}

/// How long ago a host was last heard.
fn age(seen: &Observation, host: HostId, at: Timestamp) -> u64 {
    let last_seen = seen.hosts.get(&host).and_then(|host| host.health.last_seen);
    last_seen.map_or(0, |last_seen| millis(at.since(last_seen)))
}

/// A host's part of the network.
fn part(heard: &MemberObservation, network: Option<NetworkId>) -> (NetworkPart, Option<String>) {
    let Some(agent) = agent(heard) else { return (NetworkPart::Unknown, None) };
    match agent.networks.iter().find(|kept| Some(kept.network) == network) {
        None => (NetworkPart::Absent, Some("its agent keeps no part of the network".into())),
        Some(kept) => match &kept.trouble {
            None => (NetworkPart::Ok, None),
            Some(trouble) => (NetworkPart::Trouble, Some(trouble.clone())),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use shoal_types::Role;

    use super::*;
    use crate::{
        observe::{containers::HostContainers, intent::tests::intent},
        words::{
            agent::{KeptNetwork, NodeProbes},
            fault::{AgentError, Fault, HostFault},
        },
    };

    fn rows(workers: &[u32]) -> ClusterRows {
        let intent = intent(workers);
        let (cluster, network, nodes) = (intent.cluster, Some(intent.network), intent.nodes);
        ClusterRows { cluster, network, nodes, copies: vec![], owned: false }
    }

    #[test]
    fn workers_need_not_be_numbered_without_gaps() {
        let seen = Observation { slurm: Some(Ok([].into())), ..Observation::default() };
        let shown = status(&rows(&[0, 2, 5]), &seen, Timestamp(5));
        let nodes: Vec<_> = shown.nodes.iter().map(|n| (n.name.as_str(), n.role)).collect();
        let worker = |name| (name, Role::Worker);
        assert_eq!(
            nodes,
            [("controller", Role::Controller), worker("worker-0"), worker("worker-2"), worker("worker-5")]
        );
    }

    #[test]
    fn a_host_is_as_its_engine_and_its_agent_say() {
        let rows = rows(&[0]);
        let (host, network) = (rows.nodes[0].host, rows.network.as_ref().unwrap().id);
        let name = || "host1".parse().unwrap();
        let agent = |trouble: Option<&str>| {
            let kept = KeptNetwork {
                network,
                trouble: trouble.map(Into::into),
                device: "sv1".into(),
                bridge: "sb1".into(),
                underlays: String::new(),
            };
            let nodes = NodeProbes { version: "0.1.0".into(), ..NodeProbes::default() };
            Ok(AgentObservation { nodes, networks: vec![kept] })
        };
        let told = |containers, agent| {
            let heard = [(host, MemberObservation { containers, agent: Some(agent) })].into();
            let seen = Observation { heard, ..Observation::default() };
            let host = status(&rows, &seen, Timestamp(5)).hosts.remove(0);
            (host.network, host.network_trouble, host.error, host.agent_error)
        };
        let empty = || Ok(HostContainers::default());
        assert_eq!(told(empty(), agent(None)), (NetworkPart::Ok, None, None, None));
        let (part, trouble, ..) = told(empty(), agent(Some("no device")));
        assert_eq!((part, trouble.as_deref()), (NetworkPart::Trouble, Some("no device")));
        let absent = || Err(Arc::new(Fault::from(AgentError::Absent { host: name() })));
        let (part, _, error, agent_error) = told(empty(), absent());
        assert_eq!((part, error), (NetworkPart::Unknown, None));
        assert!(agent_error.unwrap().contains("`shoal doctor`"));
        let silent = Err(Arc::new(Fault::from(HostFault::Silent { host: name(), seconds: 2 })));
        let (_, _, error, agent_error) = told(silent, absent());
        assert_eq!((error.as_deref(), agent_error), (Some("host host1 did not answer within 2 s"), None));
    }
}
