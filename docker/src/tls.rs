//! TLS material: the CA an engine is trusted by, and the client certificate and key that make us its root.
//!
//! What can be known without the engine is checked when the material is taken, each problem with its file: one that is not
//! PEM or holds something else, a certificate out of date, a key that belongs to another certificate. That a certificate
//! comes from another CA shows only in the handshake: see [`crate::TlsProblem`].

use std::{fmt, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _, SectionKind},
};
use serde::{Deserialize, Serialize};
use shoal_types::Timestamp;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Which of the three files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsFile {
    /// `ca.pem`: what the engine's certificate is checked against.
    Ca,
    /// `cert.pem`: our certificate.
    Certificate,
    /// `key.pem`: its private key.
    Key,
}

impl fmt::Display for TlsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "CA certificate",
            Self::Certificate => "client certificate",
            Self::Key => "client key",
        })
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsMaterialProblem {
    /// It has no PEM section, or a broken one.
    #[error("is not PEM ({0})")]
    NotPem(String),
    /// It has PEM sections, but none of the kind needed.
    #[error("holds no {wanted}, but: {found}")]
    WrongKind {
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// What it holds.
        found: String,
    },
    /// The key is encrypted with a passphrase.
    #[error("is encrypted: give a key without passphrase")]
    EncryptedKey,
    /// A certificate that cannot be read, or not be used.
    #[error("holds a certificate that cannot be used ({0})")]
    BadCertificate(String),
    /// A key that cannot be read, or of an unknown kind.
    #[error("holds a key that cannot be used ({0})")]
    BadKey(String),
    /// The certificate has run out.
    #[error("expired on {0}: issue a new one")]
    Expired(String),
    /// The certificate is not valid yet.
    #[error("is not valid before {0}: compare the clocks")]
    NotYetValid(String),
    /// The key belongs to another certificate.
    #[error("does not belong to the client certificate")]
    KeyMismatch,
}

/// TLS material that cannot be used: which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("{file} {problem}")]
pub struct TlsMaterialError {
    /// Which of the three.
    pub file: TlsFile,
    /// What is wrong with it.
    #[source]
    pub problem: TlsMaterialProblem,
}

/// The three PEM texts a host's engine is reached with. Whoever holds them is root on that host: never shown, wiped when
/// dropped; serialised only to be sealed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct TlsMaterial {
    ca: String,
    cert: String,
    key: String,
}

impl fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsMaterial { .. }")
    }
}

impl TlsMaterial {
    /// Takes the three PEM texts.
    ///
    /// # Errors
    /// [`TlsMaterialError`]: the first text that is unusable at time `now`.
    pub fn from_pem(ca: String, cert: String, key: String, now: Timestamp) -> Result<Self, TlsMaterialError> {
        let material = Self { ca, cert, key };
        material.check(now)?;
        Ok(material)
    }

    /// Until when each of the two certificates is valid: of a bundle the first one, which is the one shown.
    ///
    /// # Errors
    /// [`TlsMaterialError`]: one of them cannot be read.
    pub fn expiries(&self) -> Result<Vec<(TlsFile, Timestamp)>, TlsMaterialError> {
        let mut expiries = Vec::new();
        for (file, text) in [(TlsFile::Ca, &self.ca), (TlsFile::Certificate, &self.cert)] {
            if let Some(der) = certificates(text).map_err(|p| at(file, p))?.first() {
                expiries.push((file, expiry(der).map_err(|p| at(file, p))?));
            }
        }
        Ok(expiries)
    }

    fn check(&self, now: Timestamp) -> Result<(), TlsMaterialError> {
        for (file, text) in [(TlsFile::Ca, &self.ca), (TlsFile::Certificate, &self.cert)] {
            // The first one counts: further ones of a bundle may have run out without harm.
            if let Some(der) = certificates(text).map_err(|p| at(file, p))?.first() {
                check_dates(der, now).map_err(|p| at(file, p))?;
            }
        }
        self.client_config().map(drop)
    }

