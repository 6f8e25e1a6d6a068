//! Brings one host's part of a cluster to what the store says: network first, then every node in three calls.
//!
//! ```text
//! list containers --plan--> remove strays --> Docker network --> agent: device, entries, names
//!                                                                      |
//!                              (in_flight permits per host)            v
//!                              create --> archive --> start   for each node, controller first
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use bytes::Bytes;
use futures_util::FutureExt;
use shoal_docker::{CallClass, Created, EngineError, NetworkSpec};
use shoal_slurm::BootstrapTemplate;
use shoal_storage::Node;
use shoal_types::{EngineFacts, EventKind, EventLevel, HostId, NodeId, NodeState, SubnetPlan};
use tokio::sync::Semaphore;

use crate::{
    fleet::{
        HostLink,
        removal::{LOOK_PAUSE, LOOKS, remove_container},
    },
    observe::{
        containers::{HostContainers, Scope},
        docker_network::docker_network,
        intent::Intent,
    },
    pass::{
        container::{StateVolume, container_spec, state_volume},
        plan::{self, NodeStep, Wanted},
        work::{Goal, Halt, Work, all, on, underlays},
    },
    words::{
        fault::{ClusterFault, Fault, HostFault},
        naming::{CLUSTER, GENERATION, NODE},
    },
};

/// Nodes looked at concurrently on one host; how many may start at once is the link's to say.
const FAN_OUT: usize = 16;

/// Members of networks in messages under way at once, each of 250 bytes. Every host is told of every member: with 1,000 nodes on
/// 1,000 hosts all messages together are a million.
const MEMBERS_UNDER_WAY: usize = 64 << 10;

/// Archives of nodes under way to hosts at once, each of some 30 KB.
const ARCHIVES_UNDER_WAY: usize = 128;

/// What every host's pass needs.
#[derive(Debug)]
pub(crate) struct Rendered<'a> {
    pub(crate) intent: &'a Intent,
    pub(crate) template: &'a BootstrapTemplate,
    pub(crate) underlays: &'a BTreeMap<HostId, Ipv4Addr>,
    /// One permit per host that is being told its network.
    told: Semaphore,
    /// One permit per archive that is under way.
    filled: Semaphore,
}

impl<'a> Rendered<'a> {
    pub(crate) fn new(
        intent: &'a Intent,
        template: &'a BootstrapTemplate,
        underlays: &'a BTreeMap<HostId, Ipv4Addr>,
    ) -> Self {
        let told = Semaphore::new(told_at_once(intent.nodes.len()));
        Self { intent, template, underlays, told, filled: Semaphore::new(ARCHIVES_UNDER_WAY) }
    }
}

/// How many hosts may be told a network of so many members at once.
fn told_at_once(members: usize) -> usize {
    (MEMBERS_UNDER_WAY / members.max(1)).max(FAN_OUT)
}

