//! Why the coordinator did not do what was asked. One wildcard-free map to gRPC status is in `server/status.rs`.

use std::{fmt, path::PathBuf};

use shoal_docker::{EndpointError, EngineError, RetryClass, TlsMaterialError, Unusable};
use shoal_proto::FieldError;
use shoal_slurm::{BootstrapError, ViewError};
use shoal_storage::{HolderError, KeyError, StoreError, StoreUrlError};
use shoal_types::{ClusterName, HostName, InvalidTransition, NodeName, RealmName, SchedulerAddress};

mod address;
mod agent;
mod placing;
mod readiness;

pub(crate) use self::address::POOL;
pub use self::{
    address::NoAddress,
    agent::{AgentError, BinaryError},
    placing::{NoPlan, ProgramError, Unreadable},
    readiness::{NotReady, StuckNode},
};

/// Why a coordinator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The store's URL cannot be read.
    #[error(transparent)]
    StoreUrl(#[from] StoreUrlError),
    /// The state directory cannot be made.
    #[error("state directory {} cannot be used", path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The key that seals secrets cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This process cannot be told from others, so it could hold no lease.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// Its own channel failed.
    #[error("the coordinator's own channel failed")]
    Channel(#[from] tonic::transport::Error),
}

/// What became of a cluster that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Nothing of it is left.
    Removed,
    /// All of it is still there.
    Kept,
    /// It was removed, but for what is on hosts that could not be reached: why.
    LeftBehind(String),
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str("it was removed"),
            Self::Kept => f.write_str("it was kept for inspection"),
            Self::LeftBehind(why) => write!(f, "it was removed where that was possible: {why}"),
        }
    }
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A field of the request cannot be what it says.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The endpoint cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The TLS material cannot be used.
    #[error(transparent)]
    Material(#[from] TlsMaterialError),
    /// No host of that name.
    #[error("no host named {name} is registered")]
    NoHost {
        /// The name.
        name: HostName,
    },
    /// No host at all.
    #[error(
        "no host is registered and no local engine answers: register one with `shoal register NAME --docker ENDPOINT`"
    )]
    NoHosts,
    /// No cluster of that name.
    #[error("no cluster named {name} in realm {realm}")]
    NoCluster {
        /// The realm.
        realm: RealmName,
        /// The name.
        name: ClusterName,
    },
    /// No node of that name.
    #[error("no node named {node} in cluster {cluster}")]
    NoNode {
        /// The cluster.
        cluster: ClusterName,
        /// The name.
        node: NodeName,
    },
    /// The node has no container at present.
    #[error(
        "node {node} has no container on host {host}: its cluster is being made or taken away, or it was removed by hand"
    )]
    NoContainer {
        /// The node.
        node: NodeName,
        /// Its host.
        host: HostName,
    },
    /// The host still has nodes.
    #[error(
        "host {host} still has {nodes} nodes: delete their clusters first, or use --force to forget them"
    )]
    HostInUse {
        /// The host.
        host: HostName,
        /// How many.
        nodes: u32,
    },
    /// Another engine answers at the new endpoint.
    #[error(
        "another engine answers at {endpoint} than that of host {host}: register it under a name of its own"
    )]
    OtherEngine {
        /// The host.
        host: HostName,
        /// The endpoint.
        endpoint: String,
    },
    /// The engine cannot be used for nodes.
    #[error("host {host} cannot be used: {source}")]
    Unusable {
        /// The host.
        host: HostName,
        /// Why.
        source: Unusable,
    },
    /// An engine failed or cannot be reached.
    #[error("host {host}")]
    Engine {
        /// The host.
        host: HostName,
        /// What happened.
        #[source]
        source: Box<EngineError>,
    },
    /// A host accepted and did not answer in time.
    #[error("host {host} did not answer within {seconds} s")]
    Silent {
        /// The host.
        host: HostName,
        /// The limit.
        seconds: u64,
    },
    /// A host stopped answering while work was under way there.
    #[error("host {host} has not answered for {seconds} s")]
    Lost {
        /// The host.
        host: HostName,
        /// For how long at least.
        seconds: u64,
    },
    /// Two members of a cluster would send tunnel packets to the same address.
    #[error(
        "hosts {hosts} have the same underlay address {address}: set them apart with `shoal set host NAME --underlay ADDRESS`"
    )]
    SameUnderlay {
        /// Their names.
        hosts: String,
        /// The address.
        address: std::net::Ipv4Addr,
    },
    /// Every host failed.
    #[error("none of the {count} hosts can be reached: {reason}")]
    NoneReachable {
        /// How many there are.
        count: usize,
        /// What the first of them said.
        reason: String,
    },
    /// An agent failed or cannot be reached.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The cluster does not fit.
    #[error("cluster {cluster} does not fit: {source}")]
    Unplaceable {
        /// The cluster.
        cluster: ClusterName,
        /// Why, host by host.
        source: NoPlan,
    },
    /// Nodes are pinned to hosts that are not registered.
    #[error("nodes are pinned to {hosts}, which is not registered: `shoal get hosts` lists those that are")]
    PinnedNowhere {
        /// The hosts, by name.
        hosts: String,
    },
    /// A program that schedules gave no plan.
    #[error("the scheduler at {address}")]
    Program {
        /// Where it listens.
        address: SchedulerAddress,
        /// What happened.
        #[source]
        source: Box<ProgramError>,
    },
    /// What was recorded of a placement cannot be read.
    #[error(transparent)]
    Record(#[from] Unreadable),
    /// Nothing was recorded of a placement.
    #[error(
        "nothing is known of how {node} of cluster {cluster} was placed: it was by a version of shoal that kept no record"
    )]
    NoRecord {
        /// The cluster.
        cluster: ClusterName,
        /// The node.
        node: NodeName,
    },
    /// No subnet or VNI is left.
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
    /// No host has the image.
    #[error(
        "image {image} is on no usable host: load it with `shoal load image FILE`, or build it with `shoal build image`"
    )]
    NoImage {
        /// The reference.
        image: String,
    },
    /// No host has the image, and none could pull it.
    #[error(
        "image {image} is on no usable host and could not be pulled ({reasons}): give the registry's credentials with `shoal set registry`, load it with `shoal load image FILE`, or build it with `shoal build image`"
    )]
    NotPulled {
        /// The reference.
        image: String,
        /// What the hosts said.
        reasons: String,
    },
    /// The image has to come to a host, and nobody who has it answers.
    #[error(
        "image {image} is not on host {host}, and no host that has it answers: load it with `shoal load image FILE`"
    )]
    NoSource {
        /// The host that lacks it.
        host: HostName,
        /// The reference.
        image: String,
    },
    /// The image could not be read where it is.
    #[error("image {image} could not be read from host {host}: {reason}")]
    Source {
        /// The reference.
        image: String,
        /// The host that has it.
        host: HostName,
        /// What happened.
        reason: String,
    },
    /// The image that was brought to a host is not there under its digest.
    #[error(
        "host {host} took image {image} and does not have it as {digest}: its engine names images otherwise; load the image there under another tag and create the cluster with that"
    )]
    ImageDiffers {
        /// The host.
        host: HostName,
        /// The reference.
        image: String,
        /// The digest that every node runs.
        digest: String,
    },
    /// No credentials are known for the registry.
    #[error("no credentials are known for registry {registry}: see `shoal get registries`")]
    NoRegistry {
        /// Its address.
        registry: String,
    },
    /// The image cannot be a node.
    #[error("image {image} cannot be a node: {reason}")]
    BadImage {
        /// The reference.
        image: String,
        /// Why.
        reason: String,
    },
    /// The host's machine cannot carry the tunnels.
    #[error(
        "host {host} has no usable underlay address: name one with `shoal set host {host} --underlay ADDRESS`"
    )]
    NoUnderlay {
        /// The host.
        host: HostName,
    },
    /// Another process works on the cluster.
    #[error("cluster {cluster} is being worked on by {holder}: wait for it, or end that process")]
    Busy {
        /// The cluster.
        cluster: ClusterName,
        /// Who.
        holder: String,
    },
    /// The cluster is in the wrong phase.
    #[error("cluster {cluster}: {source}")]
    Phase {
        /// The cluster.
        cluster: ClusterName,
        /// Which change was refused.
        source: InvalidTransition,
    },
    /// The cluster did not become ready.
    #[error("cluster {cluster} did not become ready: {source}\n{after}")]
    NotReady {
        /// The cluster.
        cluster: ClusterName,
        /// Which nodes, and at which stage.
        source: NotReady,
        /// What became of it.
        after: After,
    },
    /// A create that was only looked at did not end with a cluster that is ready.
    #[error("the create of cluster {cluster} ended: {how}")]
    Ended {
        /// The cluster.
        cluster: ClusterName,
        /// Why, and what became of it.
        how: String,
    },
    /// The create was interrupted.
    #[error("interrupted: cluster {cluster} was rolled back")]
    Interrupted {
        /// The cluster.
        cluster: ClusterName,
    },
    /// The coordinator is to stop.
    #[error("interrupted")]
    Stopped,
    /// Something of the cluster is on hosts that cannot be reached.
    #[error(
        "cluster {cluster} is not gone yet: {hosts} could not be reached ({reason}); delete it again when they are back, or use `shoal unregister HOST --force`"
    )]
    LeftBehind {
        /// The cluster.
        cluster: ClusterName,
        /// The hosts, by name.
        hosts: String,
        /// What the first of them said.
        reason: String,
    },
    /// The store holds a cluster that cannot be rendered.
    #[error("cluster {cluster} cannot be rendered: {source}")]
    View {
        /// The cluster.
        cluster: ClusterName,
        /// Why.
        source: ViewError,
    },
    /// A node's archive cannot be made.
    #[error("the files of node {node} cannot be rendered: {source}")]
    Render {
        /// The node.
        node: NodeName,
        /// Why.
        source: BootstrapError,
    },
    /// Somebody holds a container name and does not let go.
    #[error("host {host}: the name {name} stays in use by another container: remove that container")]
    NameHeld {
        /// The host.
        host: HostName,
        /// The name.
        name: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of this machine could not be written or read.
    #[error("{what} failed on this machine")]
    Local {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Fault {
    /// Makes the error of an engine that of its host.
    pub(crate) fn engine(host: &HostName) -> impl Fn(EngineError) -> Self + Copy {
        move |source| Self::Engine { host: host.clone(), source: Box::new(source) }
    }

    /// What an engine said, if that is what it is about.
    pub(crate) fn of_engine(&self) -> Option<&EngineError> {
        if let Self::Engine { source, .. } | Self::Agent(AgentError::Engine { source, .. }) = self {
            return Some(source);
        }
        None
    }

    /// Whether the fault counts against its host. User errors never do.
    pub(crate) fn blames_host(&self) -> bool {
        match self.of_engine() {
            Some(error) => error.blames_host(),
            None if matches!(self, Self::Agent(AgentError::Binary { .. })) => false,
            None => matches!(
                self,
                Self::Agent(_) | Self::Silent { .. } | Self::Lost { .. } | Self::OtherEngine { .. }
            ),
        }
    }

    /// Whether the same work may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Engine { source, .. } => matches!(source.class(), RetryClass::Retry | RetryClass::Observe),
            Self::Agent(error) => error.is_transient(),
            Self::Silent { .. }
            | Self::Lost { .. }
            | Self::NoneReachable { .. }
            | Self::NameHeld { .. }
            | Self::NoSource { .. }
            | Self::Source { .. } => true,
            Self::Store(
                StoreError::Locked { .. } | StoreError::Unreachable { .. } | StoreError::Stale { .. },
            ) => true,
            Self::Field(_)
            | Self::Endpoint(_)
            | Self::Material(_)
            | Self::NoHost { .. }
            | Self::NoHosts
            | Self::NoCluster { .. }
            | Self::NoNode { .. }
            | Self::NoContainer { .. }
            | Self::HostInUse { .. }
            | Self::OtherEngine { .. }
            | Self::Unusable { .. }
            | Self::Unplaceable { .. }
            | Self::PinnedNowhere { .. }
            | Self::Program { .. }
            | Self::Record(_)
            | Self::NoRecord { .. }
            | Self::NoAddress(_)
            | Self::NoImage { .. }
            | Self::NotPulled { .. }
            | Self::ImageDiffers { .. }
            | Self::NoRegistry { .. }
            | Self::BadImage { .. }
            | Self::NoUnderlay { .. }
            | Self::SameUnderlay { .. }
            | Self::Busy { .. }
            | Self::Phase { .. }
            | Self::NotReady { .. }
            | Self::Ended { .. }
            | Self::Interrupted { .. }
            | Self::Stopped
            | Self::LeftBehind { .. }
            | Self::View { .. }
            | Self::Render { .. }
            | Self::Store(_)
            | Self::Local { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_docker::Endpoint;
    use shoal_types::chain;

    use super::*;

    #[test]
    fn sources_are_told_once() {
        let endpoint: Endpoint = "tcp://10.0.0.1:2376".parse().unwrap();
        let host = "host1".parse().unwrap();
        let fault = Fault::engine(&host)(EngineError::Refused {
            endpoint,
            source: std::io::Error::other("no route"),
        });
        assert_eq!(chain(&fault), "host host1: tcp://10.0.0.1:2376 refused the connection: no route");
    }
}
