//! Checks the certificate that an engine shows: as webpki does, and then what Docker's client takes besides; a refusal says
//! what about the certificate.
//!
//! Docker's client takes an engine whose own certificate is the given CA certificate, although it is marked as an authority's
//! (`openssl req -x509` marks it so): the most usual certificate of those who made a single one. webpki does not.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::facts::Facts;
use crate::TlsProblem;

/// What the given CA file says of engines.
#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// # Errors
    /// There is no root.
    pub(super) fn new(
        roots: RootCertStore,
        given: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::client::VerifierBuilderError> {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Self { webpki, given })
    }

    /// Whether the certificate is one of the given ones, and for this name and time.
    fn is_given(&self, shown: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> bool {
        let (Ok(facts), Ok(parsed)) = (Facts::of(shown), ParsedCertificate::try_from(shown)) else {
            return false;
        };
        let [(from, _), (until, _)] = facts.validity();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.given.iter().any(|given| given.as_ref() == shown.as_ref())
            && (from..=until).contains(&now)
            && verify_server_name(&parsed, name).is_ok()
    }

    /// What about the certificate made webpki refuse it, where its own words would lead astray.
    fn explained(&self, shown: &CertificateDer<'_>, name: &ServerName<'_>, refused: Error) -> Error {
        let Error::InvalidCertificate(bad) = &refused else { return refused };
        let Ok(facts) = Facts::of(shown) else { return refused };
        let named = matches!(
            bad,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        );
        let dated = matches!(
            bad,
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        );
        let problem = if dated {
            return refused;
        } else if named || facts.is_v1() {
            TlsProblem::NameMismatch { host: name.to_str().into_owned(), presented: facts.names() }
        } else if let Some(key) = facts.unfit_key() {
            TlsProblem::ServerKey(key)
        } else if let Some(digest) = facts.weak_digest() {
            TlsProblem::ServerSignature(digest.into())
        } else if matches!(
            bad,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. }
        ) {
            TlsProblem::ServerPurpose
        } else if matches!(bad, CertificateError::UnknownIssuer | CertificateError::BadSignature) {
            let given = self.given.iter().filter_map(|der| Some(Facts::of(der).ok()?.subject())).collect();
            TlsProblem::UnknownIssuer { issuer: facts.issuer(), given }
        } else if matches!(bad, CertificateError::Other(_)) && facts.is_authority() {
            TlsProblem::ServerIsAuthority
        } else {
            return refused;
        };
        said(problem)
    }
}

/// Why a signature by the certificate's key was refused.
fn unfit(shown: &CertificateDer<'_>, refused: Error) -> Error {
    match Facts::of(shown).ok().and_then(|facts| facts.unfit_key()) {
        Some(key) => said(TlsProblem::ServerKey(key)),
        None => refused,
    }
}

/// A problem as rustls carries it to who dialled.
fn said(problem: TlsProblem) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(problem))))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.webpki.verify_server_cert(shown, others, name, ocsp, now) {
            Err(_) if self.is_given(shown, name, now) => Ok(ServerCertVerified::assertion()),
            verdict => verdict.map_err(|refused| self.explained(shown, name, refused)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, shown, signed).map_err(|refused| unfit(shown, refused))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, shown, signed).map_err(|refused| unfit(shown, refused))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
