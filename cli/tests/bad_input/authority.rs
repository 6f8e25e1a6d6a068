//! Certificates, made for each run: authorities, servers and clients, good and bad ones.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use crate::bed::Bed;

/// An authority and what it signed.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Whether a certificate is valid today.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// It is.
    Now,
    /// It was, until 2001.
    Past,
    /// It will be, from 2400.
    Future,
}

fn params(name: &str, when: When) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    match when {
        When::Now => {}
        When::Past => {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        When::Future => {
            params.not_before = date_time_ymd(2400, 1, 1);
            params.not_after = date_time_ymd(2401, 1, 1);
        }
    }
    params
}

impl Authority {
    pub(crate) fn new(name: &str, when: When) -> Self {
        let mut params = params(name, when);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `name` and its key, as PEM.
    pub(crate) fn signed(&self, name: &str, when: When) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params(name, when).signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Writes `DIR/{ca,cert,key}.pem` for a client of this authority; the directory.
    pub(crate) fn client(&self, bed: &Bed, dir: &str) -> String {
        let (cert, key) = self.signed("client", When::Now);
        bed.file(&format!("{dir}/ca.pem"), self.pem());
        bed.file(&format!("{dir}/cert.pem"), cert);
        bed.file(&format!("{dir}/key.pem"), key);
        bed.path(dir)
    }

    /// A server with a certificate of this authority for `name`, which asks clients for one of it too.
    pub(crate) fn server(&self, name: &str, when: When) -> ServerConfig {
        let (cert, key) = self.signed(name, when);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap()
    }
}