    /// A configuration that trusts this CA alone, and shows this certificate.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, TlsMaterialError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for der in certificates(&self.ca).map_err(|p| at(TlsFile::Ca, p))? {
            let bad = |e: rustls::Error| at(TlsFile::Ca, TlsMaterialProblem::BadCertificate(e.to_string()));
            roots.add(der).map_err(bad)?;
        }
        let certified = self.certified_key(&provider)?;
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| at(TlsFile::Certificate, TlsMaterialProblem::BadCertificate(e.to_string())))?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified))))
    }

    fn certified_key(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsMaterialError> {
        let chain = certificates(&self.cert).map_err(|p| at(TlsFile::Certificate, p))?;
        let key = private_key(&self.key).map_err(|p| at(TlsFile::Key, p))?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|e| at(TlsFile::Key, TlsMaterialProblem::BadKey(e.to_string())))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // Unknown: a key that cannot tell its public half; the handshake will.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
            Err(rustls::Error::InconsistentKeys(_)) => Err(at(TlsFile::Key, TlsMaterialProblem::KeyMismatch)),
            Err(e) => Err(at(TlsFile::Certificate, TlsMaterialProblem::BadCertificate(e.to_string()))),
        }
    }
}

fn at(file: TlsFile, problem: TlsMaterialProblem) -> TlsMaterialError {
    TlsMaterialError { file, problem }
}

/// The PEM sections of a text, and an error if it has none or a broken one.
fn sections(text: &str) -> Result<Vec<(SectionKind, Vec<u8>)>, TlsMaterialProblem> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(not_pem)?;
    if sections.is_empty() {
        return Err(TlsMaterialProblem::NotPem("it has no `-----BEGIN` section".into()));
    }
    Ok(sections)
}

fn wrong_kind(wanted: &'static str, text: &str) -> TlsMaterialProblem {
    let name =
        |line: &str| Some(line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")?.to_lowercase());
    let found = text.lines().filter_map(name).collect::<Vec<_>>().join(", ");
    TlsMaterialProblem::WrongKind { wanted, found }
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, TlsMaterialProblem> {
    let sections = sections(text)?;
    let certificates: Vec<_> = sections
        .iter()
        .filter(|(kind, _)| *kind == SectionKind::Certificate)
        .map(|(_, der)| CertificateDer::from(der.clone()))
        .collect();
    if certificates.is_empty() { Err(wrong_kind("certificate", text)) } else { Ok(certificates) }
}

fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, TlsMaterialProblem> {
    if text.contains("ENCRYPTED") {
        return Err(TlsMaterialProblem::EncryptedKey);
    }
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => sections(text).and(Err(wrong_kind("private key", text))),
        Err(e) => Err(not_pem(e)),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's errors; its own words do for the rest")]
fn not_pem(error: pem::Error) -> TlsMaterialProblem {
    TlsMaterialProblem::NotPem(match error {
        pem::Error::MissingSectionEnd { .. } => "it is cut short: an `-----END` line is missing".into(),
        other => other.to_string(),
    })
}

/// Until when a certificate is valid.
pub(crate) fn expiry(der: &CertificateDer<'_>) -> Result<Timestamp, TlsMaterialProblem> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der)
        .map_err(|e| TlsMaterialProblem::BadCertificate(e.to_string()))?;
    let seconds = certificate.validity().not_after.timestamp();
    Ok(Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)))
}

fn check_dates(der: &CertificateDer<'_>, now: Timestamp) -> Result<(), TlsMaterialProblem> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der)
        .map_err(|e| TlsMaterialProblem::BadCertificate(e.to_string()))?;
    let validity = certificate.validity();
    let now = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
    if now > validity.not_after.timestamp() {
        return Err(TlsMaterialProblem::Expired(validity.not_after.to_string()));
    }
    if now < validity.not_before.timestamp() {
        return Err(TlsMaterialProblem::NotYetValid(validity.not_before.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
