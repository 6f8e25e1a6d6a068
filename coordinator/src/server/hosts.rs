//! The service for hosts.

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, Stream};
use shoal_api::DrainStep;
use shoal_docker::{Credential, SshMaterial, TlsMaterial};
use shoal_proto::{FieldError, Word, v1};
use shoal_storage::Usage;
use shoal_types::{
    Bytes, HostId, HostMtu, LabelExpr, MilliCpu, MtuSetting, PrivilegedNodes, Timestamp, chain,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    drive::{
        drain::{self, DrainTerms},
        hosts::{self, HostEdit},
        unregister,
    },
    fleet::coordinator::Coordinator,
    observe::{
        follow::{Follow, FollowStep},
        host::shown,
        survey::{self, Depth},
    },
    server::{clusters::FOR_EVER, field, follow::joined, who::Who},
    words::fault::Fault,
};

/// Messages that wait for a slow reader.
const QUEUE: usize = 256;

/// Hosts.
#[derive(Debug)]
pub(crate) struct HostsService(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl v1::hosts_server::Hosts for HostsService {
    async fn register_host(
        &self,
        request: Request<v1::RegisterHostRequest>,
    ) -> Result<Response<v1::RegisterHostResponse>, Status> {
        let is_here = Who::of(&request).is_here();
        let r = request.into_inner();
        let name = field("name", &r.name).map_err(Fault::from)?;
        own_key(is_here, Some(&r.endpoint), r.ssh.is_some())?;
        let edit = edit(
            v1::UpdateHostRequest {
                name: r.name,
                endpoint: Some(r.endpoint),
                tls: r.tls,
                ssh: r.ssh,
                labels: r.labels,
                cpu_milli: r.cpu_milli,
                memory_bytes: r.memory_bytes,
                overcommit_cpu_milli: r.overcommit_cpu_milli,
                overcommit_memory_milli: r.overcommit_memory_milli,
                underlay: r.underlay,
                privileged_nodes: r.privileged_nodes,
                mtu_bytes: r.mtu_bytes,
            },
            self.0.now(),
        )?;
        let coordinator = self.0.clone();
        let host = self.whole(async move { hosts::register(&coordinator, name, edit).await }).await?;
        let host = shown(&host, None, self.0.now());
        Ok(Response::new(v1::RegisterHostResponse { host: Some(host.into()) }))
    }

    async fn update_host(
        &self,
        request: Request<v1::UpdateHostRequest>,
    ) -> Result<Response<v1::UpdateHostResponse>, Status> {
        let is_here = Who::of(&request).is_here();
        let r = request.into_inner();
        let name = field("name", &r.name).map_err(Fault::from)?;
        own_key(is_here, r.endpoint.as_ref(), r.ssh.is_some())?;
        let (coordinator, edit) = (self.0.clone(), edit(r, self.0.now())?);
        let host = self.whole(async move { hosts::update_host(&coordinator, &name, edit).await }).await?;
        let usage = self.usage().await?;
        let host = shown(&host, usage.get(&host.id), self.0.now());
        Ok(Response::new(v1::UpdateHostResponse { host: Some(host.into()) }))
    }

    async fn unregister_host(
        &self,
        request: Request<v1::UnregisterHostRequest>,
    ) -> Result<Response<v1::UnregisterHostResponse>, Status> {
        let r = request.into_inner();
        let name = field("name", &r.name).map_err(Fault::from)?;
        let coordinator = self.0.clone();
        let gone =
            self.whole(async move { unregister::unregister(&coordinator, &name, r.force).await }).await?;
        Ok(Response::new(gone.into()))
    }

    async fn list_hosts(
        &self,
        request: Request<v1::ListHostsRequest>,
    ) -> Result<Response<v1::ListHostsResponse>, Status> {
        let exprs = request.into_inner().label_exprs;
        let exprs: Result<Vec<LabelExpr>, FieldError> = exprs.iter().map(|e| field("label", e)).collect();
        let exprs = exprs.map_err(Fault::from)?;
        let seen = survey::survey(&self.0, Depth::Engine).await?;
        let (usage, now) = (self.usage().await?, self.0.now());
        let wanted = seen.iter().filter(|s| exprs.iter().all(|e| e.matches(&s.host.settings.labels)));
        let hosts = wanted.map(|s| {
            let error = s.link.as_ref().err().map(|fault| chain(fault));
            shoal_api::Host { error, ..shown(&s.host, usage.get(&s.host.id), now) }.into()
        });
        Ok(Response::new(v1::ListHostsResponse { hosts: hosts.collect() }))
    }

    async fn cordon_host(
        &self,
        request: Request<v1::CordonHostRequest>,
    ) -> Result<Response<v1::CordonHostResponse>, Status> {
        let name = field("name", &request.into_inner().name).map_err(Fault::from)?;
        let coordinator = self.0.clone();
        let host = self.whole(async move { drain::cordon(&coordinator, &name).await }).await?;
        let host = shown(&host, self.usage().await?.get(&host.id), self.0.now());
        Ok(Response::new(v1::CordonHostResponse { host: Some(host.into()) }))
    }

    async fn uncordon_host(
        &self,
        request: Request<v1::UncordonHostRequest>,
    ) -> Result<Response<v1::UncordonHostResponse>, Status> {
        let name = field("name", &request.into_inner().name).map_err(Fault::from)?;
        let coordinator = self.0.clone();
        let host = self.whole(async move { drain::uncordon(&coordinator, &name).await }).await?;
        let host = shown(&host, self.usage().await?.get(&host.id), self.0.now());
        Ok(Response::new(v1::UncordonHostResponse { host: Some(host.into()) }))
    }

    type DrainHostStream = Pin<Box<dyn Stream<Item = Result<v1::DrainHostResponse, Status>> + Send>>;

    async fn drain_host(
        &self,
        request: Request<v1::DrainHostRequest>,
    ) -> Result<Response<Self::DrainHostStream>, Status> {
        let r = request.into_inner();
        let name = field("name", &r.name).map_err(Fault::from)?;
        let timeout = if r.timeout_ms == 0 { FOR_EVER } else { Duration::from_millis(r.timeout_ms) };
        let terms = DrainTerms { dry_run: r.dry_run, now: r.now, timeout };
        let follow = Follow::all_from_now(self.0.clone()).await.map_err(Fault::from)?;
        let interrupt = self.0.stop.child_token();
        let (out, steps) = mpsc::channel(QUEUE);
        let (coordinator, stop, told) = (self.0.clone(), interrupt.clone(), out.clone());
        let work = self.0.tasks.spawn(async move {
            let tell = |cluster| {
                let told = told.clone();
                // Who has gone is told nothing.
                async move { drop(told.send(Ok(DrainStep::Cluster(cluster).into())).await) }.boxed()
            };
            drain::drain(&coordinator, &name, terms, &stop, tell).await
        });
        self.0.tasks.spawn(async move {
            let wrap = |told| match told {
                FollowStep::Event(event) => Some(DrainStep::Event(event).into()),
                FollowStep::Placed(_) => None,
            };
            let ended = follow.until(joined(work), interrupt, out.clone(), wrap).await;
            drop(out.send(ended.map(|word| DrainStep::Ended(word).into())).await);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }
}

impl HostsService {
    /// Runs an edit to its end, although the client may go away: half of one is of use to nobody.
    async fn whole<T: Send + 'static>(
        &self,
        edit: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Status> {
        joined(self.0.tasks.spawn(edit)).await
    }

    async fn usage(&self) -> Result<BTreeMap<HostId, Usage>, Fault> {
        Ok(self.0.store.read().await?.hosts().usage().await?)
    }
}

/// Whether an endpoint comes with what opens it: the keys and the agent of who runs the server are not for others.
fn own_key(is_here: bool, endpoint: Option<&String>, has_key: bool) -> Result<(), Fault> {
    match is_here || has_key || !endpoint.is_some_and(|endpoint| endpoint.starts_with("ssh://")) {
        true => Ok(()),
        false => {
            Err(FieldError::new("ssh", "must have a key of its own, by --ssh-key, from elsewhere").into())
        }
    }
}

fn edit(r: v1::UpdateHostRequest, now: Timestamp) -> Result<HostEdit, Fault> {
    let mut labels = Vec::new();
    for (key, value) in &r.labels {
        let value = if value.is_empty() { None } else { Some(field("labels", value)?) };
        labels.push((field("labels", key)?, value));
    }
    let credential = match (r.tls, r.ssh) {
        (None, None) => None,
        (Some(tls), None) => Some(Credential::Tls(TlsMaterial::from_pem(tls.ca, tls.cert, tls.key, now)?)),
        (None, Some(ssh)) => Some(Credential::Ssh(SshMaterial::new(&ssh.private_key, ssh.known_hosts)?)),
        (Some(_), Some(_)) => return Err(FieldError::new("ssh", "does not go with TLS material").into()),
    };
    let at_least = |name, value: Option<u32>| match value {
        Some(0) => Err(FieldError::new(name, "must be more than 0")),
        other => Ok(other),
    };
    Ok(HostEdit {
        endpoint: r.endpoint.map(|e| e.parse()).transpose()?,
        credential,
        labels,
        cpus: r.cpu_milli.map(MilliCpu),
        memory: r.memory_bytes.map(Bytes),
        overcommit_cpu_milli: at_least("overcommit cpu", r.overcommit_cpu_milli)?,
        overcommit_memory_milli: at_least("overcommit memory", r.overcommit_memory_milli)?,
        underlay: r.underlay.map(|u| field("underlay", &u)).transpose()?,
        mtu: r.mtu_bytes.map(mtu).transpose()?,
        privileged_nodes: r
            .privileged_nodes
            .map(|word| PrivilegedNodes::read("privileged nodes", word))
            .transpose()?,
    })
}

/// 0 is back to the interface's.
fn mtu(bytes: u32) -> Result<MtuSetting, FieldError> {
    match bytes {
        0 => Ok(MtuSetting::Auto),
        bytes => HostMtu::try_from(u64::from(bytes))
            .map(MtuSetting::Bytes)
            .map_err(|reason| FieldError::new("mtu", reason)),
    }
}
