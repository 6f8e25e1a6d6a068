//! The hosts as this process reaches them: one link per host, made when it is first needed and kept while its settings
//! stay the same; and what is done to an engine whatever it is for. Uses `words/`.

pub(crate) mod agent;
mod binary;
pub(crate) mod coordinator;
pub(crate) mod interrupt;
pub(crate) mod lease;
pub(crate) mod lifeline;
mod link;
pub(crate) mod liveness;
pub(crate) mod removal;

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use shoal_docker::{Credential, Endpoint, Engine, EngineError, Timeouts};
use shoal_storage::{Host, SecretKind, Store};
use shoal_types::{HostId, SecretId, Timestamp};
use tokio::time::Instant;

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
        credential: Option<&Credential>,
    ) -> Result<Arc<dyn Engine>, EngineError>;

    /// Until when the certificate is valid that the engine shows; `None` if it shows none.
    ///
    /// # Errors
    /// As [`shoal_docker::server_expiry`].
    async fn server_expiry(
        &self,
        endpoint: &Endpoint,
        credential: Option<&Credential>,
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
        credential: Option<&Credential>,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        shoal_docker::connect(endpoint, credential, Timeouts::default()).await
    }

    async fn server_expiry(
        &self,
        endpoint: &Endpoint,
        credential: Option<&Credential>,
    ) -> Result<Option<Timestamp>, EngineError> {
        shoal_docker::server_expiry(endpoint, credential, Timeouts::default()).await
    }
}

/// How long a host that did not answer a connect is not dialled again: the stages of one command follow each other at once,
/// and each would wait for its whole time limit. Shorter than any patience with a host.
const SILENCE: Duration = Duration::from_secs(3);

/// A connect that failed sooner cost no time worth remembering.
const NOTED: Duration = Duration::from_secs(1);

/// What a link was made of: another endpoint or credential needs another link.
type Made = (String, Option<SecretId>);

/// All links.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) binaries: Arc<Binaries>,
    naming: Naming,
    links: Mutex<HashMap<HostId, (Made, Arc<HostLink>)>>,
    silences: Mutex<HashMap<HostId, Silence>>,
}

/// A connect that was not answered.
#[derive(Debug)]
struct Silence {
    made: Made,
    /// When the connect was given up.
    since: Instant,
    /// What the system said.
    kind: io::ErrorKind,
    text: String,
}

impl Fleet {
    pub(crate) fn new(naming: Naming, connect: Arc<dyn Connect>, binaries: Binaries) -> Self {
        Self {
            connect,
            binaries: Arc::new(binaries),
            naming,
            links: Mutex::default(),
            silences: Mutex::default(),
        }
    }

    /// The link to a host, connected.
    ///
    /// # Errors
    /// As [`Connect::connect`].
    pub(crate) async fn link(&self, store: &Store, host: &Host) -> Result<Arc<HostLink>, Fault> {
        let made = (host.settings.endpoint.clone(), host.settings.credential);
        if let Some(link) = self.kept(host.id, &made) {
            return Ok(link);
        }
        let endpoint: Endpoint = host.settings.endpoint.parse()?;
        let credential = match host.settings.credential {
            None => None,
            Some(secret) => Some(self.credential(store, host, secret).await?),
        };
        let engine = self.connect_once(host.id, &made, &endpoint, credential.as_ref()).await;
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

    /// Connects, unless the host did not answer a connect just now: then its error is given once more.
    async fn connect_once(
        &self,
        id: HostId,
        made: &Made,
        endpoint: &Endpoint,
        credential: Option<&Credential>,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        if let Some(source) = self.silence(id, made) {
            return Err(EngineError::Unreachable { endpoint: endpoint.clone(), source });
        }
        let began = Instant::now();
        let connected = self.connect.connect(endpoint, credential).await;
        if let Err(EngineError::Unreachable { source, .. }) = &connected
            && began.elapsed() >= NOTED
        {
            let (kind, text) = (source.kind(), source.to_string());
            let silence = Silence { made: made.clone(), since: Instant::now(), kind, text };
            self.silences.lock().unwrap_or_else(PoisonError::into_inner).insert(id, silence);
        }
        connected
    }

    /// What a connect met that was given up less than [`SILENCE`] ago.
    fn silence(&self, id: HostId, made: &Made) -> Option<io::Error> {
        let silences = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = silences.get(&id).filter(|silence| silence.made == *made)?;
        (silence.since.elapsed() < SILENCE).then(|| io::Error::new(silence.kind, silence.text.clone()))
    }

    /// The link to a host, if there is one already.
    pub(crate) fn present(&self, id: HostId) -> Option<Arc<HostLink>> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.get(&id).map(|(_, link)| link.clone())
    }

