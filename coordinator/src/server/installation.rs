//! The service for what holds for the whole installation.

use std::sync::Arc;

use shoal_api::{Installation, Server};
use shoal_proto::{FieldError, v1};
use shoal_types::Pools;
use tonic::{Request, Response, Status};

use crate::{fleet::coordinator::Coordinator, server::who::Who, words::fault::Fault};

/// The installation.
#[derive(Debug)]
pub(crate) struct InstallationService(pub(crate) Arc<Coordinator>);

impl InstallationService {
    fn told(&self, pools: &Pools) -> Installation {
        Installation {
            id: self.0.store.installation().to_string(),
            pools: pools.ranges().iter().map(ToString::to_string).collect(),
        }
    }
}

#[tonic::async_trait]
impl v1::installation_server::Installation for InstallationService {
    async fn get_installation(
        &self,
        _: Request<v1::GetInstallationRequest>,
    ) -> Result<Response<v1::GetInstallationResponse>, Status> {
        let pools = async { self.0.store.read().await?.pools().await };
        let told = self.told(&pools.await.map_err(Fault::from)?);
        Ok(Response::new(v1::GetInstallationResponse { installation: Some(told.into()) }))
    }

    async fn get_server(
        &self,
        request: Request<v1::GetServerRequest>,
    ) -> Result<Response<v1::GetServerResponse>, Status> {
        let is_here = Who::of(&request).is_here();
        let told = Server {
            version: env!("CARGO_PKG_VERSION").into(),
            installation: self.0.store.installation().to_string(),
            // Of no use to who is elsewhere.
            store: if is_here { self.0.serves.store.clone() } else { String::new() },
            pid: std::process::id(),
            addresses: self.0.serves.addresses.clone(),
        };
        Ok(Response::new(told.into()))
    }

    async fn set_pools(
        &self,
        request: Request<v1::SetPoolsRequest>,
    ) -> Result<Response<v1::SetPoolsResponse>, Status> {
        let given = request.into_inner().pools;
        let pools = match given.is_empty() {
            true => None,
            false => {
                let read = given.join(",").parse::<Pools>();
                Some(read.map_err(|error| Fault::from(FieldError::new("pools", error)))?)
            }
        };
        let written = async {
            let mut tx = self.0.store.begin().await?;
            tx.set_pools(pools.as_ref()).await?;
            tx.commit().await
        };
        written.await.map_err(Fault::from)?;
        let told = self.told(&pools.unwrap_or_default());
        Ok(Response::new(v1::SetPoolsResponse { installation: Some(told.into()) }))
    }
}
