//! TLS of a server: version 1.3, a certificate that is replaced before it ends, and users' certificates of the same authority.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::TLS13,
};
use shoal_types::Timestamp;

use crate::{
    drive::authority::{Authority, SERVER_RENEWAL, ServerCertificate},
    fleet::coordinator::Coordinator,
    words::fault::{Fault, UserFault},
};

/// How often it is looked whether the certificate ends soon.
const LOOK: std::time::Duration = std::time::Duration::from_secs(3600);

/// The certificate that is shown to clients.
#[derive(Debug)]
pub(super) struct Shown {
    now: RwLock<(Arc<CertifiedKey>, Timestamp)>,
    names: Vec<String>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now.read().unwrap_or_else(PoisonError::into_inner).0.clone())
    }
}

impl Shown {
    /// One for a server that is reached by these names.
    ///
    /// # Errors
    /// [`UserFault::Authority`]: it cannot be made.
    fn new(authority: &Authority, coordinator: &Coordinator, names: Vec<String>) -> Result<Self, Fault> {
        let now = RwLock::new(made(authority, coordinator, &names)?);
        Ok(Self { now, names })
    }

    /// Replaces the certificate if it ends soon; whether it did.
    async fn renew(&self, coordinator: &Coordinator) -> Result<bool, Fault> {
        let not_after = self.now.read().unwrap_or_else(PoisonError::into_inner).1;
        if !is_due(not_after, coordinator.now()) {
            return Ok(false);
        }
        let next = made(&Authority::of(coordinator).await?, coordinator, &self.names)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(true)
    }

    /// Replaces the certificate before its end, until everything ends. Connections that are there keep what they have.
    pub(super) async fn keep(self: Arc<Self>, coordinator: Arc<Coordinator>) {
        loop {
            tokio::select! {
                () = coordinator.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            match self.renew(&coordinator).await {
                Ok(true) => tracing::info!("the server has another certificate"),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the server's certificate could not be replaced"),
            }
        }
    }
}

fn is_due(not_after: Timestamp, now: Timestamp) -> bool {
    let before = u64::try_from(SERVER_RENEWAL.as_millis()).unwrap_or(u64::MAX);
    now.0.saturating_add(before) >= not_after.0
}

fn made(
    authority: &Authority,
    coordinator: &Coordinator,
    names: &[String],
) -> Result<(Arc<CertifiedKey>, Timestamp), Fault> {
    let made = authority.server(names, coordinator.now(), &mut *coordinator.rng())?;
    let ServerCertificate { certificate, key, not_after } = made;
    let key = ring::sign::any_supported_type(&key).map_err(unusable)?;
    Ok((Arc::new(CertifiedKey::new(vec![certificate], key)), not_after))
}

fn unusable(error: impl std::fmt::Display) -> Fault {
    UserFault::Authority { why: error.to_string() }.into()
}

/// The configuration of a server that is reached by these names, and what it shows.
///
/// # Errors
/// The store's; [`UserFault::Authority`].
pub(super) async fn config(
    coordinator: &Coordinator,
    names: Vec<String>,
) -> Result<(Arc<ServerConfig>, Arc<Shown>), Fault> {
    let authority = Authority::of(coordinator).await?;
    let shown = Arc::new(Shown::new(&authority, coordinator, names)?);
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()?).map_err(unusable)?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(clients.build().map_err(unusable)?)
        .with_cert_resolver(shown.clone());
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A ticket would let somebody in again without a look at the certificate.
    config.send_tls13_tickets = 0;
    Ok((Arc::new(config), shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_replaced_ten_days_before_its_end() {
        const DAY: u64 = 86_400_000;
        let end = Timestamp(100 * DAY);
        assert!(!is_due(end, Timestamp(89 * DAY)));
        assert!(is_due(end, Timestamp(90 * DAY)) && is_due(end, Timestamp(101 * DAY)));
    }
}
