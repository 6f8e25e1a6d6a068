//! The service for registries' credentials: they come in, are sealed, and never go out but to engines.

use std::sync::Arc;

use shoal_api::{Registry, Time};
use shoal_proto::{FieldError, v1};
use shoal_storage::RegistryCredentials;
use shoal_types::{ImageRef, LabelExpr};
use tonic::{Request, Response, Status};

use crate::{
    fleet::coordinator::Coordinator,
    words::fault::{Fault, ImageFault},
};

/// Longest address, name or password: what a header of an engine's API takes with room to spare.
const LONGEST: usize = 4096;

/// Registries.
#[derive(Debug)]
pub(crate) struct RegistriesService(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl v1::registries_server::Registries for RegistriesService {
    async fn set_registry(
        &self,
        request: Request<v1::SetRegistryRequest>,
    ) -> Result<Response<v1::SetRegistryResponse>, Status> {
        let r = request.into_inner();
        let password = zeroize::Zeroizing::new(r.password);
        address(&r.registry).map_err(Fault::from)?;
        said("username", &r.username).map_err(Fault::from)?;
        said("password", &password).map_err(Fault::from)?;
        let hosts = r.hosts.as_deref().map(expression).transpose().map_err(Fault::from)?;
        let now = self.0.now();
        let mut credentials = RegistryCredentials {
            username: r.username,
            password: zeroize::Zeroizing::new(password.as_bytes().to_vec()),
            hosts: None,
        };
        let written = async {
            let mut tx = self.0.store.begin().await?;
            let before = tx.registries().get(&r.registry).await?.and_then(|before| before.hosts);
            // A new password goes to no other hosts than the old one did.
            credentials.hosts = hosts.unwrap_or(before);
            let rng = &mut *self.0.rng();
            tx.registries().set(&r.registry, &credentials, now, rng).await?;
            tx.commit().await
        };
        written.await.map_err(Fault::from)?;
        let RegistryCredentials { username, hosts, .. } = credentials;
        let hosts = hosts.map(|hosts| hosts.to_string());
        let registry = Registry { registry: r.registry, username, hosts, updated: Time::known(now) };
        Ok(Response::new(v1::SetRegistryResponse { registry: Some(registry.into()) }))
    }

    async fn remove_registry(
        &self,
        request: Request<v1::RemoveRegistryRequest>,
    ) -> Result<Response<v1::RemoveRegistryResponse>, Status> {
        let registry = request.into_inner().registry;
        let removed = async {
            let mut tx = self.0.store.begin().await?;
            let removed = tx.registries().remove(&registry).await?;
            tx.commit().await?;
            Ok::<_, Fault>(removed)
        };
        match removed.await? {
            true => Ok(Response::new(v1::RemoveRegistryResponse {})),
            false => Err(Fault::Image(ImageFault::NoCredentials { registry }).into()),
        }
    }

    async fn list_registries(
        &self,
        _: Request<v1::ListRegistriesRequest>,
    ) -> Result<Response<v1::ListRegistriesResponse>, Status> {
        let listed = async { self.0.store.read().await?.registries().list().await };
        let shown = |r: shoal_storage::Registry| {
            let updated = Time::known(r.updated);
            let hosts = r.hosts.map(|hosts| hosts.to_string());
            Registry { registry: r.registry, username: r.username, hosts, updated }.into()
        };
        let registries = listed.await.map_err(Fault::from)?.into_iter().map(shown).collect();
        Ok(Response::new(v1::ListRegistriesResponse { registries }))
    }
}

fn address(text: &str) -> Result<(), FieldError> {
    if ImageRef::is_registry(text) {
        return Ok(());
    }
    Err(FieldError::new(
        "registry",
        "is not the address of a registry: HOST or HOST:PORT in lower case, as image references name it, such as registry.example:5000 or docker.io",
    ))
}

/// Empty: every host.
fn expression(text: &str) -> Result<Option<LabelExpr>, FieldError> {
    match text.is_empty() {
        true => Ok(None),
        false => text.parse().map(Some).map_err(|reason| FieldError::new("hosts", reason)),
    }
}

/// What a registry is told: on one line, and not nothing.
fn said(name: &'static str, text: &str) -> Result<(), FieldError> {
    match text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        true => Err(FieldError::new(name, "must be one line of text, not empty")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_one_line() {
        for bad in ["", "a\nb", "a\u{0}"] {
            assert!(said("password", bad).is_err());
        }
        assert!(said("password", "pa ss:wörd").is_ok());
    }
}
