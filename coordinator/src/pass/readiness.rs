//! Waits until every worker is IDLE in Slurm and every other node serves: the controller's port first, then one `sinfo` for all
//! workers, then the ports of the other roles.
//!
//! Nothing is run in a node before slurmctld listens, or systemd takes commands and a [`STALL`] has passed: an early `docker
//! exec` lands in the root of the node's cgroup tree and keeps systemd from dividing it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use shoal_docker::{CallClass, ContainerState, ExecSpec};
use shoal_slurm::{Readiness, RoleSpec, SlurmPart, Stage, fatal_reason, log_command, restarts_command};
use shoal_storage::{Host, Node};
use shoal_types::{EventKind, HostId, HostName, NodeName, NodeState};

use crate::{
    fleet::HostLink,
    observe::{
        containers::container_of,
        intent::Intent,
        slurm::{self, SlurmNodes},
    },
    pass::{
        diagnose::{LINES, TEXT_LIMIT},
        work::{Halt, Work, on},
    },
};

/// How often a daemon's port and Slurm's nodes are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long nothing may change before the containers are observed again: one of them may have died.
const STALL: Duration = Duration::from_secs(10);

/// Starts of a daemon that ended before one is believed to go on so: systemd tries three times a second.
const RESTARTS: u32 = 5;
/// How long it is watched before: one that goes on so has been started again by then.
const WATCH: Duration = Duration::from_secs(2);

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WaitOutcome {
    /// Every worker is IDLE, every other node serves.
    Ready,
    /// Nothing changed for a while: observe again.
    Stalled,
    /// A daemon gives up whenever it is started, and says why.
    Refused {
        /// The daemon.
        daemon: Stage,
        /// Its own words.
        reason: String,
    },
    /// A node ends whenever it is started.
    Ended {
        /// The node.
        node: NodeName,
        /// Its host.
        host: HostName,
        /// With which status, and whether it was out of memory.
        how: String,
    },
}

/// How a node is whose daemon is to listen.
enum Listener {
    /// It listens in this container.
    Up(String),
    /// The container does not run.
    Down,
    /// The container runs, and nothing has listened for a [`STALL`].
    Silent(String),
}

impl Work {
    /// Waits, and records each node as it becomes ready. `controller` is the link to the controller's host; a halt comes with the
    /// host that it is of.
    pub(crate) async fn await_readiness(
        &self,
        intent: &Intent,
        controller: &HostLink,
        links: &BTreeMap<HostId, Arc<HostLink>>,
        members: &BTreeMap<HostId, Host>,
    ) -> Result<WaitOutcome, (HostId, Halt)> {
        let workers = self.await_workers(intent, controller, members).await;
        match workers.map_err(|halt| (controller.id, halt))? {
            WaitOutcome::Ready => {}
            unready @ (WaitOutcome::Stalled | WaitOutcome::Refused { .. } | WaitOutcome::Ended { .. }) => {
                return Ok(unready);
            }
        }
        for node in intent.nodes.iter().filter(|node| intent.role(node).readiness != Readiness::Idle) {
            let Some(link) = links.get(&node.host) else { return Ok(WaitOutcome::Stalled) };
            match self.await_service(intent, node, link).await.map_err(|halt| (link.id, halt))? {
                WaitOutcome::Ready => self.node_ready(intent, &node.name, members).await,
                unready
                @ (WaitOutcome::Stalled | WaitOutcome::Refused { .. } | WaitOutcome::Ended { .. }) => {
                    return Ok(unready);
                }
            }
        }
        Ok(WaitOutcome::Ready)
    }

