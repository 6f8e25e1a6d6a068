//! The agent as the coordinator meets it: a greeting, then gRPC, on the streams of `shoal agent connect`.

use std::{sync::Arc, time::Duration};

use futures_util::{
    Stream, StreamExt as _,
    stream::{BoxStream, unfold},
};
use shoal_docker_fake::{Inside, Phase, Stdio};
use shoal_proto::{
    GREETING_PREFIX,
    v1::{
        self,
        agent_server::{Agent, AgentServer},
    },
};
use shoal_types::digest_of_addresses;
use tokio::{
    io::{AsyncWriteExt as _, copy, split},
    sync::watch,
    time::timeout,
};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use super::{mesh::HostMesh, node_programs::NodePrograms, points::Fault};

/// Bytes on their way between a session and the agent.
const PIPE: usize = 16 << 10;
/// How often an agent speaks that has nothing new to tell of a check.
const BEAT: Duration = Duration::from_millis(100);
/// What the agent's volume is told apart by.
const TOKEN: &str = "/var/lib/shoal/token";

/// One session. Ends when the caller closes its end, or the agent.
pub(crate) async fn connect(cast: Arc<NodePrograms>, inside: Inside, mut stdio: Stdio) -> i64 {
    let engine = inside.container.engine.to_string();
    let token = inside.read(TOKEN).unwrap_or_else(|| {
        let token = cast.token();
        inside.write(TOKEN, token.clone());
        token.into()
    });
    cast.mesh(&engine, |mesh| {
        if mesh.token.as_bytes() != token {
            mesh.kept.clear();
            mesh.token = String::from_utf8_lossy(&token).into_owned();
        }
    });
    if stdio.stdout.write_all(format!("{GREETING_PREFIX}simulated\n").as_bytes()).await.is_err() {
        return 1;
    }
    let (session, socket) = tokio::io::duplex(PIPE);
    let incoming = tokio_stream::once(Ok::<_, std::io::Error>(socket)).chain(tokio_stream::pending());
    let service = AgentServer::new(Service { cast, engine });
    // Ends with this session, however that ends.
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    let (mut from_agent, mut to_agent) = split(session);
    let up = async {
        drop(copy(&mut stdio.stdin, &mut to_agent).await);
    };
    let down = async {
        drop(copy(&mut from_agent, &mut stdio.stdout).await);
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    0
}

type Arrivals = BoxStream<'static, Result<v1::ReceiveProbesResponse, Status>>;

#[derive(Debug)]
struct Service {
    cast: Arc<NodePrograms>,
    engine: String,
}

impl Service {
    /// A call: a fault before its effect, the effect, a fault after it.
    async fn call<T>(
        &self,
        name: &str,
        effect: impl FnOnce(&mut HostMesh, &[String]) -> Result<T, Status>,
    ) -> Result<Response<T>, Status> {
        let what = format!("agent {name}");
        self.meet(&what, Phase::Before).await?;
        let bridges = self.cast.bridges(&self.engine);
        let answer = self.cast.mesh(&self.engine, |mesh| {
            mesh.pass(&bridges);
            effect(mesh, &bridges)
        });
        self.meet(&what, Phase::After).await?;
        answer.map(Response::new)
    }

    async fn meet(&self, what: &str, phase: Phase) -> Result<(), Status> {
        match self.cast.points.at("", what, phase) {
            None => Ok(()),
            Some(Fault::Error) => Err(Status::internal("simulated")),
            Some(Fault::Lost) => Err(Status::unavailable("simulated")),
            // What was asked for before a crash is done all the same.
            Some(Fault::Crash) if phase == Phase::Before => Ok(()),
            Some(Fault::Crash | Fault::Hang) => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl Agent for Service {
    type TunnelStream = tokio_stream::Pending<Result<v1::TunnelResponse, Status>>;
    type ReceiveProbesStream = Arrivals;

    async fn get_host_facts(
        &self,
        _: Request<v1::GetHostFactsRequest>,
    ) -> Result<Response<v1::GetHostFactsResponse>, Status> {
        self.call("GetHostFacts", |mesh, _| {
            let address = mesh.underlay.map(|a| a.to_string()).unwrap_or_default();
            Ok(v1::GetHostFactsResponse {
                version: "simulated".into(),
                agent_id: format!("agent at {address}"),
                interfaces: vec![v1::Interface {
                    name: "eth0".into(),
                    addresses: vec![address.clone()],
                    mtu: 1500,
                }],
                default_address: address,
                inotify_instances: 1 << 20,
                neighbour_limit: 1 << 20,
                routes: vec!["0.0.0.0/0".into(), "10.77.0.0/16".into()],
                diversions: vec![],
                vnis: mesh.devices.values().map(|d| d.vni).collect(),
                resident_bytes: 1,
                filter_fault: String::new(),
            })
        })
        .await
    }

    async fn apply_network(
        &self,
        request: Request<v1::ApplyNetworkRequest>,
    ) -> Result<Response<v1::ApplyNetworkResponse>, Status> {
        let mut state =
            request.into_inner().state.ok_or_else(|| Status::invalid_argument("state: missing"))?;
        if self.cast.is_lean() {
            state.members = vec![];
        }
        self.call("ApplyNetwork", |mesh, bridges| {
            Ok(v1::ApplyNetworkResponse { changed: mesh.apply(state, bridges)? })
        })
        .await
    }

    async fn remove_network(
        &self,
        request: Request<v1::RemoveNetworkRequest>,
    ) -> Result<Response<v1::RemoveNetworkResponse>, Status> {
        let r = request.into_inner();
        self.call("RemoveNetwork", |mesh, _| {
            Ok(v1::RemoveNetworkResponse { removed: mesh.remove(&r.network, &r.device)? })
        })
        .await
    }

    async fn list_networks(
        &self,
        request: Request<v1::ListNetworksRequest>,
    ) -> Result<Response<v1::ListNetworksResponse>, Status> {
        let installation = request.into_inner().installation;
        self.call("ListNetworks", |mesh, _| {
            let kept = mesh.kept.values().filter(|k| k.installation == installation);
            let kept = kept.map(|k| v1::KeptNetwork {
                network: k.network.clone(),
                revision: k.revision,
                device: k.device.clone(),
                bridge: k.bridge.clone(),
                underlays: underlays(k),
                ..v1::KeptNetwork::default()
            });
            Ok(v1::ListNetworksResponse {
                networks: kept.collect(),
                stray_devices: mesh.strays(&installation),
            })
        })
        .await
    }

    async fn probe_ports(
        &self,
        request: Request<v1::ProbePortsRequest>,
    ) -> Result<Response<v1::ProbePortsResponse>, Status> {
        let pids = request.into_inner().pids;
        let probe = |pid: u32| match self.cast.listens(&self.engine, pid) {
            Some(port) => {
                v1::PortProbe { pid, alive: true, ports: port.into_iter().map(u32::from).collect() }
            }
            None => v1::PortProbe { pid, ..v1::PortProbe::default() },
        };
        let probes = pids.into_iter().map(probe).collect();
        self.call("ProbePorts", |_, _| Ok(v1::ProbePortsResponse { probes })).await
    }

    async fn tunnel(
        &self,
        _: Request<Streaming<v1::TunnelRequest>>,
    ) -> Result<Response<Self::TunnelStream>, Status> {
        Err(Status::unavailable("nothing listens in a simulated node"))
    }

    async fn probe_nodes(
        &self,
        request: Request<v1::ProbeNodesRequest>,
    ) -> Result<Response<v1::ProbeNodesResponse>, Status> {
        let containers = request.into_inner().containers;
        let probes = containers.into_iter().map(|id| self.cast.runs(&self.engine, id)).collect();
        let response = v1::ProbeNodesResponse { probes, version: "simulated".into() };
        self.call("ProbeNodes", |_, _| Ok(response)).await
    }

    async fn get_host_health(
        &self,
        _: Request<v1::GetHostHealthRequest>,
    ) -> Result<Response<v1::GetHostHealthResponse>, Status> {
        let clock_ms = self.cast.host_clock(&self.engine);
        self.call("GetHostHealth", |mesh, _| {
            Ok(v1::GetHostHealthResponse {
                clock_ms,
                disk_total_bytes: 1 << 40,
                disk_free_bytes: 1 << 39,
                pid_limit: 1 << 22,
                pids: 100,
                name_listeners: mesh.name_listeners.clone(),
                bridge_ports: 1,
                bridge: "sb".into(),
            })
        })
        .await
    }

    async fn receive_probes(
        &self,
        request: Request<v1::ReceiveProbesRequest>,
    ) -> Result<Response<Self::ReceiveProbesStream>, Status> {
        let arrivals = self.cast.receive(&self.engine, request.into_inner().vni);
        self.call("ReceiveProbes", |_, _| Ok(told(arrivals).boxed())).await
    }

    async fn send_probes(
        &self,
        request: Request<v1::SendProbesRequest>,
    ) -> Result<Response<v1::SendProbesResponse>, Status> {
        let r = request.into_inner();
        self.cast.send(&r);
        let sent = |target: &v1::ProbeTarget| v1::ProbesSent {
            sent: u32::try_from(target.packets.len()).unwrap_or(u32::MAX),
            error: String::new(),
        };
        let targets = r.targets.iter().map(sent).collect();
        self.call("SendProbes", |_, _| Ok(v1::SendProbesResponse { targets })).await
    }
}

/// The digest of the underlay addresses of a network's hosts.
fn underlays(state: &v1::NetworkState) -> String {
    let remote = state.members.iter().map(|member| &member.remote).filter(|remote| !remote.is_empty());
    digest_of_addresses(remote.chain([&state.local]).filter_map(|address| address.parse().ok()))
}

/// What came since the last time: at once, then whenever something has, and with every beat.
fn told(
    arrivals: watch::Receiver<Vec<u32>>,
) -> impl Stream<Item = Result<v1::ReceiveProbesResponse, Status>> {
    unfold((arrivals, None), |(mut arrivals, told)| async move {
        if told.is_some() && matches!(timeout(BEAT, arrivals.changed()).await, Ok(Err(_))) {
            return None;
        }
        let told = told.unwrap_or(0);
        let marks = arrivals.borrow_and_update()[told..].to_vec();
        let all = told + marks.len();
        Some((Ok(v1::ReceiveProbesResponse { marks }), (arrivals, Some(all))))
    })
}
