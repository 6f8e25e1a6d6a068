//! The size of one node: the reservation on its host, the limits of its container, and the machine Slurm is told of.

use crate::{Bytes, MilliCpu, NodeGroup, Resources, SlurmSpec};

/// The size of a node, as its row holds it from admission on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSize {
    /// What it reserves of its host.
    pub reserve: Resources,
    /// CPU it may use at most; no limit if `None`.
    pub cpu_limit: Option<MilliCpu>,
    /// Memory it may use at most.
    pub memory_limit: Bytes,
    /// Size of its `/tmp`.
    pub tmp_size: Bytes,
    /// CPUs Slurm is told it has, at least 1.
    pub slurm_cpus: u32,
    /// Memory Slurm is told it has.
    pub slurm_memory: Bytes,
}

impl NodeGroup {
    /// The size of each of its nodes. Slurm is told the size named for the group, else for the cluster (`slurm.cpus`,
    /// `slurm.memory`); without one the node's own: its CPU limit rounded up to whole cores, one if it has no limit, and its memory limit.
    #[must_use]
    pub fn size(&self, slurm: &SlurmSpec) -> NodeSize {
        let own_cpus = self.cpu_limit.map_or(1, MilliCpu::cores_ceil);
        NodeSize {
            reserve: self.reserve,
            cpu_limit: self.cpu_limit,
            memory_limit: self.memory_limit,
            tmp_size: self.tmp_size,
            slurm_cpus: self.slurm.cpus.or(slurm.cpus).unwrap_or(own_cpus).max(1),
            slurm_memory: self.slurm.memory.or(slurm.memory).unwrap_or(self.memory_limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    #[test]
    fn slurm_is_told_the_clusters_size_else_the_nodes_own() {
        let group = NodeGroup::new(Role::Worker, 1, Some(MilliCpu(1500)), Some(Bytes::mib(700)));
        let own = group.size(&SlurmSpec::default());
        assert_eq!((own.slurm_cpus, own.slurm_memory), (2, Bytes::mib(700)));
        let slurm = SlurmSpec { cpus: Some(128), memory: Some(Bytes::mib(512_000)), ..SlurmSpec::default() };
        let told = group.size(&slurm);
        assert_eq!((told.slurm_cpus, told.slurm_memory), (128, Bytes::mib(512_000)));
        assert_eq!((told.cpu_limit, told.memory_limit), (own.cpu_limit, own.memory_limit));
        let mut big = group.clone();
        (big.slurm.cpus, big.slurm.memory) = (Some(256), Some(Bytes::mib(1024)));
        let told = big.size(&slurm);
        assert_eq!((told.slurm_cpus, told.slurm_memory), (256, Bytes::mib(1024)));
    }

    #[test]
    fn a_node_without_a_size_has_one_cpu() {
        let group = NodeGroup::new(Role::Worker, 1, None, None);
        assert_eq!(group.size(&SlurmSpec::default()).slurm_cpus, 1);
        assert_eq!(group.size(&SlurmSpec { cpus: Some(0), ..SlurmSpec::default() }).slurm_cpus, 1);
    }
}
