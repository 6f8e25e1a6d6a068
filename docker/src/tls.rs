//! TLS material: the CA an engine is trusted by, and the client certificate and key that make us its root.
//!
//! ```text
//! text.rs   PEM -> certificates, keys        facts.rs   what a certificate says, what can be used of it
//!      \                                        /
//!       tls.rs   three texts -> TlsMaterial -> ClientConfig     verifier.rs   the certificate that the engine shows
//! ```
//! What can be known without the engine is checked when the material is taken, each problem with its file and the command that
//! mends it. The rest shows in the handshake: see [`crate::TlsProblem`]. The measure is Docker's own client: what works there
//! works here, but for keys that ring cannot use (docs/hosts.md has the table).

mod facts;
mod text;
mod verifier;

use std::{fmt, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use shoal_types::Timestamp;
use zeroize::{Zeroize, ZeroizeOnDrop};

use self::{facts::Facts, verifier::Verifier};

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

/// What is wrong with a file, and what makes it right.
#[derive(Debug, thiserror::Error)]
pub enum TlsMaterialProblem {
    /// It has no PEM section, or a broken one.
    #[error("is not PEM ({0})")]
    NotPem(String),
    /// It has PEM sections, but none of the kind needed.
    #[error(
        "holds no {wanted}, but: {found}{}",
        if ["trusted certificate", "x509 certificate"].iter().any(|kind| found.contains(kind)) {
            "; `openssl x509 -in FILE -out FILE.pem` writes it as Docker has it"
        } else {
            ""
        }
    )]
    WrongKind {
        /// `certificate` or `private key`.
        wanted: &'static str,
        /// What it holds.
        found: String,
    },
    /// The key is encrypted with a passphrase.
    #[error(
        "is encrypted: `openssl pkey -in key.pem -out key-plain.pem` asks for the passphrase and writes it without"
    )]
    EncryptedKey,
    /// A certificate that cannot be read, or not be used.
    #[error("holds a certificate that cannot be used ({0})")]
    BadCertificate(String),
    /// A key that cannot be read, or of an unknown kind.
    #[error("holds a key that cannot be used ({0})")]
    BadKey(String),
    /// A key of a kind that ring does not know.
    #[error(
        "has {0}, which Shoal cannot use: P-256, P-384, Ed25519 and RSA from 2048 bits can be, such as of `openssl ecparam -name \
         prime256v1 -genkey -noout -out key.pem`"
    )]
    UnfitKey(String),
    /// The certificate has run out.
    #[error("expired on {0}: issue a new one")]
    Expired(String),
    /// The certificate is not valid yet.
    #[error("is not valid before {0}: compare the clocks")]
    NotYetValid(String),
    /// The key belongs to another certificate.
    #[error(
        "does not belong to the client certificate: `openssl pkey -in key.pem -pubout` and `openssl x509 -in cert.pem -noout \
         -pubkey` must print the same"
    )]
    KeyMismatch,
    /// No engine takes it for a client's.
    #[error(
        "is not for clients: issue it with `extendedKeyUsage=clientAuth`, in the -extfile of `openssl x509 -req`"
    )]
    NotForClients,
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

    /// Until when each of the two certificates is valid: of several authorities the one that is valid longest, of a client's
    /// chain the client's own.
    ///
    /// # Errors
    /// [`TlsMaterialError`]: one of them cannot be read.
    pub fn expiries(&self) -> Result<Vec<(TlsFile, Timestamp)>, TlsMaterialError> {
        let mut expiries = Vec::new();
        let authorities = text::certificates(&self.ca).map_err(at(TlsFile::Ca))?;
        expiries.extend(
            authorities.iter().filter_map(|der| expiry(der).ok()).max().map(|until| (TlsFile::Ca, until)),
        );
        let own = self.certified_key(&rustls::crypto::ring::default_provider())?;
        if let Some(der) = own.cert.first() {
            expiries.push((TlsFile::Certificate, expiry(der).map_err(at(TlsFile::Certificate))?));
        }
        Ok(expiries)
    }

    /// What about our certificate may be why an engine refuses it, in words that name the file.
    pub(crate) fn doubt(&self) -> Option<String> {
        let own = self.certified_key(&rustls::crypto::ring::default_provider()).ok()?;
        let certificate = Facts::of(own.cert.first()?).ok()?;
        if let Some(digest) = certificate.weak_digest() {
            return Some(format!(
                "it is signed with {digest}, which newer engines refuse: issue it anew with -sha256"
            ));
        }
        let issuer = certificate.issuer();
        let authorities = text::certificates(&self.ca).ok()?;
        let known = authorities.iter().chain(own.cert.iter().skip(1));
        let is_known = known.filter_map(|der| Facts::of(der).ok()).any(|facts| facts.subject() == issuer);
        (!is_known).then(|| {
            format!(
                "its issuer `{issuer}` is neither in the CA file nor behind it: an intermediate's certificate belongs behind it, \
                 `cat cert.pem intermediate.pem`"
            )
        })
    }

    /// # Errors
    /// [`TlsMaterialError`]: the first text that is unusable at time `now`.
    fn check(&self, now: Timestamp) -> Result<(), TlsMaterialError> {
        // One authority that can be used is enough: others of a bundle may have run out without harm.
        let mut unusable = None;
        let authorities = text::certificates(&self.ca).map_err(at(TlsFile::Ca))?;
        for der in &authorities {
            match check_authority(der, now) {
                Ok(()) => {
                    unusable = None;
                    break;
                }
                Err(problem) => unusable = unusable.or(Some(problem)),
            }
        }
        if let Some(problem) = unusable {
            return Err(at(TlsFile::Ca)(problem));
        }
        let own = self.certified_key(&rustls::crypto::ring::default_provider())?;
        if let Some(der) = own.cert.first() {
            check_client(der, now).map_err(at(TlsFile::Certificate))?;
        }
        self.client_config().map(drop)
    }

    /// A configuration that trusts this CA alone, and shows this certificate.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, TlsMaterialError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let given = text::certificates(&self.ca).map_err(at(TlsFile::Ca))?;
        let mut roots = RootCertStore::empty();
        let mut refused = None;
        for der in &given {
            // As in Docker's client, what cannot be read of a bundle does not spoil the rest.
            refused = roots.add(der.clone()).err().or(refused);
        }
        if let Some(error) = refused.filter(|_| roots.is_empty()) {
            return Err(at(TlsFile::Ca)(TlsMaterialProblem::BadCertificate(error.to_string())));
        }
        let certified = self.certified_key(&provider)?;
        let unusable = |e: String| at(TlsFile::Ca)(TlsMaterialProblem::BadCertificate(e));
        let verifier =
            Verifier::new(roots, given, provider.clone()).map_err(|error| unusable(error.to_string()))?;
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified))))
    }

    /// Our certificate, what is behind it in the order of issue, and the key: the pair that fits, wherever in its file it is.
    fn certified_key(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsMaterialError> {
        let chain = text::certificates(&self.cert).map_err(at(TlsFile::Certificate))?;
        let keys = text::private_keys(&self.key).map_err(at(TlsFile::Key))?;
        let mut bad = None;
        for key in keys {
            let key = match provider.key_provider.load_private_key(key) {
                Ok(key) => key,
                Err(error) => {
                    bad = Some(error);
                    continue;
                }
            };
            let public = key.public_key();
            let fits = |der: &CertificateDer<'_>| {
                Facts::of(der)
                    .is_ok_and(|facts| public.as_ref().is_some_and(|key| facts.public_key() == key.as_ref()))
            };
            if let Some(own) = chain.iter().position(fits) {
                return Ok(CertifiedKey::new(ordered(chain, own), key));
            }
        }
        let first = chain.first().map(Facts::of).transpose().map_err(at(TlsFile::Certificate))?;
        Err(match (bad, first.and_then(|facts| facts.unfit_key())) {
            (Some(_), Some(key)) => at(TlsFile::Certificate)(TlsMaterialProblem::UnfitKey(key)),
            (Some(error), None) => at(TlsFile::Key)(TlsMaterialProblem::BadKey(error.to_string())),
            (None, _) => at(TlsFile::Key)(TlsMaterialProblem::KeyMismatch),
        })
    }
}

