//! What a node's container is: profile `system`, where systemd is PID 1. Pure.

use std::collections::BTreeMap;

use shoal_docker::{ContainerNetwork, ContainerSpec, Mount, RestartPolicy};
use shoal_slurm::CONTROLLER_STATE_DIR;
use shoal_storage::Node;
use shoal_types::{Bytes, EngineFacts, NodeGroup, Role};

use crate::{observe::intent::Intent, words::naming::Naming};

/// Size of `/run`: systemd's, munge's and Slurm's sockets and pid files, and a journal that stays in memory.
const RUN_SIZE: Bytes = Bytes::mib(64);
/// Processes and threads a node may have at most; a runaway job must not take the host's.
const PIDS: u32 = 4096;

/// The container of a node on a host with this engine.
pub(crate) fn container_spec(
    naming: &Naming,
    intent: &Intent,
    node: &Node,
    network: &str,
    engine: &EngineFacts,
) -> ContainerSpec {
    let spec = &intent.cluster.spec;
    let group = intent.group(node);
    let tmpfs = |target: &str, size, mode| Mount::Tmpfs { target: target.into(), size: Some(size), mode };
    let tmp_size = group.map_or(shoal_types::DEFAULT_TMP_SIZE, |g: &NodeGroup| g.tmp_size);
    let mut mounts = vec![
        tmpfs("/run", RUN_SIZE, 0o755),
        tmpfs("/run/lock", Bytes::mib(4), 0o1777),
        tmpfs("/tmp", tmp_size, 0o1777),
    ];
    if let Some((name, _)) = state_volume(naming, intent, node) {
        mounts.push(Mount::Volume { name, target: CONTROLLER_STATE_DIR.into() });
    }
    ContainerSpec {
        name: naming.container(&node.name, &spec.name, &spec.realm),
        image: intent.cluster.image_id.clone(),
        hostname: Some(node.name.to_string()),
        labels: naming.node_labels(intent.cluster.id, &spec.realm, node.id, node.role, node.generation),
        env: [("container".to_owned(), "docker".to_owned())].into(),
        stop_signal: Some("SIGRTMIN+3".into()),
        network: ContainerNetwork::Bridge {
            network: network.into(),
            address: Some(node.address),
            mac: Some(node.mac),
        },
        cpu: group.and_then(|g| g.cpu_limit).filter(|_| engine.cpu_limits),
        memory: group.map(|g| g.memory_limit),
        pids: Some(PIDS),
        mounts,
        cgroup: Some(engine.cgroup_way()),
        restart: RestartPolicy::No,
        ..ContainerSpec::default()
    }
}

/// The volume of a controller's state, with its labels: a controller made again keeps its jobs.
pub(crate) fn state_volume(
    naming: &Naming,
    intent: &Intent,
    node: &Node,
) -> Option<(String, BTreeMap<String, String>)> {
    let spec = &intent.cluster.spec;
    (node.role == Role::Controller).then(|| {
        (naming.state_volume(&spec.name, &spec.realm), naming.cluster_labels(intent.cluster.id, &spec.realm))
    })
}
