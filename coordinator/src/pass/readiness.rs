//! Waits until every worker is IDLE in Slurm (of a cluster that is kept: has jobs, would get some, or was drained) and every other
//! node serves: the controller's port first, then one `sinfo` for all workers, then the ports of the other roles. A daemon that is
//! missing meanwhile is asked for its reason (`refusal.rs`).
//!
//! Nothing is run in a node before slurmctld listens, or its other services are up and it is not: an early `docker exec` lands in the
//! root of the node's cgroup tree and keeps systemd from dividing it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::{CallClass, ContainerState, ExecSpec};
use shoal_slurm::{NodeReport, Readiness, SlurmPart, Stage};
use shoal_storage::{Host, Node};
use shoal_types::{EventKind, HostId, HostName, NodeName, NodeState, chain};

use crate::{
    fleet::{HostLink, liveness::limited},
    observe::{
        containers::container_of,
        intent::Intent,
        judge::serves,
        slurm::{self, SlurmNodes},
    },
    pass::{
        refusal::{MISSED, Missing},
        work::{Goal, Halt, Work, on},
    },
    words::fault::Fault,
};

/// How often a daemon's port and Slurm's nodes are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long nothing may change before the containers are observed again: one of them may have died.
const STALL: Duration = Duration::from_secs(10);
/// How long a controller whose workers are all IDLE may take to say its version.
const VERSION: Duration = Duration::from_secs(5);

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
    /// A daemon of it gives up whenever it is started, and says why.
    Refuses(Stage, String),
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
        match self.await_workers(intent, controller, links, members).await? {
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
    ) -> Result<WaitOutcome, (HostId, Halt)> {
        let of_controller = |halt| (controller.id, halt);
        let becomes_idle = |node: &Node| intent.role(node).readiness == Readiness::Idle;
        let mut waiting: BTreeSet<NodeName> =
            intent.nodes.iter().filter(|n| becomes_idle(n)).map(|n| n.name.clone()).collect();
        let Some(node) = intent.controller() else { return Ok(WaitOutcome::Stalled) };
        let container = match self.listener(intent, node, controller).await.map_err(of_controller)? {
            Listener::Up(container) => container,
            Listener::Down => return Ok(WaitOutcome::Stalled),
            Listener::Refuses(daemon, reason) => return Ok(WaitOutcome::Refused { daemon, reason }),
        };
        let mut changed = tokio::time::Instant::now();
        let mut missing = Missing::default();
        loop {
            self.may(controller, CallClass::Exec).await.map_err(of_controller)?;
            let answer = slurm::sinfo(controller, &container).await;
            let answer = answer.map_err(on(controller)).map_err(of_controller)?;
            let reports = answer.unwrap_or_else(|reason| {
                tracing::debug!(cluster.id = %self.cluster, reason, "Slurm gives no answer");
                SlurmNodes::new()
            });
            let there = |report: &NodeReport| match self.goal {
                Goal::Made => report.is_idle(),
                Goal::Kept => report.is_usable() || report.is_drained(),
            };
            let mut up: BTreeSet<NodeName> =
                reports.into_values().filter(there).map(|report| report.name).collect();
            up.retain(|name| waiting.contains(name));
            if self.goal == Goal::Kept {
                self.retain_serving(intent, links, &mut up).await?;
            }
            for name in up {
                if waiting.remove(&name) {
                    changed = tokio::time::Instant::now();
                    self.node_ready(intent, &name, members).await;
                }
            }
            if waiting.is_empty() {
                return Ok(WaitOutcome::Ready);
            }
            if changed.elapsed() > STALL {
                return Ok(WaitOutcome::Stalled);
            }
            if changed.elapsed() > MISSED
                && missing.is_due()
                && let Some(refused) = self.worker_refuses(intent, &waiting, links, &mut missing).await?
            {
                return Ok(refused);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Leaves out the nodes that were just started and do not run everything yet: Slurm has what it heard of them last.
    async fn retain_serving(
        &self,
        intent: &Intent,
        links: &BTreeMap<HostId, Arc<HostLink>>,
        up: &mut BTreeSet<NodeName>,
    ) -> Result<(), (HostId, Halt)> {
        let mut new: BTreeMap<HostId, Vec<&Node>> = BTreeMap::new();
        for node in intent.nodes.iter().filter(|n| n.state != NodeState::Ready && up.contains(&n.name)) {
            new.entry(node.host).or_default().push(node);
        }
        let asks = new.into_iter().filter_map(|(host, here)| {
            let link = links.get(&host)?;
            let ids: Vec<String> = here.iter().filter_map(|node| node.container.clone()).collect();
            let ask = async move {
                self.may(link, CallClass::Read).await?;
                Ok(link.agent().await?.probe_nodes(ids).await?)
            };
            Some(async move { (link, here, ask.await) }.boxed())
        });
        for (link, here, said) in join_all(asks).await {
            let said = said.map_err(|halt: Halt| (link.id, halt))?;
            for node in here {
                let probe = node.container.as_ref().and_then(|id| said.probes.get(id));
                if !probe.is_some_and(|probe| serves(intent.role(node), probe)) {
                    up.remove(&node.name);
                }
            }
        }
        Ok(())
    }

    /// Slurm's version, as its controller says it: `slurm-wlm 22.05.8`. `None`: it was not heard. Every worker is IDLE by now, and no
    /// cluster fails for want of its version.
    pub(crate) async fn slurm_version(&self, intent: &Intent, controller: &HostLink) -> Option<String> {
        let ask = async {
            let Some(container) = self.controller_container(intent, controller).await? else {
                return Ok(None);
            };
            let command = ExecSpec::new(["sinfo", "--version"]);
            let output = controller.engine.exec(&container, &command, 4096).await.map_err(on(controller))?;
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text.split_whitespace().last().map(str::to_owned))
        };
        let asked = limited(&controller.name, VERSION, async { ask.await.map_err(Halt::into_fault) }).await;
        asked.unwrap_or_else(|fault: Fault| {
            tracing::warn!(cluster.id = %self.cluster, error = chain(&fault), "Slurm's version was not heard");
            None
        })
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
            Listener::Refuses(daemon, reason) => Ok(WaitOutcome::Refused { daemon, reason }),
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
                if missing.is_due()
                    && let Some((daemon, reason)) =
                        self.refusal(intent, role, (link, &container), &mut missing).await?
                {
                    return Ok(Listener::Refuses(daemon, reason));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(Listener::Down)
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