fn at(file: TlsFile) -> impl Fn(TlsMaterialProblem) -> TlsMaterialError {
    move |problem| TlsMaterialError { file, problem }
}

/// The certificates from `own` on, each followed by its issuer's; what is left comes last.
fn ordered(mut chain: Vec<CertificateDer<'static>>, own: usize) -> Vec<CertificateDer<'static>> {
    let mut ordered = vec![chain.remove(own)];
    let is_issuer = |last: &CertificateDer<'_>, other: &CertificateDer<'_>| {
        let (Ok(last), Ok(other)) = (Facts::of(last), Facts::of(other)) else { return false };
        last.issuer() == other.subject()
    };
    while let Some(next) =
        ordered.last().and_then(|last| chain.iter().position(|other| is_issuer(last, other)))
    {
        ordered.push(chain.remove(next));
    }
    ordered.extend(chain);
    ordered
}

/// Until when a certificate is valid.
pub(crate) fn expiry(der: &CertificateDer<'_>) -> Result<Timestamp, TlsMaterialProblem> {
    let [_, (seconds, _)] = Facts::of(der)?.validity();
    Ok(Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)))
}

fn check_authority(der: &CertificateDer<'_>, now: Timestamp) -> Result<(), TlsMaterialProblem> {
    let facts = Facts::of(der)?;
    check_dates(&facts, now)?;
    facts.unfit_key().map_or(Ok(()), |key| Err(TlsMaterialProblem::UnfitKey(key)))
}

fn check_client(der: &CertificateDer<'_>, now: Timestamp) -> Result<(), TlsMaterialProblem> {
    let facts = Facts::of(der)?;
    check_dates(&facts, now)?;
    if facts.is_for_clients() { Ok(()) } else { Err(TlsMaterialProblem::NotForClients) }
}

fn check_dates(facts: &Facts<'_>, now: Timestamp) -> Result<(), TlsMaterialProblem> {
    let [(from, from_text), (until, until_text)] = facts.validity();
    let now = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
    if now > until {
        return Err(TlsMaterialProblem::Expired(until_text));
    }
    if now < from {
        return Err(TlsMaterialProblem::NotYetValid(from_text));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
