//! The service for upkeep: sweeping hosts, finishing what was interrupted, mending what was ready, evening out load, other keys.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, Stream, StreamExt, stream};
use shoal_api::{RebalanceStep, RepairStep, ResumeStep};
use shoal_proto::v1;
use shoal_types::{ClusterName, RealmName};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    drive::{
        lifecycle,
        rebalance::{self, RebalanceTerms},
        repair::{self, RepairTerms},
        rotate::{RotateTerms, rotate_keys},
        sweep::{self, GRACE, SweepTerms, resume},
    },
    fleet::coordinator::Coordinator,
    observe::follow::{Follow, FollowStep},
    pass::work::Behalf,
    server::{clusters::FOR_EVER, field, follow::joined},
    words::fault::Fault,
};

/// Clusters repaired at once: their hosts bound what each of them costs.
const AT_ONCE: usize = 8;
/// Messages that wait for a slow reader.
const QUEUE: usize = 256;

/// Upkeep.
#[derive(Debug)]
pub(crate) struct UpkeepService(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl v1::upkeep_server::Upkeep for UpkeepService {
    async fn sweep(&self, request: Request<v1::SweepRequest>) -> Result<Response<v1::SweepResponse>, Status> {
        let r = request.into_inner();
        let terms = SweepTerms {
            dry_run: r.dry_run,
            grace: r.grace_ms.map_or(GRACE, Duration::from_millis),
            however_much: r.yes_really,
        };
        let coordinator = self.0.clone();
        // To its end, although the client may go away: the store is told of what was removed.
        let sweep = self.0.tasks.spawn(async move { sweep::sweep(&coordinator, terms).await });
        Ok(Response::new(joined(sweep).await?.into()))
    }

    type ResumeStream = Pin<Box<dyn Stream<Item = Result<v1::ResumeResponse, Status>> + Send>>;

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<Self::ResumeStream>, Status> {
        let realm: RealmName = field("realm", &request.into_inner().realm).map_err(Fault::from)?;
        let follow = Follow::from_now(self.0.clone(), realm.clone(), None).await.map_err(Fault::from)?;
        let before = resume::unfinished(&self.0, &realm).await?;
        let (coordinator, of, interrupt) = (self.0.clone(), realm.clone(), self.0.interrupt());
        let work = self
            .0
            .tasks
            .spawn(async move { lifecycle::finish_interrupted(&coordinator, &of, &[], &interrupt).await });
        let (out, steps) = mpsc::channel(QUEUE);
        let coordinator = self.0.clone();
        self.0.tasks.spawn(async move {
            let wrap = |told| match told {
                FollowStep::Event(event) => Some(ResumeStep::Event(event).into()),
                FollowStep::Placed(_) => None,
            };
            // It goes on whoever listens.
            let ended = follow.until(joined(work), CancellationToken::new(), out.clone(), wrap).await;
            for cluster in before {
                let resumed = resume::resumed(&coordinator, cluster).await;
                let resumed = resumed.map(|cluster| ResumeStep::Cluster(cluster).into());
                drop(out.send(resumed.map_err(|error| Fault::from(error).into())).await);
            }
            if let Err(status) = ended {
                drop(out.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }

    type RepairStream = Pin<Box<dyn Stream<Item = Result<v1::RepairResponse, Status>> + Send>>;

    async fn repair(
        &self,
        request: Request<v1::RepairRequest>,
    ) -> Result<Response<Self::RepairStream>, Status> {
        let r = request.into_inner();
        let realm: RealmName = field("realm", &r.realm).map_err(Fault::from)?;
        let names: Vec<ClusterName> =
            r.names.iter().map(|n| field("names", n)).collect::<Result<_, _>>().map_err(Fault::from)?;
        let names = repair::clusters(&self.0, &realm, &names).await?;
        let wait = limit(r.wait_ms);
        let behalf = if r.unattended { Behalf::Upkeep } else { Behalf::Person };
        let terms = RepairTerms { dry_run: r.dry_run, behalf, wait, settle: true };
        let follow = Follow::from_now(self.0.clone(), realm.clone(), None).await.map_err(Fault::from)?;
        let interrupt = self.0.stop.child_token();
        let (out, steps) = mpsc::channel(QUEUE);
        let (coordinator, stop, told) = (self.0.clone(), interrupt.clone(), out.clone());
        let work = self.0.tasks.spawn(async move {
            let each =
                names.iter().map(|name| repair::repair(&coordinator, &realm, name, terms, &stop).boxed());
            let mut each = stream::iter(each.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
            while let Some(cluster) = each.next().await {
                // Who has gone is told nothing.
                drop(told.send(Ok(RepairStep::Cluster(cluster).into())).await);
            }
            Ok(())
        });
        self.relay(follow, work, interrupt, out);
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }

    type RotateKeysStream = Pin<Box<dyn Stream<Item = Result<v1::RotateKeysResponse, Status>> + Send>>;

    async fn rotate_keys(
        &self,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<Self::RotateKeysStream>, Status> {
        let r = request.into_inner();
        let realm: RealmName = field("realm", &r.realm).map_err(Fault::from)?;
        let name: ClusterName = field("cluster", &r.cluster).map_err(Fault::from)?;
        let terms = RotateTerms { now: r.now, wait: limit(r.wait_ms) };
        let of = Some(name.clone());
        let follow = Follow::from_now(self.0.clone(), realm.clone(), of).await.map_err(Fault::from)?;
        let interrupt = self.0.stop.child_token();
        let (out, steps) = mpsc::channel(QUEUE);
        let (coordinator, stop, told) = (self.0.clone(), interrupt.clone(), out.clone());
        let work = self.0.tasks.spawn(async move {
            let cluster = rotate_keys(&coordinator, &realm, &name, terms, &stop).await?;
            // Who has gone is told nothing.
            drop(told.send(Ok(RepairStep::Cluster(cluster).into())).await);
            Ok(())
        });
        self.relay(follow, work, interrupt, out);
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }

    type RebalanceStream = Pin<Box<dyn Stream<Item = Result<v1::RebalanceResponse, Status>> + Send>>;

    async fn rebalance(
        &self,
        request: Request<v1::RebalanceRequest>,
    ) -> Result<Response<Self::RebalanceStream>, Status> {
        let r = request.into_inner();
        let realm: RealmName = field("realm", &r.realm).map_err(Fault::from)?;
        let names: Vec<ClusterName> =
            r.names.iter().map(|n| field("names", n)).collect::<Result<_, _>>().map_err(Fault::from)?;
        let names = repair::clusters(&self.0, &realm, &names).await?;
        let most =
            if r.max_moves == 0 { usize::MAX } else { usize::try_from(r.max_moves).unwrap_or(usize::MAX) };
        let terms = RebalanceTerms { dry_run: r.dry_run, most };
        let follow = Follow::from_now(self.0.clone(), realm.clone(), None).await.map_err(Fault::from)?;
        let interrupt = self.0.stop.child_token();
        let (out, steps) = mpsc::channel(QUEUE);
        let (coordinator, stop, told) = (self.0.clone(), interrupt.clone(), out.clone());
        let work = self.0.tasks.spawn(async move {
            let tell = |step: RebalanceStep| {
                let told = told.clone();
                // Who has gone is told nothing.
                async move { drop(told.send(Ok(step.into())).await) }.boxed()
            };
            rebalance::rebalance(&coordinator, &realm, &names, terms, &stop, tell).await
        });
        self.0.tasks.spawn(async move {
            let wrap = |told| match told {
                FollowStep::Event(event) => Some(RebalanceStep::Event(event).into()),
                FollowStep::Placed(_) => None,
            };
            if let Err(status) = follow.until(joined(work), interrupt, out.clone(), wrap).await {
                drop(out.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(steps))))
    }
}

impl UpkeepService {
    /// Tells what happens until the work has ended. Who stops listening ends it.
    fn relay<M>(
        &self,
        follow: Follow,
        work: JoinHandle<Result<(), Fault>>,
        interrupt: CancellationToken,
        out: mpsc::Sender<Result<M, Status>>,
    ) where
        M: From<RepairStep> + Send + 'static,
    {
        self.0.tasks.spawn(async move {
            let wrap = |told| match told {
                FollowStep::Event(event) => Some(RepairStep::Event(event).into()),
                FollowStep::Placed(_) => None,
            };
            if let Err(status) = follow.until(joined(work), interrupt, out.clone(), wrap).await {
                drop(out.send(Err(status)).await);
            }
        });
    }
}

/// How long something may take that is given in milliseconds; 0: for ever.
fn limit(wait_ms: u64) -> Duration {
    if wait_ms == 0 { FOR_EVER } else { Duration::from_millis(wait_ms) }
}