impl Work {
    /// One pass over one host. Repeating it changes nothing once everything is there. The nodes that wait for their next restart.
    pub(crate) async fn bring_up(
        &self,
        link: &HostLink,
        engine: &EngineFacts,
        r: &Rendered<'_>,
    ) -> Result<BTreeSet<NodeId>, Halt> {
        let naming = &self.coordinator.naming;
        let wanted: Vec<_> = r.intent.on(link.id).map(Wanted::of).collect();
        self.may(link, CallClass::Read).await?;
        let there = HostContainers::look(naming, link, Scope::Cluster(self.cluster)).await;
        let there = there.map_err(on(link))?;
        let network = self.present_network(link, r.intent).await?;
        // Of a cluster that was ready, one that was never started may be of a network that is gone: until its start it has the name of
        // its network alone.
        let in_doubt = self.in_doubt(link.id) || self.goal == Goal::Kept;
        let mut plan = plan::bring_up(&wanted, &there, network.as_deref(), in_doubt);
        let held = match self.goal {
            Goal::Made => BTreeSet::new(),
            Goal::Kept => self.restart(link, r.intent, &plan).await?,
        };
        plan.hold(&held);
        let remove = async |stray: &String| {
            self.may(link, CallClass::Write).await?;
            remove_container(link, stray).await.map_err(on(link)).map(drop)
        };
        all(plan.remove.iter().map(|stray| remove(stray).boxed()).collect(), FAN_OUT).await?;
        let limited = r.intent.on(link.id).any(|n| n.size.cpu_limit.is_some());
        if limited && !engine.cpu_limits {
            let message =
                "its engine cannot limit CPU: nodes here are placed by their size, but may use more".into();
            let warning = self.event(r.intent, EventLevel::Warn, EventKind::Step, Some(&link.name), message);
            self.recorder.event(warning).await;
        }
        let network = match network {
            Some(network) => network,
            None => self.make_network(link, r.intent).await?,
        };
        let Ok(telling) = r.told.acquire().await else { return Err(Halt::Stopped) };
        self.apply_mesh(link, r.intent, r.underlays).await?;
        drop(telling);
        let by_id: BTreeMap<_, _> = r.intent.on(link.id).map(|n| (n.id, n)).collect();
        let steps = plan.nodes.iter().filter_map(|(id, step)| Some((*by_id.get(id)?, step)));
        let each: Vec<_> =
            steps.map(|(node, step)| self.node(link, engine, r, &network, node, step).boxed()).collect();
        all(each, FAN_OUT).await?;
        Ok(held)
    }

    /// The id of the cluster's Docker network on this host, if it is there.
    async fn present_network(&self, link: &HostLink, intent: &Intent) -> Result<Option<String>, Halt> {
        self.may(link, CallClass::Read).await?;
        docker_network(&self.coordinator.naming, link, self.cluster, &intent.network).await.map_err(on(link))
    }

    /// Makes the Docker network of the cluster on this host; its id.
    async fn make_network(&self, link: &HostLink, intent: &Intent) -> Result<String, Halt> {
        let (naming, network, spec) = (&self.coordinator.naming, &intent.network, &intent.cluster.spec);
        self.may(link, CallClass::Write).await?;
        let wanted = NetworkSpec {
            name: naming.network(&spec.name, &spec.realm),
            labels: naming.cluster_labels(self.cluster, &spec.realm),
            subnet: network.subnet,
            gateway: network.gateway,
            ip_range: SubnetPlan { subnet: network.subnet }.docker_range(),
            mtu: network.mtu.into(),
            bridge: naming.bridge(network.vni),
        };
        let id = link.engine.create_network(&wanted).await.map_err(on(link))?;
        self.note(intent, EventKind::Network, Some(&link.name), format!("network {} made", network.subnet))
            .await;
        Ok(id)
    }

    /// Tells the agents of all member hosts what the network is now: after nodes of it were forgotten.
    pub(crate) async fn tell_members(&self) -> Result<(), Fault> {
        let intent = self.intent().await?;
        let underlays = underlays(&self.members(&intent).await?);
        let (links, unreached) = self.links(&intent).await?;
        let each = links.values().map(|link| self.apply_mesh(link, &intent, &underlays).boxed()).collect();
        all(each, FAN_OUT).await.map_err(Halt::into_fault)?;
        unreached.into_values().next().map_or(Ok(()), Err)
    }

    /// Tells a host's agent what its part of the network is.
    pub(crate) async fn apply_mesh(
        &self,
        link: &HostLink,
        intent: &Intent,
        underlays: &BTreeMap<HostId, Ipv4Addr>,
    ) -> Result<(), Halt> {
        let state = intent.network_state(&self.coordinator.naming, link.id, underlays);
        self.may(link, CallClass::Write).await?;
        link.agent().await?.apply_network(state).await?;
        Ok(())
    }

