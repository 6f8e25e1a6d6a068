//! What a node's container is: profile `system`, where systemd is PID 1. Pure.

use std::collections::BTreeMap;

use shoal_docker::{ContainerNetwork, ContainerSpec, Mount, ProcessLimit, RestartPolicy};
use shoal_slurm::{LIMITS, PIDS, Tmpfs};
use shoal_storage::Node;
use shoal_types::{Bytes, EngineFacts};

use crate::{
    observe::intent::{Intent, state_directory},
    words::naming::Naming,
};

/// Capabilities of every container by an engine's default that no node needs. With raw sockets a node sends frames from any
/// address, as any other node, and fills the host's tables; `ping` works without, by `net.ipv4.ping_group_range`.
const DROPPED: [&str; 2] = ["NET_RAW", "MKNOD"];

/// The container of a node on a host with this engine.
pub(crate) fn container_spec(
    naming: &Naming,
    intent: &Intent,
    node: &Node,
    network: &str,
    engine: &EngineFacts,
) -> ContainerSpec {
    let spec = &intent.cluster.spec;
    let tmpfs = |t: &Tmpfs| Mount::Tmpfs {
        target: t.target.into(),
        size: Some(t.size.unwrap_or(node.size.tmp_size)),
        mode: t.mode,
    };
    let mut mounts: Vec<_> = intent.role(node).tmpfs.iter().map(tmpfs).collect();
    // An engine gives 64 MiB, which one job of MPI fills.
    let group = usize::try_from(node.group).ok().and_then(|group| spec.groups.get(group));
    let shared = group.and_then(|group| group.shm_size).unwrap_or(Bytes(node.size.memory_limit.0 / 2));
    mounts.push(Mount::Tmpfs { target: "/dev/shm".into(), size: Some(shared), mode: 0o1777 });
    if let Some(volume) = state_volume(naming, intent, node) {
        mounts.push(Mount::Volume { name: volume.name, target: volume.target });
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
        cpu: node.size.cpu_limit.filter(|_| engine.cpu_limits),
        memory: Some(node.size.memory_limit),
        pids: Some(PIDS),
        limits: LIMITS
            .map(|limit| ProcessLimit { name: limit.name.into(), soft: limit.soft, hard: limit.hard })
            .into(),
        cap_drop: DROPPED.map(str::to_owned).into(),
        mounts,
        cgroup: Some(engine.cgroup_way()),
        restart: RestartPolicy::No,
        ..ContainerSpec::default()
    }
}

/// The volume that a node's state is on.
pub(crate) struct StateVolume {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Where it is mounted.
    pub(crate) target: String,
}

/// The volume of a node whose role has state: one made again has it still.
pub(crate) fn state_volume(naming: &Naming, intent: &Intent, node: &Node) -> Option<StateVolume> {
    let spec = &intent.cluster.spec;
    state_directory(spec, node.role).map(|target| StateVolume {
        name: naming.state_volume(&spec.name, &spec.realm),
        labels: naming.cluster_labels(intent.cluster.id, &spec.realm),
        target,
    })
}

#[cfg(test)]
mod tests {
    use shoal_types::{InstallationId, MilliCpu};

    use super::*;
    use crate::observe::intent::tests::intent;

    fn engine(cpu_limits: bool) -> EngineFacts {
        EngineFacts { cpu_limits, ..EngineFacts::sample() }
    }

    #[test]
    fn limits_and_mounts_are_those_of_row_and_role() {
        let naming = Naming::new(InstallationId::new([1, 2, 3]));
        let mut intent = intent(&[0, 5]);
        let size = &mut intent.nodes[2].size;
        (size.cpu_limit, size.memory_limit, size.tmp_size) =
            (Some(MilliCpu(1500)), Bytes::mib(700), Bytes::mib(9));
        let spec = |node: usize, engine: &EngineFacts| {
            container_spec(&naming, &intent, &intent.nodes[node], "net", engine)
        };
        let worker = spec(2, &engine(true));
        assert_eq!((worker.cpu, worker.memory), (Some(MilliCpu(1500)), Some(Bytes::mib(700))));
        assert_eq!(spec(2, &engine(false)).cpu, None);
        assert_eq!(worker.cap_drop, ["NET_RAW", "MKNOD"]);
        let tmpfs = |target: &str, size, mode| Mount::Tmpfs {
            target: target.into(),
            size: Some(Bytes::mib(size)),
            mode,
        };
        // As a machine's: half of its memory, until the configuration says otherwise.
        let shared = |size| Mount::Tmpfs { target: "/dev/shm".into(), size: Some(size), mode: 0o1777 };
        let (run, lock) = (tmpfs("/run", 64, 0o755), tmpfs("/run/lock", 4, 0o1777));
        assert_eq!(
            worker.mounts,
            [run.clone(), lock.clone(), tmpfs("/tmp", 9, 0o1777), shared(Bytes::mib(350))]
        );
        let controller = spec(0, &engine(true));
        let state = state_volume(&naming, &intent, &intent.nodes[0]).unwrap();
        assert_eq!(state.target, "/var/lib/slurm/slurmctld");
        let volume = Mount::Volume { name: state.name, target: state.target };
        assert_eq!(
            controller.mounts,
            [run, lock, tmpfs("/tmp", 256, 0o1777), shared(Bytes::mib(256)), volume]
        );
        assert!(state_volume(&naming, &intent, &intent.nodes[1]).is_none());
        let files = worker.limits.iter().find(|limit| limit.name == "nofile").unwrap();
        assert_eq!((files.soft, files.hard), (Some(1024), Some(16_384)));
        intent.cluster.spec.groups.iter_mut().for_each(|group| group.shm_size = Some(Bytes::mib(3)));
        let named = container_spec(&naming, &intent, &intent.nodes[2], "net", &engine(true));
        assert!(named.mounts.contains(&shared(Bytes::mib(3))));
        intent.cluster.spec.slurm.main.insert("main".into(), "StateSaveLocation=/data/state".into());
        assert_eq!(state_volume(&naming, &intent, &intent.nodes[0]).unwrap().target, "/data/state");
    }
}
