//! Why a cluster is not ready: what its hosts, agents and Slurm say of each node, and the last words of the nodes that are at fault.
//!
//! ```text
//! observation -> standing, node by node       pure
//!                  Stuck    asked for its last log lines, the first few of them
//!                  Waits    for the controller, which does not serve: told as a number
//!                  Unheard  on a host that does not answer: told as a number
//! ```

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    stream::{self, StreamExt},
};
use shoal_api::{ContainerState as Shown, NodeStatus, ServiceState, SystemdState};
use shoal_docker::{ContainerState, EngineError, ExecSpec};
use shoal_slurm::{Readiness, RoleSpec, Stage, is_noise, log_command};
use shoal_storage::Node;
use shoal_types::{HostId, NodeState, Role, chain};

use crate::{
    fleet::HostLink,
    observe::{cluster::observe_cluster, containers::container_of, intent::Intent, status::status},
    pass::{end::end_of, work::Work},
    words::fault::{NotReady, StuckNode},
};

/// Nodes described in full; of the rest only the number is told.
const SHOWN: usize = 5;
/// Last log lines shown of each.
const LINES: u32 = 12;
/// Last log lines read for them: some say nothing.
pub(super) const READ: u32 = 4 * LINES;
/// Nodes asked at once.
const FAN_OUT: usize = 8;
/// How long one node may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest text taken from a node.
pub(super) const TEXT_LIMIT: usize = 64 << 10;

/// How a node stands that is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It came this far, and no further.
    Stuck(Stage),
    /// It could go on if the controller served.
    Waits,
    /// Nobody knows: its host says nothing.
    Unheard,
    /// Nothing is wrong with it.
    Well,
}

/// How a node stands, from what is told of it and whether the controller serves.
fn standing(role: &RoleSpec, told: &NodeStatus, serves: bool) -> Standing {
    match told.container {
        Shown::Unknown => return Standing::Unheard,
        Shown::Running => {}
        Shown::Absent
        | Shown::Created
        | Shown::Paused
        | Shown::Restarting
        | Shown::Removing
        | Shown::Exited
        | Shown::Dead => return Standing::Stuck(Stage::Container),
    }
    let is_down = |service| service == ServiceState::Down;
    if matches!(told.systemd, SystemdState::Stopped | SystemdState::Unknown) {
        return Standing::Stuck(Stage::Systemd);
    }
    let early = [(told.munge, Stage::Munge), (told.sshd, Stage::Sshd)];
    if let Some((_, stage)) = early.into_iter().find(|(service, _)| is_down(*service)) {
        return Standing::Stuck(stage);
    }
    if role.readiness == Readiness::WithCluster {
        return if serves { Standing::Well } else { Standing::Waits };
    }
    if told.role != Role::Controller && !serves {
        return Standing::Waits;
    }
    match told.daemon {
        // It runs, and Slurm does not have it as it should be.
        Some(ServiceState::Up) if told.slurm.is_none() => Standing::Well,
        Some(_) | None => Standing::Stuck(role.last_service()),
    }
}

impl Work {
    /// Asks what the nodes that are not ready are waiting for.
    pub(crate) async fn diagnose(
        &self,
        intent: &Intent,
        links: &BTreeMap<HostId, Arc<HostLink>>,
        cause: String,
    ) -> NotReady {
        let mut not_ready = NotReady { cause, ..NotReady::default() };
        let (rows, seen) = match observe_cluster(&self.coordinator, intent.cluster.clone()).await {
            Ok(observed) => observed,
            Err(error) => {
                tracing::warn!(cluster.id = %self.cluster, error = chain(&error), "nodes were not asked");
                return not_ready;
            }
        };
        let told = status(&rows, &seen, self.coordinator.now());
        let serves = told
            .nodes
            .iter()
            .any(|node| node.role == Role::Controller && node.daemon == Some(ServiceState::Up));
        let mut asks = Vec::new();
        for (node, told) in rows.nodes.iter().zip(&told.nodes).filter(|(n, _)| n.state != NodeState::Ready) {
            match standing(intent.role(node), told, serves) {
                Standing::Well => {}
                Standing::Waits => not_ready.waiting += 1,
                Standing::Unheard => match seen.hosts.get(&node.host) {
                    Some(host) => *not_ready.unheard.entry(host.name.clone()).or_default() += 1,
                    None => not_ready.more += 1,
                },
                Standing::Stuck(stage) => match links.get(&node.host) {
                    Some(link) if asks.len() < SHOWN => {
                        asks.push(self.stuck(node, told, stage, link).boxed());
                    }
                    Some(_) | None => not_ready.more += 1,
                },
            }
        }
        not_ready.stuck = stream::iter(asks).buffered(FAN_OUT).collect().await;
        not_ready
    }