    async fn await_workers(
        &self,
        intent: &Intent,
        controller: &HostLink,
        members: &BTreeMap<HostId, Host>,
    ) -> Result<WaitOutcome, Halt> {
        let becomes_idle = |node: &Node| intent.role(node).readiness == Readiness::Idle;
        let mut waiting: BTreeSet<NodeName> =
            intent.nodes.iter().filter(|n| becomes_idle(n)).map(|n| n.name.clone()).collect();
        let Some(node) = intent.controller() else { return Ok(WaitOutcome::Stalled) };
        let role = intent.role(node);
        let container = match self.listener(node, role, controller).await? {
            Listener::Up(container) => container,
            Listener::Down => return Ok(WaitOutcome::Stalled),
            Listener::Silent(container) => return self.refusal(role, controller, &container).await,
        };
        let mut changed = tokio::time::Instant::now();
        loop {
            self.may(controller, CallClass::Exec).await?;
            let answer = slurm::sinfo(controller, &container).await.map_err(on(controller))?;
            let reports = answer.unwrap_or_else(|reason| {
                tracing::debug!(cluster.id = %self.cluster, reason, "Slurm gives no answer");
                SlurmNodes::new()
            });
            for report in reports.into_values() {
                if report.is_idle() && waiting.remove(&report.name) {
                    changed = tokio::time::Instant::now();
                    self.node_ready(intent, &report.name, members).await;
                }
            }
            if waiting.is_empty() {
                return Ok(WaitOutcome::Ready);
            }
            if changed.elapsed() > STALL {
                return Ok(WaitOutcome::Stalled);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Slurm's version, as its controller says it: `slurm-wlm 22.05.8`.
    pub(crate) async fn slurm_version(
        &self,
        intent: &Intent,
        controller: &HostLink,
    ) -> Result<Option<String>, Halt> {
        let Some(container) = self.controller_container(intent, controller).await? else { return Ok(None) };
        let output = controller.engine.exec(&container, &ExecSpec::new(["sinfo", "--version"]), 4096).await;
        let output = output.map_err(on(controller))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.split_whitespace().last().map(str::to_owned))
    }

    /// Waits until a node that is no worker serves. The controller does: it has answered for the workers.
    async fn await_service(
        &self,
        intent: &Intent,
        node: &Node,
        link: &HostLink,
    ) -> Result<WaitOutcome, Halt> {
        let role = intent.role(node);
        if role.slurm == SlurmPart::Controller {
            return Ok(WaitOutcome::Ready);
        }
        match self.listener(node, role, link).await? {
            Listener::Up(_) => Ok(WaitOutcome::Ready),
            Listener::Down => Ok(WaitOutcome::Stalled),
            Listener::Silent(container) => self.refusal(role, link, &container).await,
        }
    }

    /// Waits until a node's daemon listens, if its role has it listen.
    async fn listener(&self, node: &Node, role: &RoleSpec, link: &HostLink) -> Result<Listener, Halt> {
        let there = container_of(&self.coordinator.naming, link, node.id).await.map_err(on(link))?;
        let Some(container) = there.filter(|c| c.state == ContainerState::Running).map(|c| c.id) else {
            return Ok(Listener::Down);
        };
        let port = match role.readiness {
            Readiness::Listens(port) => port,
            Readiness::Idle | Readiness::WithCluster => return Ok(Listener::Up(container)),
        };
        let since = tokio::time::Instant::now();
        while since.elapsed() < STALL {
            self.may(link, CallClass::Read).await?;
            let detail = link.engine.inspect_container(&container).await.map_err(on(link))?;
            let Some(pid) = detail.and_then(|d| d.pid) else { return Ok(Listener::Down) };
            loop {
                self.may(link, CallClass::Read).await?;
                let Some(ports) = link.agent().await?.probe_ports(pid).await? else { break };
                if ports.contains(&port) {
                    return Ok(Listener::Up(container));
                }
                if since.elapsed() > STALL {
                    return Ok(Listener::Silent(container));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(Listener::Silent(container))
    }

    /// Whether a daemon that has not come up within a [`STALL`] ever will: a configuration that it refuses stays refused.
    async fn refusal(&self, role: &RoleSpec, link: &HostLink, container: &str) -> Result<WaitOutcome, Halt> {
        let daemon = role.last_service();
        self.may(link, CallClass::Read).await?;
        let said = link.agent().await?.probe_nodes(vec![container.to_owned()]).await?;
        if !said.probes.values().any(|probe| probe.manager) {
            return Ok(WaitOutcome::Stalled);
        }
        let says = async |command: Vec<String>| -> Result<String, Halt> {
            self.may(link, CallClass::Exec).await?;
            let said = link.engine.exec(container, &ExecSpec::new(command), TEXT_LIMIT).await;
            Ok(String::from_utf8_lossy(&said.map_err(on(link))?.stdout).into_owned())
        };
        let Some(restarts) = restarts_command(daemon) else { return Ok(WaitOutcome::Stalled) };
        let before: u32 = says(restarts.clone()).await?.trim().parse().unwrap_or(0);
        tokio::time::sleep(WATCH).await;
        let now: u32 = says(restarts).await?.trim().parse().unwrap_or(0);
        if now < RESTARTS || now == before {
            return Ok(WaitOutcome::Stalled);
        }
        let log = says(log_command(daemon, LINES)).await?;
        Ok(fatal_reason(&log).map_or(WaitOutcome::Stalled, |reason| WaitOutcome::Refused {
            daemon,
            reason: reason.to_owned(),
        }))
    }

    /// The controller's container, if it runs.
    async fn controller_container(&self, intent: &Intent, link: &HostLink) -> Result<Option<String>, Halt> {
        let Some(controller) = intent.controller() else { return Ok(None) };
        let there = container_of(&self.coordinator.naming, link, controller.id).await.map_err(on(link))?;
        Ok(there.filter(|c| c.state == ContainerState::Running).map(|c| c.id))
    }

    async fn node_ready(&self, intent: &Intent, name: &NodeName, members: &BTreeMap<HostId, Host>) {
        let Some(node) = intent.nodes.iter().find(|n| n.name == *name) else { return };
        if node.state == NodeState::Ready {
            return;
        }
        let Some(host) = members.get(&node.host) else { return };
        let message = intent.role(node).readiness.word();
        let container = node.container.clone();
        self.note_node(
            intent,
            node,
            &host.name,
            (NodeState::Ready, EventKind::NodeReady),
            container,
            message,
        )
        .await;
    }
}