    async fn node(
        &self,
        link: &HostLink,
        engine: &EngineFacts,
        r: &Rendered<'_>,
        network: &str,
        node: &Node,
        step: &NodeStep,
    ) -> Result<(), Halt> {
        let container = match step {
            NodeStep::Keep { container } => {
                if node.container.as_ref() != Some(container) {
                    let started = (NodeState::Starting, EventKind::NodeStarted);
                    self.note_node(
                        r.intent,
                        node,
                        &link.name,
                        started,
                        Some(container.clone()),
                        "found running",
                    )
                    .await;
                }
                return Ok(());
            }
            NodeStep::Wait => return Ok(()),
            NodeStep::Create => None,
            NodeStep::Fill { container } => Some(container.clone()),
        };
        let Ok(_permit) = link.in_flight.acquire().await else { return Err(Halt::Stopped) };
        let container = match container {
            Some(container) => container,
            None => self.create(link, engine, r.intent, network, node).await?,
        };
        self.fill(link, r, node, &container).await?;
        // Starting is the last call and cannot be taken back: the lease must still be ours in the store itself.
        self.may(link, CallClass::Start).await?;
        self.lease.confirm().await?;
        self.effects.starting(link.id);
        link.engine.start(&container).await.map_err(on(link))?;
        let started = (NodeState::Starting, EventKind::NodeStarted);
        self.note_node(r.intent, node, &link.name, started, Some(container), "started").await;
        Ok(())
    }

    /// Puts a node's configuration into its container.
    async fn fill(
        &self,
        link: &HostLink,
        r: &Rendered<'_>,
        node: &Node,
        container: &str,
    ) -> Result<(), Halt> {
        let Ok(_turn) = r.filled.acquire().await else { return Err(Halt::Stopped) };
        let archive = r
            .template
            .archive(&node.name)
            .map_err(|e| Fault::Cluster(ClusterFault::Render { node: node.name.clone(), source: e }))?;
        self.may(link, CallClass::Write).await?;
        link.engine.put_archive(container, "/", Bytes::from(archive)).await.map_err(on(link))
    }

    /// Creates a node's container, or adopts the one that has its name and labels.
    async fn create(
        &self,
        link: &HostLink,
        engine: &EngineFacts,
        intent: &Intent,
        network: &str,
        node: &Node,
    ) -> Result<String, Halt> {
        let spec = container_spec(&self.coordinator.naming, intent, node, network, engine);
        let volume = state_volume(&self.coordinator.naming, intent, node);
        if let Some(volume) = volume
            && !self.restore(link, intent, node, &volume).await?
        {
            let StateVolume { name: volume, labels, .. } = volume;
            self.may(link, CallClass::Write).await?;
            let there = link.engine.create_volume(&volume, &labels).await.map_err(on(link))?;
            if there.labels.get(CLUSTER) != labels.get(CLUSTER) {
                // The state of another cluster that had this name: its jobs are not ours.
                link.engine.remove_volume(&volume).await.map_err(on(link))?;
                link.engine.create_volume(&volume, &labels).await.map_err(on(link))?;
            }
        }
        for _ in 0..LOOKS {
            self.may(link, CallClass::Write).await?;
            match link.engine.create_container(&spec).await {
                Ok(Created::New { id }) => {
                    let created = (NodeState::Created, EventKind::NodeCreated);
                    self.note_node(intent, node, &link.name, created, Some(id.clone()), "created").await;
                    return Ok(id);
                }
                Ok(Created::Exists(there)) => {
                    let same = |key: &str| there.labels.get(key) == spec.labels.get(key);
                    if same(NODE) && same(GENERATION) {
                        return Ok(there.id);
                    }
                    remove_container(link, &there.id).await.map_err(on(link))?;
                }
                Err(EngineError::NameInUse { .. } | EngineError::RemovalInProgress { .. }) => {
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
                Err(error) => return Err(on(link)(error)),
            }
        }
        Err(Halt::Fault(Fault::Host(HostFault::NameHeld { host: link.name.clone(), name: spec.name })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_a_large_network_are_not_all_in_memory_at_once() {
        assert_eq!(told_at_once(1000), 65);
        // A small network is told to all its hosts at once, a huge one to some at least.
        assert!(told_at_once(64) >= 1000);
        assert_eq!((told_at_once(0), told_at_once(1_000_000)), (MEMBERS_UNDER_WAY, FAN_OUT));
    }
}
