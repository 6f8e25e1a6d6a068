//! Waits until every worker is IDLE in Slurm and every other node serves: the controller's port first, then one `sinfo` for all
//! workers, then the ports of the other roles.
//!
//! Nothing is run in a node before slurmctld listens, or its other services are up and it is not: an early `docker exec` lands in the
//! root of the node's cgroup tree and keeps systemd from dividing it.
//!
//! A daemon that ends with `fatal` again and again is asked for its reason as soon as that can be told: a configuration that it
//! refuses stays refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use shoal_docker::{CallClass, ContainerState, ExecSpec};
use shoal_slurm::{Complaint, Readiness, RoleSpec, SlurmPart, Stage, log_command, once_more_command};
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
        diagnose::TEXT_LIMIT,
        work::{Halt, Work, on},
    },
    words::agent::NodeProbe,
};

/// How often a daemon's port and Slurm's nodes are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long nothing may change before the containers are observed again: one of them may have died.
const STALL: Duration = Duration::from_secs(10);

/// How long a daemon may be missing where everything else runs before it is asked for its reason, and how long until it is asked
/// again.
const MISSED: Duration = Duration::from_secs(1);
/// Starts that ended for one reason before a daemon is believed to go on so: systemd tries up to three times a second.
const STARTS: usize = 5;
/// Lines of its log that are read for them.
const LOG_LINES: u32 = 200;

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
        /// Its own words, with the line of the user's that they are about.
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
    /// It gives up whenever it is started, and says why.
    Refuses(String),
}

/// A daemon that does not listen.
#[derive(Debug, Default)]
struct Missing {
    /// When its node was last seen with everything else up.
    looked: Option<tokio::time::Instant>,
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
        let workers = self.await_workers(intent, controller, links, members).await;
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
        links: &BTreeMap<HostId, Arc<HostLink>>,
        members: &BTreeMap<HostId, Host>,
    ) -> Result<WaitOutcome, Halt> {
        let becomes_idle = |node: &Node| intent.role(node).readiness == Readiness::Idle;
        let mut waiting: BTreeSet<NodeName> =
            intent.nodes.iter().filter(|n| becomes_idle(n)).map(|n| n.name.clone()).collect();
        let Some(node) = intent.controller() else { return Ok(WaitOutcome::Stalled) };
        let role = intent.role(node);
        let container = match self.listener(intent, node, controller).await? {
            Listener::Up(container) => container,
            Listener::Down => return Ok(WaitOutcome::Stalled),
            Listener::Refuses(reason) => {
                return Ok(WaitOutcome::Refused { daemon: role.last_service(), reason });
            }
        };
        let mut changed = tokio::time::Instant::now();
        let mut missing = Missing::default();
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
            if changed.elapsed() > MISSED
                && let Some(refused) = self.worker_refuses(intent, &waiting, links, &mut missing).await?
            {
                return Ok(refused);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the daemon of the first node that is waited for gives up whenever it is started: the others have its configuration.
    async fn worker_refuses(
        &self,
        intent: &Intent,
        waiting: &BTreeSet<NodeName>,
        links: &BTreeMap<HostId, Arc<HostLink>>,
        missing: &mut Missing,
    ) -> Result<Option<WaitOutcome>, Halt> {
        let first = intent.nodes.iter().find(|node| waiting.contains(&node.name));
        let found = first.and_then(|node| Some((node, links.get(&node.host)?)));
        let Some((node, link)) = found else { return Ok(None) };
        let there = container_of(&self.coordinator.naming, link, node.id).await.map_err(on(link))?;
        let Some(container) = there.filter(|c| c.state == ContainerState::Running) else { return Ok(None) };
        let role = intent.role(node);
        let reason = self.refusal(intent, role, (link, &container.id), missing).await?;
        Ok(reason.map(|reason| WaitOutcome::Refused { daemon: role.last_service(), reason }))
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
        match self.listener(intent, node, link).await? {
            Listener::Up(_) => Ok(WaitOutcome::Ready),
            Listener::Down => Ok(WaitOutcome::Stalled),
            Listener::Refuses(reason) => Ok(WaitOutcome::Refused { daemon: role.last_service(), reason }),
        }
    }

    /// Waits until a node's daemon listens, if its role has it listen.
    async fn listener(&self, intent: &Intent, node: &Node, link: &HostLink) -> Result<Listener, Halt> {
        let role = intent.role(node);
        let there = container_of(&self.coordinator.naming, link, node.id).await.map_err(on(link))?;
        let Some(container) = there.filter(|c| c.state == ContainerState::Running).map(|c| c.id) else {
            return Ok(Listener::Down);
        };
        let port = match role.readiness {
            Readiness::Listens(port) => intent.layout().port(port),
            Readiness::Idle | Readiness::WithCluster => return Ok(Listener::Up(container)),
        };
        let since = tokio::time::Instant::now();
        let mut missing = Missing::default();
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
                    return Ok(Listener::Down);
                }
                if let Some(reason) = self.refusal(intent, role, (link, &container), &mut missing).await? {
                    return Ok(Listener::Refuses(reason));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(Listener::Down)
    }

    /// Why a daemon that is missing will never come up, if its log says so.
    async fn refusal(
        &self,
        intent: &Intent,
        role: &RoleSpec,
        (link, container): (&HostLink, &str),
        missing: &mut Missing,
    ) -> Result<Option<String>, Halt> {
        if missing.looked.is_some_and(|at| at.elapsed() < MISSED) {
            return Ok(None);
        }
        self.may(link, CallClass::Read).await?;
        let said = link.agent().await?.probe_nodes(vec![container.to_owned()]).await?;
        let daemon = role.last_service().unit();
        let missed = |probe: &NodeProbe| {
            let booted = probe.manager && probe.munge && probe.sshd;
            booted && daemon.is_some_and(|unit| !probe.units.contains(unit))
        };
        if !said.probes.values().any(missed) {
            return Ok(None);
        }
        // The first look only begins the time in which a daemon comes up.
        if missing.looked.replace(tokio::time::Instant::now()).is_none() {
            return Ok(None);
        }
        let says = async |command: Vec<String>| -> Result<String, Halt> {
            self.may(link, CallClass::Exec).await?;
            let said = link.engine.exec(container, &ExecSpec::new(command), TEXT_LIMIT).await;
            Ok(String::from_utf8_lossy(&said.map_err(on(link))?.stdout).into_owned())
        };
        let (daemon, slurm) = (role.last_service(), &intent.cluster.spec.slurm);
        let complaint = Complaint::read(&says(log_command(daemon, LOG_LINES)).await?, slurm);
        let Some(complaint) = complaint.filter(|complaint| complaint.times >= STARTS) else {
            return Ok(None);
        };
        let output = match once_more_command(daemon) {
            Some(command) => says(command).await?,
            None => String::new(),
        };
        Ok(Some(complaint.with(&output, slurm).to_string()))
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
