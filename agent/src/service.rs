//! The gRPC service: messages in, types through, messages out. Nothing is decided here.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use shoal_proto::v1::{self, agent_server::Agent};
use shoal_types::{Revision, chain};
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    facts::{Facts, FactsError, facts},
    health::{Health, health},
    mesh::MeshError,
    network::{Network, parse},
    nodes::{NodeProbe, probe_nodes},
    path_probe,
    probe::probe,
    reconciler::{ReconcileError, ReconcilerHandle, Removal},
    tunnel::{self, TunnelError},
};

/// Most processes one probe may ask for: more than nodes fit on a host.
const MAX_PIDS: usize = 4096;

/// Most units one question may be about: of each node so many can be in the answer.
const MAX_UNITS: usize = 64;

/// What the service speaks for.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) version: String,
    /// The host's own id, from the state directory.
    pub(crate) agent_id: String,
    /// On the file system whose room is told.
    pub(crate) state_dir: PathBuf,
    pub(crate) reconciler: ReconcilerHandle,
    /// Tunnels and checks under way; they end with their callers.
    pub(crate) tunnels: TaskTracker,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Agent for Service {
    type TunnelStream = tunnel::Responses;
    type ReceiveProbesStream = path_probe::Arrivals;

    #[tracing::instrument(skip_all)]
    async fn get_host_facts(&self, _: Request<v1::GetHostFactsRequest>) -> Answer<v1::GetHostFactsResponse> {
        let facts = facts().await?;
        Ok(Response::new(facts_message(self.version.clone(), self.agent_id.clone(), facts)))
    }

    #[tracing::instrument(skip_all)]
    async fn apply_network(
        &self,
        request: Request<v1::ApplyNetworkRequest>,
    ) -> Answer<v1::ApplyNetworkResponse> {
        let state = request.into_inner().state.ok_or_else(|| Status::invalid_argument("state: missing"))?;
        let network = Network::try_from(state).map_err(invalid)?;
        let changed = self.reconciler.apply(network).await?;
        Ok(Response::new(v1::ApplyNetworkResponse { changed }))
    }

    #[tracing::instrument(skip_all)]
    async fn remove_network(
        &self,
        request: Request<v1::RemoveNetworkRequest>,
    ) -> Answer<v1::RemoveNetworkResponse> {
        let request = request.into_inner();
        let removal = Removal {
            installation: parse("installation", &request.installation).map_err(invalid)?,
            network: match request.network.as_str() {
                "" => None,
                id => Some(parse("network", id).map_err(invalid)?),
            },
            device: parse("device", &request.device).map_err(invalid)?,
            bridge: parse("bridge", &request.bridge).map_err(invalid)?,
            revision: Revision(request.revision),
        };
        let removed = self.reconciler.remove(removal).await?;
        Ok(Response::new(v1::RemoveNetworkResponse { removed }))
    }

    #[tracing::instrument(skip_all)]
    async fn list_networks(
        &self,
        request: Request<v1::ListNetworksRequest>,
    ) -> Answer<v1::ListNetworksResponse> {
        let installation = parse("installation", &request.into_inner().installation).map_err(invalid)?;
        let listing = self.reconciler.list(installation).await?;
        let kept = listing.networks.into_iter().map(|(network, trouble)| v1::KeptNetwork {
            network: network.id.to_string(),
            revision: network.revision.0,
            trouble: trouble.unwrap_or_default(),
            device: network.device.to_string(),
            bridge: network.bridge.to_string(),
            underlays: network.underlays(),
        });
        Ok(Response::new(v1::ListNetworksResponse {
            networks: kept.collect(),
            stray_devices: listing.strays,
        }))
    }

    #[tracing::instrument(skip_all)]
    async fn probe_ports(&self, request: Request<v1::ProbePortsRequest>) -> Answer<v1::ProbePortsResponse> {
        let pids = request.into_inner().pids;
        if pids.len() > MAX_PIDS {
            return Err(Status::invalid_argument(format!("pids: {} are more than {MAX_PIDS}", pids.len())));
        }
        let probes = tokio::task::spawn_blocking(|| pids.into_iter().map(probe_message).collect());
        let probes: Result<_, Status> = probes.await.map_err(|_| ReconcileError::Stopping)?;
        Ok(Response::new(v1::ProbePortsResponse { probes: probes? }))
    }

    #[tracing::instrument(skip_all)]
    async fn tunnel(&self, request: Request<Streaming<v1::TunnelRequest>>) -> Answer<Self::TunnelStream> {
        let responses = tunnel::open(request.into_inner(), self.reconciler.networks(), &self.tunnels).await?;
        Ok(Response::new(responses))
    }

    #[tracing::instrument(skip_all)]
    async fn probe_nodes(&self, request: Request<v1::ProbeNodesRequest>) -> Answer<v1::ProbeNodesResponse> {
        let v1::ProbeNodesRequest { containers, units } = request.into_inner();
        if units.len() > MAX_UNITS {
            return Err(Status::invalid_argument(format!(
                "units: {} are more than {MAX_UNITS}",
                units.len()
            )));
        }
        if containers.len() > MAX_PIDS {
            let many = format!("containers: {} are more than {MAX_PIDS}", containers.len());
            return Err(Status::invalid_argument(many));
        }
        let wanted: BTreeSet<String> = containers.iter().cloned().collect();
        let probes = tokio::task::spawn_blocking(move || {
            probe_nodes(Path::new("/proc"), &wanted, &units.into_iter().collect())
        });
        let probes = probes.await.map_err(|_| ReconcileError::Stopping)?;
        let mut probes =
            probes.map_err(|error| Status::internal(format!("cannot list the processes: {error}")))?;
        let message =
            |container: String| node_message(probes.remove(&container).unwrap_or_default(), container);
        let probes = containers.into_iter().map(message).collect();
        Ok(Response::new(v1::ProbeNodesResponse { probes, version: self.version.clone() }))
    }

    #[tracing::instrument(skip_all)]
    async fn get_host_health(
        &self,
        _: Request<v1::GetHostHealthRequest>,
    ) -> Answer<v1::GetHostHealthResponse> {
        Ok(Response::new(health_message(health(&self.state_dir).await?)))
    }

    #[tracing::instrument(skip_all)]
    async fn receive_probes(
        &self,
        request: Request<v1::ReceiveProbesRequest>,
    ) -> Answer<Self::ReceiveProbesStream> {
        Ok(Response::new(path_probe::receive(request.into_inner(), &self.tunnels).await?))
    }

    #[tracing::instrument(skip_all)]
    async fn send_probes(&self, request: Request<v1::SendProbesRequest>) -> Answer<v1::SendProbesResponse> {
        Ok(Response::new(path_probe::send(request.into_inner()).await?))
    }
}

