//! The service for clusters.

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, Stream, StreamExt, stream};
use shoal_api::{Begun, CreateStep, DeleteStep, hinted};
use shoal_proto::{FieldError, Word, v1};
use shoal_storage::{EventFilter, StoreError};
use shoal_types::{
    ClusterName, ClusterSpec, CopyPeriod, Event, EventKind, HealAfter, HealingChange, HealingPolicy,
    RealmName, SchedulerName, Ttl,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    drive::{healing::set_healing, lifecycle, ttl::set_ttl},
    edit::{
        admission::CreateTerms,
        placing::answer::{explain_placement, planned},
    },
    fleet::coordinator::Coordinator,
    observe::follow::{Follow, FollowStep},
    server::{
        attach::attach,
        creates::{Creates, Running},
        field,
        follow::joined,
        listing,
        who::Who,
    },
    words::fault::{Fault, HostFault},
};

/// Messages that wait for a slow reader.
const QUEUE: usize = 256;
/// What `0` means in `wait_ms`: no limit that anyone meets.
pub(super) const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Clusters deleted at once: their hosts bound what each of them costs.
const DELETED_AT_ONCE: usize = 8;
/// Longest that an answer of events is waited for; whoever waits asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Events read at once.
const PAGE: u32 = 1000;

/// Clusters, and the creates that were begun here.
#[derive(Debug)]
pub(crate) struct ClustersService(Arc<Coordinator>, Creates);

impl ClustersService {
    pub(crate) fn new(coordinator: Arc<Coordinator>) -> Self {
        Self(coordinator, Creates::default())
    }
}

