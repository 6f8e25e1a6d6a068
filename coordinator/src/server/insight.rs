//! The service that says why: how a cluster is, and what is wrong with hosts.

use std::sync::Arc;

use shoal_api::millis;
use shoal_proto::v1;
use shoal_types::{ClusterName, HostName, RealmName};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::{
    drive::{doctor, lifecycle},
    fleet::coordinator::Coordinator,
    observe::{cluster::observe_cluster, status::status},
    server::field,
    words::fault::Fault,
};

/// Status of clusters, examination of hosts.
#[derive(Debug)]
pub(crate) struct InsightService(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl v1::insight_server::Insight for InsightService {
    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let began = Instant::now();
        let r = request.into_inner();
        let realm: RealmName = field("realm", &r.realm).map_err(Fault::from)?;
        let name: ClusterName = field("cluster", &r.cluster).map_err(Fault::from)?;
        let cluster = lifecycle::find_cluster(&self.0, &realm, &name).await?;
        let (rows, seen) = observe_cluster(&self.0, cluster).await.map_err(Fault::from)?;
        let status = status(&rows, &seen, self.0.now());
        let status = shoal_api::Status { elapsed_ms: millis(began.elapsed()), ..status };
        Ok(Response::new(status.into()))
    }

    async fn examine_hosts(
        &self,
        request: Request<v1::ExamineHostsRequest>,
    ) -> Result<Response<v1::ExamineHostsResponse>, Status> {
        let r = request.into_inner();
        let names: Result<Vec<HostName>, _> = r.hosts.iter().map(|name| field("host", name)).collect();
        let names = names.map_err(Fault::from)?;
        let image = Some(r.image.as_str()).filter(|image| !image.is_empty());
        Ok(Response::new(doctor::examine(&self.0, &names, image).await?.into()))
    }
}
