//! A certificate authority in memory: what it signs, and servers that ask their clients for a certificate of it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// An authority, its key and its certificate.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl Authority {
    /// A new one with a key of its own.
    ///
    /// # Errors
    /// Key or certificate cannot be made.
    pub fn new(mut params: CertificateParams) -> Result<Self, rcgen::Error> {
        if !matches!(params.is_ca, IsCa::Ca(_)) {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate()?;
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self::of(params, key, certificate_pem))
    }

    /// A new one of this common name: two of different names are strangers to each other.
    ///
    /// # Errors
    /// As [`Authority::new`].
    pub fn named(name: &str) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        Self::new(params)
    }

    /// One that is there already.
    pub(crate) fn of(params: CertificateParams, key: KeyPair, certificate_pem: String) -> Self {
        Self { issuer: Issuer::new(params, key), certificate_pem }
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate_pem.clone()
    }

    /// Its private key.
    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate and its private key, both as PEM.
    ///
    /// # Errors
    /// Key or certificate cannot be made.
    pub fn signed(&self, params: &CertificateParams) -> Result<(String, String), rcgen::Error> {
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }

    /// A server with a certificate of this authority, which asks clients for one of it, too.
    ///
    /// # Errors
    /// The certificate cannot be made or used.
    pub fn server(&self, params: &CertificateParams) -> anyhow::Result<ServerConfig> {
        let (certificate, key) = self.signed(params)?;
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate_pem.as_bytes())?)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
        Ok(ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?)
    }
}