type Steps<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl v1::clusters_server::Clusters for ClustersService {
    async fn plan_cluster(
        &self,
        request: Request<v1::PlanClusterRequest>,
    ) -> Result<Response<v1::PlanClusterResponse>, Status> {
        let who = Who::of(&request);
        let spec = spec(request.into_inner().spec)?;
        self.may_place(&who, &spec)?;
        self.has_hosts(&who).await?;
        let dry_run = lifecycle::dry_run(&self.0, &spec).await?;
        Ok(Response::new(planned(&spec, &dry_run).into()))
    }

    async fn explain_placement(
        &self,
        request: Request<v1::ExplainPlacementRequest>,
    ) -> Result<Response<v1::ExplainPlacementResponse>, Status> {
        let r = request.into_inner();
        let (realm, cluster) = names(&r.realm, &r.cluster)?;
        let node = field("node", &r.node).map_err(Fault::from)?;
        Ok(Response::new(explain_placement(&self.0, &realm, &cluster, &node).await?.into()))
    }

    async fn create_cluster(
        &self,
        request: Request<v1::CreateClusterRequest>,
    ) -> Result<Response<v1::CreateClusterResponse>, Status> {
        let who = Who::of(&request);
        let r = request.into_inner();
        let spec = spec(r.spec)?;
        self.may_place(&who, &spec)?;
        self.has_hosts(&who).await?;
        let wait = if r.wait_ms == 0 { FOR_EVER } else { Duration::from_millis(r.wait_ms) };
        let terms = CreateTerms { wait, keep_on_failure: r.keep_on_failure };
        let (realm, name) = (spec.realm.clone(), spec.name.clone());
        let latest = async { self.0.store.read().await?.events().latest_seq().await };
        let after_seq = latest.await.map_err(Fault::from)?;
        let interrupt = self.0.interrupt();
        let admitted = CancellationToken::new();
        // Nobody knows of it before the answer: a caller that goes away until then takes it along.
        let (undo, stop_too) = interrupt.ask_on_drop();
        let (coordinator, stop, at) = (self.0.clone(), interrupt.clone(), admitted.clone());
        let work = async move { Box::pin(lifecycle::create(&coordinator, spec, terms, stop, at)).await };
        let running = self.1.begin((&self.0.holder.id, realm.clone()), &self.0.tasks, interrupt, work);
        tokio::select! {
            biased;
            () = admitted.cancelled() => {}
            ended = running.ended() => ended?,
        }
        // None while its image is on the way.
        let cluster = lifecycle::find_cluster(&self.0, &realm, &name).await.ok();
        let cluster = cluster.map(|cluster| cluster.id.to_string());
        let begun = Begun { create: running.name().to_owned(), after_seq, cluster };
        undo.disarm();
        stop_too.disarm();
        Ok(Response::new(begun.into()))
    }

    async fn interrupt_create(
        &self,
        request: Request<v1::InterruptCreateRequest>,
    ) -> Result<Response<v1::InterruptCreateResponse>, Status> {
        let r = request.into_inner();
        let realm = field("realm", &r.realm).map_err(Fault::from)?;
        // One that is not known any more has ended.
        if let Some(running) = self.1.find(&realm, &r.create) {
            running.interrupt();
        }
        Ok(Response::new(v1::InterruptCreateResponse {}))
    }

    type FollowClusterStream = Steps<v1::FollowClusterResponse>;

    async fn follow_cluster(
        &self,
        request: Request<v1::FollowClusterRequest>,
    ) -> Result<Response<Self::FollowClusterStream>, Status> {
        let r = request.into_inner();
        let (realm, name) = names(&r.realm, &r.name)?;
        let (out, steps) = mpsc::channel(QUEUE);
        let coordinator = self.0.clone();
        if let Some(running) = self.1.find(&realm, &r.create) {
            self.0.tasks.spawn(own(coordinator, (realm, name), running, r.after_seq, out));
            return Ok(Response::new(Box::pin(ReceiverStream::new(steps))));
        }
        lifecycle::find_cluster(&self.0, &realm, &name).await?;
        self.0.tasks.spawn(async move {
            if let Err(fault) = attach(&coordinator, &realm, &name, &out).await {
                drop(out.send(Err(fault.into())).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }

    async fn update_cluster(
        &self,
        request: Request<v1::UpdateClusterRequest>,
    ) -> Result<Response<v1::UpdateClusterResponse>, Status> {
        let r = request.into_inner();
        let (realm, name) = names(&r.realm, &r.name)?;
        let ttl = r.ttl_ms.map(|ms| match ms {
            0 => Ok(None),
            ms => Ttl::try_from(ms).map(Some).map_err(|reason| FieldError::new("ttl_ms", reason)),
        });
        let ttl = ttl.transpose().map_err(Fault::from)?;
        set_healing(&self.0, &realm, &name, healing_change(&r).map_err(Fault::from)?).await?;
        if let Some(ttl) = ttl {
            set_ttl(&self.0, &realm, &name, ttl).await?;
        }
        let cluster = listing::shown_cluster(&self.0, &realm, &name).await?;
        Ok(Response::new(v1::UpdateClusterResponse { cluster: Some(cluster.into()) }))
    }

    type DeleteClusterStream = Steps<v1::DeleteClusterResponse>;

    async fn delete_cluster(
        &self,
        request: Request<v1::DeleteClusterRequest>,
    ) -> Result<Response<Self::DeleteClusterStream>, Status> {
        let r = request.into_inner();
        let realm: RealmName = field("realm", &r.realm).map_err(Fault::from)?;
        let mut names: Vec<ClusterName> = if r.all {
            let all = self.0.store.read().await.map_err(Fault::from)?.clusters().in_realm(&realm).await;
            all.map_err(Fault::from)?.into_iter().map(|c| c.spec.name).collect()
        } else {
            r.names.iter().map(|n| field("name", n)).collect::<Result<_, _>>().map_err(Fault::from)?
        };
        names.sort();
        names.dedup();
        for name in &names {
            lifecycle::find_cluster(&self.0, &realm, name).await?;
        }
        let (out, steps) = mpsc::channel(QUEUE);
        let coordinator = self.0.clone();
        self.0.tasks.spawn(async move {
            let finished =
                lifecycle::finish_interrupted(&coordinator, &realm, &names, &coordinator.interrupt()).await;
            let failed = finished.err().map(Status::from);
            let deletes: Vec<_> =
                names.iter().map(|name| delete_next(&coordinator, &realm, name, &out).boxed()).collect();
            let mut deletes = stream::iter(deletes).buffer_unordered(DELETED_AT_ONCE);
            let mut refused = BTreeMap::new();
            while let Some((name, outcome)) = deletes.next().await {
                if let Err(status) = outcome {
                    refused.insert(name, status);
                }
            }
            drop(deletes);
            // The same one whichever ended first.
            if let Some(status) = failed.or_else(|| refused.into_values().next()) {
                drop(out.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }

    async fn list_clusters(
        &self,
        request: Request<v1::ListClustersRequest>,
    ) -> Result<Response<v1::ListClustersResponse>, Status> {
        let realm = field("realm", &request.into_inner().realm).map_err(Fault::from)?;
        let clusters = listing::shown_clusters(&self.0, &realm).await?;
        let clusters = clusters.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ListClustersResponse { clusters }))
    }

    async fn get_cluster(
        &self,
        request: Request<v1::GetClusterRequest>,
    ) -> Result<Response<v1::GetClusterResponse>, Status> {
        let r = request.into_inner();
        let (realm, name) = names(&r.realm, &r.name)?;
        let cluster = listing::shown_cluster(&self.0, &realm, &name).await?;
        Ok(Response::new(v1::GetClusterResponse { cluster: Some(cluster.into()) }))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let r = request.into_inner();
        let nodes: Vec<_> = if r.cluster.is_empty() {
            let realm = field("realm", &r.realm).map_err(Fault::from)?;
            listing::shown_clusters(&self.0, &realm).await?.into_iter().flat_map(|c| c.nodes).collect()
        } else {
            let (realm, name) = names(&r.realm, &r.cluster)?;
            listing::shown_cluster(&self.0, &realm, &name).await?.nodes
        };
        Ok(Response::new(v1::ListNodesResponse { nodes: nodes.into_iter().map(Into::into).collect() }))
    }

    async fn list_names(
        &self,
        request: Request<v1::ListNamesRequest>,
    ) -> Result<Response<v1::ListNamesResponse>, Status> {
        let realm = field("realm", &request.into_inner().realm).map_err(Fault::from)?;
        Ok(Response::new(listing::names(&self.0, &realm).await?.into()))
    }

    async fn list_networks(
        &self,
        request: Request<v1::ListClusterNetworksRequest>,
    ) -> Result<Response<v1::ListClusterNetworksResponse>, Status> {
        let realm = field("realm", &request.into_inner().realm).map_err(Fault::from)?;
        let clusters = listing::shown_clusters(&self.0, &realm).await?;
        let networks = clusters.into_iter().filter_map(|c| Some(c.network?.into())).collect();
        Ok(Response::new(v1::ListClusterNetworksResponse { networks }))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let is_admin = Who::of(&request).is_admin();
        let r = request.into_inner();
        let cluster =
            (!r.cluster.is_empty()).then(|| field("cluster", &r.cluster)).transpose().map_err(Fault::from)?;
        let realm: RealmName = field("realm", &r.realm).map_err(Fault::from)?;
        let mut committed = self.0.store.committed_events();
        let until = tokio::time::Instant::now() + Duration::from_millis(r.wait_ms).min(LONGEST_WAIT);
        loop {
            let events =
                self.events((&realm, is_admin), cluster.as_ref(), r.after_seq).await.map_err(Fault::from)?;
            if !events.is_empty() || tokio::time::timeout_at(until, committed.changed()).await.is_err() {
                return Ok(Response::new(v1::ListEventsResponse { events }));
            }
        }
    }
}

impl ClustersService {
    /// Whether a program may place this cluster: the server dials it, so from elsewhere only one that its operator names.
    fn may_place(&self, who: &Who, spec: &ClusterSpec) -> Result<(), Status> {
        let SchedulerName::Program(address) = &spec.scheduler else { return Ok(()) };
        if who.is_here() || self.0.serves.schedulers.contains(address) {
            return Ok(());
        }
        let status = Status::permission_denied(format!("the server places by no program at {address}"));
        Err(hinted(status, "name a strategy, or have the server started with `--scheduler-program ADDRESS`"))
    }

    /// Whether there is a host: this machine's engine becomes one for its own user, and for nobody else.
    async fn has_hosts(&self, who: &Who) -> Result<(), Fault> {
        match who.is_here() || !self.0.store.read().await?.hosts().list().await?.is_empty() {
            true => Ok(()),
            false => Err(HostFault::NoneRegistered.into()),
        }
    }

    /// Every event after a position: of one cluster, or of the realm's clusters and of hosts.
    async fn events(
        &self,
        (realm, is_admin): (&RealmName, bool),
        cluster: Option<&ClusterName>,
        after: u64,
    ) -> Result<Vec<v1::Event>, StoreError> {
        let of_realm = cluster.map(|_| realm.clone());
        let mut filter = EventFilter { realm: of_realm, cluster: cluster.cloned(), after, limit: PAGE };
        let mut events = Vec::new();
        loop {
            let page = self.0.store.read().await?.events().list(&filter).await?;
            // What is noted of no cluster may name those of other realms.
            let of_all = |e: &Event| is_admin || e.event.kind != EventKind::Audit;
            let ours = |e: &&Event| e.event.cluster.as_ref().map_or(of_all(e), |(of, _)| of == realm);
            events.extend(page.iter().filter(ours).map(v1::Event::from));
            match page.last() {
                Some(last) if page.len() == PAGE as usize => filter.after = last.seq,
                Some(_) | None => return Ok(events),
            }
        }
    }
}

/// Tells of a create that was begun here, until it ends or nobody listens.
async fn own(
    coordinator: Arc<Coordinator>,
    (realm, name): (RealmName, ClusterName),
    running: Arc<Running>,
    after: u64,
    out: mpsc::Sender<Result<v1::FollowClusterResponse, Status>>,
) {
    let wrap = |told| Some(CreateStep::from(told).into());
    let follow = Follow::after(coordinator.clone(), realm.clone(), name.clone(), after);
    // Who stops listening stops nothing else.
    let ended = tokio::select! {
        ended = follow.until(running.ended(), CancellationToken::new(), out.clone(), wrap) => ended,
        () = out.closed() => return,
    };
    let last = match ended {
        Ok(()) => listing::shown_cluster(&coordinator, &realm, &name).await.map_err(Status::from),
        Err(status) => Err(status),
    };
    drop(out.send(last.map(|cluster| CreateStep::Ready(Box::new(cluster)).into())).await);
}

/// Deletes one of several; a coordinator that is to stop begins no further delete.
async fn delete_next<'a>(
    coordinator: &Arc<Coordinator>,
    realm: &RealmName,
    name: &'a ClusterName,
    out: &mpsc::Sender<Result<v1::DeleteClusterResponse, Status>>,
) -> (&'a ClusterName, Result<(), Status>) {
    let outcome = match coordinator.stop.is_cancelled() {
        true => Ok(()),
        false => delete_one(coordinator, realm, name, out).await,
    };
    (name, outcome)
}

async fn delete_one(
    coordinator: &Arc<Coordinator>,
    realm: &RealmName,
    name: &ClusterName,
    out: &mpsc::Sender<Result<v1::DeleteClusterResponse, Status>>,
) -> Result<(), Status> {
    let follow = Follow::from_now(coordinator.clone(), realm.clone(), Some(name.clone()))
        .await
        .map_err(Fault::from)?;
    let (c, r, n) = (coordinator.clone(), realm.clone(), name.clone());
    let work = coordinator.tasks.spawn(async move { lifecycle::delete(&c, &r, &n).await });
    let wrap = |told| Some(DeleteStep::from(told).into());
    if let Some(step) =
        follow.placed().await.map_err(Fault::from)?.and_then(|placed| wrap(FollowStep::Placed(placed)))
    {
        drop(out.send(Ok(step)).await);
    }
    // A delete goes on whoever listens: half of it would be of use to nobody.
    follow.until(joined(work), CancellationToken::new(), out.clone(), wrap).await?;
    drop(out.send(Ok(DeleteStep::Deleted(name.to_string()).into())).await);
    Ok(())
}

fn spec(spec: Option<v1::ClusterSpec>) -> Result<ClusterSpec, Fault> {
    let spec = spec.ok_or_else(|| FieldError::new("spec", "is missing"))?;
    let spec = ClusterSpec::try_from(spec)?;
    let refused = |refused: shoal_slurm::Refusals| FieldError::new("spec.slurm", refused);
    shoal_slurm::check(&spec).map_err(refused)?;
    Ok(spec)
}

fn healing_change(r: &v1::UpdateClusterRequest) -> Result<HealingChange, FieldError> {
    let policy = r.healing_policy.map(|word| HealingPolicy::read("healing_policy", word));
    let after = r.heal_after_ms.map(HealAfter::try_from).transpose();
    let copies = r.copies_ms.map(CopyPeriod::try_from).transpose();
    Ok(HealingChange {
        policy: policy.transpose()?,
        after_ms: after.map_err(|reason| FieldError::new("heal_after_ms", reason))?,
        copies_ms: copies.map_err(|reason| FieldError::new("copies_ms", reason))?,
    })
}

fn names(realm: &str, name: &str) -> Result<(RealmName, ClusterName), Fault> {
    Ok((field("realm", realm)?, field("name", name)?))
}