fn node_message(probe: NodeProbe, container: String) -> v1::NodeProbe {
    v1::NodeProbe {
        container,
        alive: probe.alive,
        manager: probe.manager,
        units: probe.units.into_iter().collect(),
        munge: probe.munge,
        sshd: probe.sshd,
        up_ms: u64::try_from(probe.up.as_millis()).unwrap_or(u64::MAX),
    }
}

fn health_message(health: Health) -> v1::GetHostHealthResponse {
    let (bridge, bridge_ports) = health.bridge.unwrap_or_default();
    v1::GetHostHealthResponse {
        clock_ms: health.clock_ms,
        disk_total_bytes: health.disk_total_bytes,
        disk_free_bytes: health.disk_free_bytes,
        pid_limit: health.pid_limit,
        pids: health.pids,
        name_listeners: health.name_listeners.iter().map(ToString::to_string).collect(),
        bridge_ports,
        bridge,
    }
}

fn probe_message(pid: u32) -> Result<v1::PortProbe, Status> {
    let probe = probe(Path::new("/proc"), pid)
        .map_err(|error| Status::internal(format!("cannot probe process {pid}: {error}")))?;
    let ports = probe.ports.into_iter().map(u32::from).collect();
    Ok(v1::PortProbe { pid, alive: probe.alive, ports })
}

fn facts_message(version: String, agent_id: String, facts: Facts) -> v1::GetHostFactsResponse {
    let interfaces = facts.interfaces.into_iter().map(|interface| v1::Interface {
        name: interface.name,
        addresses: interface.addresses.iter().map(ToString::to_string).collect(),
        mtu: interface.mtu,
    });
    v1::GetHostFactsResponse {
        version,
        agent_id,
        default_address: facts.default_address.map(|a| a.to_string()).unwrap_or_default(),
        interfaces: interfaces.collect(),
        inotify_instances: facts.inotify_instances,
        neighbour_limit: facts.neighbour_limit,
        routes: facts.routes.iter().map(ToString::to_string).collect(),
        diversions: facts
            .diversions
            .into_iter()
            .map(|d| v1::Diversion { subnet: d.subnet.to_string(), by: d.by })
            .collect(),
        vnis: facts.vnis,
        resident_bytes: facts.resident_bytes,
        filter_fault: facts.filter_fault.unwrap_or_default(),
    }
}

fn invalid(error: shoal_proto::FieldError) -> Status {
    Status::invalid_argument(error.to_string())
}

impl From<ReconcileError> for Status {
    /// `FAILED_PRECONDITION`: the host or what it keeps is not as the caller thinks. `ALREADY_EXISTS`: something of others has
    /// the name, VNI or address.
    fn from(error: ReconcileError) -> Self {
        let text = chain(&error);
        match error {
            ReconcileError::Stale { .. }
            | ReconcileError::Gone { .. }
            | ReconcileError::Conflict { .. }
            | ReconcileError::InUse { .. } => Self::failed_precondition(text),
            ReconcileError::Clash { .. } | ReconcileError::Dns(_) => Self::already_exists(text),
            ReconcileError::Foreign { .. } => Self::invalid_argument(text),
            ReconcileError::State(_) | ReconcileError::Firewall(_) => Self::internal(text),
            ReconcileError::Stopping => Self::unavailable(text),
            ReconcileError::Mesh(error) => match error {
                MeshError::BridgeMissing { .. } | MeshError::UnderlayMissing { .. } => {
                    Self::failed_precondition(text)
                }
                MeshError::NotABridge { .. } | MeshError::DeviceTaken { .. } | MeshError::VniTaken { .. } => {
                    Self::already_exists(text)
                }
                MeshError::Foreign { .. } => Self::invalid_argument(text),
                MeshError::Kernel { .. } => Self::internal(text),
            },
        }
    }
}

impl From<TunnelError> for Status {
    fn from(error: TunnelError) -> Self {
        let text = chain(&error);
        match error {
            TunnelError::NotOpened | TunnelError::NotData | TunnelError::Field(_) => {
                Self::invalid_argument(text)
            }
            TunnelError::NotLocal(_) => Self::permission_denied(text),
            TunnelError::Dial { .. } | TunnelError::DialTimeout { .. } | TunnelError::Broken { .. } => {
                Self::unavailable(text)
            }
            TunnelError::CallerGone => Self::cancelled(text),
        }
    }
}

impl From<FactsError> for Status {
    fn from(error: FactsError) -> Self {
        Self::internal(chain(&error))
    }
}
