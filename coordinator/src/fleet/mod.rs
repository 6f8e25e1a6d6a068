//! The hosts as this process reaches them: one link per host, made when it is first needed and kept while its settings
//! stay the same; and what is done to an engine whatever it is for. Uses `words/`.

mod agent;
mod binary;
pub(crate) mod coordinator;
pub(crate) mod lease;
pub(crate) mod lifeline;
mod link;
pub(crate) mod liveness;
pub(crate) mod removal;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use shoal_docker::{Endpoint, Engine, EngineError, Timeouts, TlsMaterial};
use shoal_storage::{Host, SecretKind, Store};
use shoal_types::{HostId, SecretId, Timestamp};

use crate::{
    fleet::agent::Seat,
    words::{fault::Fault, naming::Naming},
};

pub(crate) use self::{binary::Binaries, link::HostLink};

/// How an engine is connected to: the real one, or one a test provides.
#[async_trait]
pub trait Connect: Send + Sync + fmt::Debug {
    /// Connects to the engine at `endpoint`.
    ///
    /// # Errors
    /// As [`shoal_docker::connect`].
    async fn connect(
        &self,
        endpoint: &Endpoint,
        tls: Option<&TlsMaterial>,
    ) -> Result<Arc<dyn Engine>, EngineError>;

    /// Until when the certificate is valid that the engine shows; `None` if it shows none.
    ///
    /// # Errors
    /// As [`shoal_docker::server_expiry`].
    async fn server_expiry(
        &self,
        endpoint: &Endpoint,
        tls: Option<&TlsMaterial>,
    ) -> Result<Option<Timestamp>, EngineError>;
}

/// Connects to real engines.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealEngines;

#[async_trait]
impl Connect for RealEngines {
    async fn connect(
        &self,
        endpoint: &Endpoint,
        tls: Option<&TlsMaterial>,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        shoal_docker::connect(endpoint, tls, Timeouts::default()).await
    }

    async fn server_expiry(
        &self,
        endpoint: &Endpoint,
        tls: Option<&TlsMaterial>,
    ) -> Result<Option<Timestamp>, EngineError> {
        shoal_docker::server_expiry(endpoint, tls, Timeouts::default()).await
    }
}

/// What a link was made of: another endpoint or credential needs another link.
type Made = (String, Option<SecretId>);

/// All links.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) binaries: Arc<Binaries>,
    naming: Naming,
    links: Mutex<HashMap<HostId, (Made, Arc<HostLink>)>>,
}

impl Fleet {
    pub(crate) fn new(naming: Naming, connect: Arc<dyn Connect>, binaries: Binaries) -> Self {
        Self { connect, binaries: Arc::new(binaries), naming, links: Mutex::default() }
    }

    /// The link to a host, connected.
    pub(crate) async fn link(&self, store: &Store, host: &Host) -> Result<Arc<HostLink>, Fault> {
        let made = (host.settings.endpoint.clone(), host.settings.tls);
        if let Some(link) = self.kept(host.id, &made) {
            return Ok(link);
        }
        let endpoint: Endpoint = host.settings.endpoint.parse()?;
        let tls = match host.settings.tls {
            None => None,
            Some(secret) => Some(self.material(store, host, secret).await?),
        };
        let engine = self.connect.connect(&endpoint, tls.as_ref()).await;
        let engine = engine.map_err(Fault::engine(&host.name))?;
        let link = Arc::new(self.fresh(host, engine));
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.insert(host.id, (made, link.clone()));
        Ok(link)
    }

    /// A link over an engine that is connected already.
    fn fresh(&self, host: &Host, engine: Arc<dyn Engine>) -> HostLink {
        let seat = Seat {
            host: host.name.clone(),
            engine,
            naming: self.naming.clone(),
            binaries: self.binaries.clone(),
            architecture: host.engine.architecture.clone(),
        };
        HostLink::new(host.id, host.engine.cpus, seat)
    }

    fn kept(&self, id: HostId, made: &Made) -> Option<Arc<HostLink>> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.get(&id).filter(|(kept, _)| kept == made).map(|(_, link)| link.clone())
    }

    /// The credentials of a host, unsealed.
    pub(crate) async fn material(
        &self,
        store: &Store,
        host: &Host,
        secret: SecretId,
    ) -> Result<TlsMaterial, Fault> {
        let mut read = store.read().await?;
        let sealed = read.secrets().open(secret, SecretKind::DockerTls).await?;
        let corrupt = || shoal_storage::StoreError::Corrupt {
            table: "secrets",
            column: "sealed",
            id: secret.to_string(),
        };
        let missing =
            || shoal_storage::StoreError::Missing { what: "TLS secret of host", id: host.name.to_string() };
        let json = sealed.ok_or_else(missing)?;
        Ok(serde_json::from_slice(&json).map_err(|_| corrupt())?)
    }
}