    /// Drops what is kept of a host that is no more: a link over SSH would log in for ever.
    pub(crate) fn forget(&self, id: HostId) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.silences.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn kept(&self, id: HostId, made: &Made) -> Option<Arc<HostLink>> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.get(&id).filter(|(kept, _)| kept == made).map(|(_, link)| link.clone())
    }

    /// The credential of a host, unsealed: of the kind that its endpoint takes.
    pub(crate) async fn credential(
        &self,
        store: &Store,
        host: &Host,
        secret: SecretId,
    ) -> Result<Credential, Fault> {
        let is_ssh = matches!(host.settings.endpoint.parse()?, Endpoint::Ssh(_));
        let kind = if is_ssh { SecretKind::DockerSsh } else { SecretKind::DockerTls };
        let mut read = store.read().await?;
        let sealed = read.secrets().open(secret, kind).await?;
        let corrupt = || shoal_storage::StoreError::Corrupt {
            table: "secrets",
            column: "sealed",
            id: secret.to_string(),
        };
        let missing =
            || shoal_storage::StoreError::Missing { what: "secret of host", id: host.name.to_string() };
        let json = sealed.ok_or_else(missing)?;
        let credential = match is_ssh {
            true => serde_json::from_slice(&json).map(Credential::Ssh),
            false => serde_json::from_slice(&json).map(Credential::Tls),
        };
        Ok(credential.map_err(|_| corrupt())?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use shoal_types::InstallationId;

    use super::*;

    /// An engine that takes five seconds to be out of reach.
    #[derive(Debug, Default)]
    struct CutOff(AtomicU32);

    #[async_trait]
    impl Connect for CutOff {
        async fn connect(
            &self,
            endpoint: &Endpoint,
            _: Option<&Credential>,
        ) -> Result<Arc<dyn Engine>, EngineError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(5)).await;
            let source = io::Error::from(io::ErrorKind::TimedOut);
            Err(EngineError::Unreachable { endpoint: endpoint.clone(), source })
        }

        async fn server_expiry(
            &self,
            _: &Endpoint,
            _: Option<&Credential>,
        ) -> Result<Option<Timestamp>, EngineError> {
            Ok(None)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_host_costs_the_stages_of_a_command_one_connect() {
        let connect = Arc::new(CutOff::default());
        let naming = Naming::new(InstallationId::new([1, 2, 3]));
        let fleet = Fleet::new(naming, connect.clone(), Binaries::new(&Default::default()));
        let endpoint: Endpoint = "tcp://10.0.0.1:2376".parse().unwrap();
        let made = || (endpoint.to_string(), None);
        let host = HostId::new(1, [1; 10]);
        let began = Instant::now();
        assert!(fleet.connect_once(host, &made(), &endpoint, None).await.is_err());
        for _ in 0..3 {
            let again = fleet.connect_once(host, &made(), &endpoint, None).await;
            assert!(matches!(again, Err(EngineError::Unreachable { .. })), "{again:?}");
        }
        assert_eq!((began.elapsed().as_secs(), connect.0.load(Ordering::Relaxed)), (5, 1));
        // Another endpoint is another way there, and a while later the host may be back.
        let other = ("tcp://10.0.0.2:2376".to_owned(), None);
        assert!(fleet.connect_once(host, &other, &endpoint, None).await.is_err());
        tokio::time::sleep(SILENCE).await;
        assert!(fleet.connect_once(host, &made(), &endpoint, None).await.is_err());
        assert_eq!(connect.0.load(Ordering::Relaxed), 3);
        // Of one that is forgotten nothing is known.
        fleet.forget(host);
        assert!(fleet.connect_once(host, &made(), &endpoint, None).await.is_err());
        assert_eq!(connect.0.load(Ordering::Relaxed), 4);
    }
}
