//! The service that lets people into nodes: commands, byte streams, and what their SSH client needs.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt};
use shoal_api::SshAccess;
use shoal_proto::{
    FieldError,
    v1::{self, exec_request, proxy_request},
};
use shoal_slurm::{RoleSpec, known_hosts};
use shoal_storage::{Cluster, Node};
use shoal_types::{NodeName, Role, chain};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    drive::lifecycle,
    fleet::{
        HostLink,
        coordinator::Coordinator,
        lifeline::{Lifeline, Mark},
    },
    observe::{containers::container_of, intent::Intent},
    pass,
    server::{exec, field, listing},
    words::fault::{ClusterFault, Fault},
};

/// Frames that wait for a slow reader: with those of gRPC's windows, what one stream may hold in memory.
const QUEUE: usize = 16;

/// Access to nodes.
#[derive(Debug)]
pub(crate) struct AccessService(pub(crate) Arc<Coordinator>);

type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl v1::access_server::Access for AccessService {
    type ExecStream = Frames<v1::ExecResponse>;

    async fn exec(
        &self,
        request: Request<Streaming<v1::ExecRequest>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        let mut input = request.into_inner();
        let Some(exec_request::Frame::Open(open)) = input.message().await?.and_then(|m| m.frame) else {
            return Err(Fault::from(FieldError::new("open", "must be the first message")).into());
        };
        let mark = Mark::draw(&mut *self.0.rng());
        let spec = exec::spec(&open, &mark).map_err(Fault::from)?;
        let (_, node, link) = self.target(&open.realm, &open.cluster, &open.node).await?;
        let container = self.container(&node, &link).await?;
        // At the same time: whoever waits for a prompt would wait for both.
        let (command, lifeline) = tokio::join!(
            link.engine.attach_exec(&container, &spec),
            Lifeline::attach(&*link.engine, &container, &mark, spec.user.as_deref()),
        );
        let lifeline = lifeline.map_err(Fault::engine(&link.name))?;
        let command = match command {
            Ok(command) => command,
            Err(error) => {
                lifeline.not_needed().await;
                return Err(Fault::engine(&link.name)(error).into());
            }
        };
        let (out, frames) = mpsc::channel(QUEUE);
        self.0.tasks.spawn(exec::run(command, lifeline, input, out, self.0.stop.clone()));
        Ok(Response::new(Box::pin(ReceiverStream::new(frames))))
    }

    type ProxyStream = Frames<v1::ProxyResponse>;

    async fn proxy(
        &self,
        request: Request<Streaming<v1::ProxyRequest>>,
    ) -> Result<Response<Self::ProxyStream>, Status> {
        let mut input = request.into_inner();
        let Some(proxy_request::Frame::Open(open)) = input.message().await?.and_then(|m| m.frame) else {
            return Err(Fault::from(FieldError::new("open", "must be the first message")).into());
        };
        let (_, node, link) = self.target(&open.realm, &open.cluster, &open.node).await?;
        // An error of the client's stream ends the tunnel's input; the client knows why.
        let data = input.filter_map(|message| std::future::ready(message.ok().and_then(data)));
        let agent = link.agent().await.map_err(Fault::from)?;
        let out = agent.tunnel((node.address, open.port), data).await?;
        Ok(Response::new(Box::pin(out.map(|output| output.map(Into::into)))))
    }

    async fn get_ssh_access(
        &self,
        request: Request<v1::GetSshAccessRequest>,
    ) -> Result<Response<v1::GetSshAccessResponse>, Status> {
        let r = request.into_inner();
        let (realm, name) = (
            field("realm", &r.realm).map_err(Fault::from)?,
            field("cluster", &r.cluster).map_err(Fault::from)?,
        );
        let cluster = lifecycle::find_cluster(&self.0, &realm, &name).await?;
        let shown = listing::shown_cluster(&self.0, &realm, &name).await?;
        let intent = self.intent(cluster).await?;
        let keys = pass::keys(&self.0, &intent.cluster).await?;
        let broken = |e: shoal_slurm::KeyError| Status::internal(chain(&e));
        let private_key = keys.cluster_ssh_key().map_err(broken)?.private_pem.to_string();
        let known_hosts = known_hosts(&intent.view()?, &keys).map_err(broken)?;
        let nodes = shown.nodes;
        let (realm, cluster) = (r.realm, r.cluster);
        Ok(Response::new(SshAccess { realm, cluster, known_hosts, private_key, nodes }.into()))
    }
}

impl AccessService {
    async fn intent(&self, cluster: Cluster) -> Result<Intent, Fault> {
        let mut read = self.0.store.read().await?;
        let network = read.networks().of_cluster(cluster.id).await?;
        let network = network.ok_or_else(|| shoal_storage::StoreError::Missing {
            what: "network of cluster",
            id: cluster.id.to_string(),
        })?;
        let nodes = read.nodes().of_cluster(cluster.id).await?;
        Ok(Intent::new(cluster, network, nodes))
    }

    /// The node meant, and the link to its host. Without a name: the submitter if there is one, else the controller.
    async fn target(
        &self,
        realm: &str,
        cluster: &str,
        node: &str,
    ) -> Result<(Cluster, Node, Arc<HostLink>), Fault> {
        let cluster =
            lifecycle::find_cluster(&self.0, &field("realm", realm)?, &field("cluster", cluster)?).await?;
        let mut read = self.0.store.read().await?;
        let nodes = read.nodes().of_cluster(cluster.id).await?;
        let login = |node: &Node| RoleSpec::of(node.role, cluster.spec.profile).login;
        let found = if node.is_empty() {
            nodes.iter().filter(|n| login(n).is_some()).min_by_key(|n| login(n))
        } else {
            let name: NodeName = field("node", node)?;
            nodes.iter().find(|n| n.name == name)
        };
        let named =
            || field::<NodeName>("node", if node.is_empty() { Role::Controller.as_str() } else { node });
        let Some(node) = found.cloned() else {
            return Err(Fault::Cluster(ClusterFault::NoNode {
                cluster: cluster.spec.name.clone(),
                node: named()?,
            }));
        };
        let host = read.hosts().get(node.host).await?;
        let host = host
            .ok_or_else(|| shoal_storage::StoreError::Missing { what: "host", id: node.host.to_string() })?;
        drop(read);
        let link = self.0.fleet.link(&self.0.store, &host).await?;
        Ok((cluster, node, link))
    }

    async fn container(&self, node: &Node, link: &HostLink) -> Result<String, Fault> {
        let there = container_of(&self.0.naming, link, node.id).await.map_err(Fault::engine(&link.name))?;
        there.map(|container| container.id).ok_or_else(|| {
            Fault::Cluster(ClusterFault::NoContainer { node: node.name.clone(), host: link.name.clone() })
        })
    }
}

/// The bytes of a later frame.
fn data(message: v1::ProxyRequest) -> Option<bytes::Bytes> {
    match message.frame? {
        proxy_request::Frame::Data(data) => Some(data),
        proxy_request::Frame::Open(_) => None,
    }
}
