//! What a drain, or who makes nodes anew, asks of Slurm and tells it, in the cluster's controller.

use std::sync::Arc;

use shoal_docker::ExecSpec;
use shoal_slurm::{NodeReport, NodeStatus, resume_command};
use shoal_storage::Node;
use shoal_types::ClusterName;

use crate::{
    fleet::{HostLink, coordinator::Coordinator},
    observe::{
        containers::container_of,
        intent::Intent,
        slurm::{self, SlurmNodes},
    },
    words::fault::{ClusterFault, Fault},
};

/// Longest answer of scontrol that is told.
const SAID: usize = 4096;

/// A cluster's controller, to be asked.
#[derive(Debug)]
pub(in crate::drive) struct Controller {
    cluster: ClusterName,
    pub(in crate::drive) link: Arc<HostLink>,
    container: String,
}

impl Controller {
    /// # Errors
    /// [`ClusterFault::Slurm`]: it has none that runs.
    pub(in crate::drive) async fn of(coordinator: &Coordinator, intent: &Intent) -> Result<Self, Fault> {
        let cluster = intent.cluster.spec.name.clone();
        let silent = |said: &str| ClusterFault::Slurm { cluster: cluster.clone(), said: said.into() };
        let node = intent.controller().ok_or_else(|| silent("the cluster has no controller"))?;
        let host = coordinator.store.read().await?.hosts().get(node.host).await?;
        let host = host.ok_or_else(|| silent("the host of its controller is not registered"))?;
        let link = coordinator.fleet.link(&coordinator.store, &host).await?;
        let there = container_of(&coordinator.naming, &link, node.id).await;
        let there = there.map_err(Fault::engine(&host.name))?;
        let container = there.ok_or_else(|| silent("its controller has no container"))?.id;
        Ok(Self { cluster, link, container })
    }

    /// What Slurm says of its nodes.
    ///
    /// # Errors
    /// [`ClusterFault::Slurm`]: something else than an answer.
    pub(in crate::drive) async fn nodes(&self) -> Result<SlurmNodes, Fault> {
        let answer = slurm::sinfo(&self.link, &self.container).await;
        answer.map_err(Fault::engine(&self.link.name))?.map_err(|said| self.silent(said))
    }

    /// Runs an `scontrol update`.
    ///
    /// # Errors
    /// [`ClusterFault::Slurm`]: it was refused.
    pub(in crate::drive) async fn update(&self, command: Vec<String>) -> Result<(), Fault> {
        let ran = self.link.engine.exec(&self.container, &ExecSpec::new(command), SAID).await;
        let ran = ran.map_err(Fault::engine(&self.link.name))?;
        if ran.status == 0 {
            return Ok(());
        }
        let said = [ran.stderr, ran.stdout].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Err(self.silent(said.into_iter().find(|text| !text.is_empty()).unwrap_or_default()))
    }

    /// Gives jobs again to those of the nodes that we kept from them for this reason.
    pub(in crate::drive) async fn give_jobs(&self, nodes: &[&Node], reason: &str) -> Result<(), Fault> {
        let reports = self.nodes().await?;
        let ours = named(nodes, &reports, |report| report.reason.as_deref() == Some(reason));
        if ours.is_empty() {
            return Ok(());
        }
        self.update(resume_command(ours)).await
    }

    fn silent(&self, said: String) -> Fault {
        ClusterFault::Slurm { cluster: self.cluster.clone(), said }.into()
    }
}

/// Those of the nodes of which Slurm says such a thing.
pub(in crate::drive) fn named<'n>(
    nodes: &[&'n Node],
    reports: &SlurmNodes,
    says: impl Fn(&NodeReport) -> bool,
) -> Vec<&'n str> {
    let said = nodes.iter().filter(|node| reports.get(&node.name).is_some_and(&says));
    said.map(|node| node.name.as_str()).collect()
}

/// Whether a node may be given a job.
pub(in crate::drive) fn takes_jobs(report: &NodeReport) -> bool {
    match report.status {
        NodeStatus::Idle
        | NodeStatus::Allocated
        | NodeStatus::Mixed
        | NodeStatus::Completing
        | NodeStatus::Other(_) => true,
        NodeStatus::Drained | NodeStatus::Draining | NodeStatus::Down | NodeStatus::Unknown => false,
    }
}

/// Whether a job is on a node, or may be.
pub(in crate::drive) fn has_jobs(report: &NodeReport) -> bool {
    match report.status {
        NodeStatus::Draining
        | NodeStatus::Allocated
        | NodeStatus::Mixed
        | NodeStatus::Completing
        | NodeStatus::Other(_) => true,
        NodeStatus::Idle | NodeStatus::Drained | NodeStatus::Down | NodeStatus::Unknown => {
            report.flags.contains('+')
        }
    }
}

/// Whether it is there.
pub(in crate::drive) fn is_up(report: &NodeReport) -> bool {
    match report.status {
        NodeStatus::Idle
        | NodeStatus::Allocated
        | NodeStatus::Mixed
        | NodeStatus::Completing
        | NodeStatus::Draining
        | NodeStatus::Drained => !report.flags.contains('*'),
        NodeStatus::Down | NodeStatus::Unknown | NodeStatus::Other(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: NodeStatus, flags: &str) -> NodeReport {
        NodeReport { name: "worker-0".parse().unwrap(), status, flags: flags.into(), reason: None }
    }

    #[test]
    fn a_node_moves_once_no_job_is_there() {
        let words = [
            (NodeStatus::Idle, true, false),
            (NodeStatus::Allocated, true, true),
            (NodeStatus::Mixed, true, true),
            (NodeStatus::Completing, true, true),
            (NodeStatus::Other("reserved".into()), true, true),
            (NodeStatus::Draining, false, true),
            (NodeStatus::Drained, false, false),
            (NodeStatus::Down, false, false),
            (NodeStatus::Unknown, false, false),
        ];
        for (status, takes, has) in words {
            let report = report(status, "");
            assert_eq!((takes_jobs(&report), has_jobs(&report)), (takes, has), "{:?}", report.status);
        }
        assert!(has_jobs(&report(NodeStatus::Drained, "+")));
    }
}