    async fn stuck(&self, node: &Node, told: &NodeStatus, stage: Stage, link: &HostLink) -> StuckNode {
        let asked = tokio::time::timeout(LIMIT, self.last_words(node, stage, link)).await;
        let said = match asked {
            Ok(Ok(lines)) => lines,
            Ok(Err(error)) => vec![chain(&error)],
            Err(_) => vec![format!("no answer within {} s", LIMIT.as_secs())],
        };
        let of_slurm = told.slurm_reason.iter().map(|reason| format!("Slurm says: {reason}"));
        StuckNode {
            node: node.name.clone(),
            host: link.name.clone(),
            stage,
            log: of_slurm.chain(said).collect(),
        }
    }

    /// The last lines of the log of a stage; of a container that does not run also how it ended.
    async fn last_words(
        &self,
        node: &Node,
        stage: Stage,
        link: &HostLink,
    ) -> Result<Vec<String>, EngineError> {
        let Some(container) = container_of(&self.coordinator.naming, link, node.id).await? else {
            return Ok(vec!["it was not created".into()]);
        };
        if container.state != ContainerState::Running {
            let mut log = last_lines(&link.engine.logs_tail(&container.id, READ).await?);
            log.extend(end_of(link, &container.id).await?.map(|end| end.to_string()));
            return Ok(log);
        }
        let command = ExecSpec::new(log_command(stage, READ));
        let output = link.engine.exec(&container.id, &command, TEXT_LIMIT).await?;
        Ok(last_lines(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// The last lines that say something.
pub(super) fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|l| !l.is_empty() && !is_noise(l)).collect();
    lines[lines.len().saturating_sub(LINES as usize)..]
        .iter()
        .map(|l| l.chars().take(300).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use shoal_types::Profile;

    use super::*;

    #[test]
    fn who_waits_is_told_from_who_is_stuck() {
        let of = |role| NodeStatus {
            name: "n".into(),
            role,
            host: None,
            address: String::new(),
            container: Shown::Running,
            systemd: SystemdState::Running,
            munge: ServiceState::Up,
            sshd: ServiceState::Up,
            daemon: (role != Role::Submitter).then_some(ServiceState::Up),
            slurm: (role == Role::Worker).then(|| "unknown".into()),
            slurm_reason: None,
            age_ms: 0,
            troubles: vec![],
            failing: None,
        };
        let with = |role, change: fn(&mut NodeStatus)| {
            let mut told = of(role);
            change(&mut told);
            told
        };
        let (up, silent) = (true, false);
        for (what, told, serves, expected) in [
            ("a worker, no controller", of(Role::Worker), silent, Standing::Waits),
            (
                "its slurmd ends for want of a controller",
                with(Role::Worker, |n| n.daemon = Some(ServiceState::Down)),
                silent,
                Standing::Waits,
            ),
            ("a submitter, no controller", of(Role::Submitter), silent, Standing::Waits),
            ("a submitter that only waits", of(Role::Submitter), up, Standing::Well),
            (
                "slurmctld gives up",
                with(Role::Controller, |n| n.daemon = Some(ServiceState::Down)),
                silent,
                Standing::Stuck(Stage::Slurmctld),
            ),
            ("slurmctld runs", of(Role::Controller), up, Standing::Well),
            ("Slurm does not have it", of(Role::Worker), up, Standing::Stuck(Stage::Slurmd)),
            (
                "no munge",
                with(Role::Worker, |n| n.munge = ServiceState::Down),
                silent,
                Standing::Stuck(Stage::Munge),
            ),
            (
                "it ended",
                with(Role::Worker, |n| n.container = Shown::Exited),
                silent,
                Standing::Stuck(Stage::Container),
            ),
            (
                "no agent",
                with(Role::Worker, |n| n.systemd = SystemdState::Unknown),
                up,
                Standing::Stuck(Stage::Systemd),
            ),
            (
                "a silent host",
                with(Role::Worker, |n| n.container = Shown::Unknown),
                silent,
                Standing::Unheard,
            ),
        ] {
            let role = RoleSpec::of(told.role, Profile::System);
            assert_eq!(standing(role, &told, serves), expected, "{what}");
        }
    }

    #[test]
    fn the_last_lines_that_say_something() {
        let noise = "Failed to attach 7 to compat systemd cgroup /x, ignoring: No such file or directory\n";
        let text: String = (0..20).map(|n| format!("line {n}  \n{noise}\n")).collect();
        let lines = last_lines(&text);
        assert_eq!((lines.len(), lines[0].as_str(), lines[11].as_str()), (12, "line 8", "line 19"));
    }
}
