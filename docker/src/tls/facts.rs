//! What a certificate says of itself, and whether the TLS of this program can do anything with it.

use rustls_pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, oid_registry as oid, public_key::PublicKey,
    x509::X509Version,
};

use super::TlsMaterialProblem;

/// Bits that an RSA key may have.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A certificate, parsed.
pub(super) struct Facts<'a>(X509Certificate<'a>);

impl<'a> Facts<'a> {
    /// # Errors
    /// It is none.
    pub(super) fn of(der: &'a CertificateDer<'_>) -> Result<Self, TlsMaterialProblem> {
        let parsed = x509_parser::parse_x509_certificate(der);
        parsed.map(|(_, parsed)| Self(parsed)).map_err(|e| TlsMaterialProblem::BadCertificate(e.to_string()))
    }

    pub(super) fn subject(&self) -> String {
        self.0.subject().to_string()
    }

    pub(super) fn issuer(&self) -> String {
        self.0.issuer().to_string()
    }

    /// Its public key as SubjectPublicKeyInfo.
    pub(super) fn public_key(&self) -> &[u8] {
        self.0.public_key().raw
    }

    /// Seconds since the epoch at which its validity begins and ends, each with its text.
    pub(super) fn validity(&self) -> [(i64, String); 2] {
        let validity = self.0.validity();
        [validity.not_before, validity.not_after].map(|time| (time.timestamp(), time.to_string()))
    }

    /// Names and addresses it is for, as OpenSSL writes them. One of version 1 can have none.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.0.subject_alternative_name().ok().flatten();
        let names = names.map(|extension| extension.value.general_names.iter()).into_iter().flatten();
        names.filter_map(name).collect()
    }

    /// Whether it is of version 1, which has no extensions.
    pub(super) fn is_v1(&self) -> bool {
        self.0.version() == X509Version::V1
    }

    /// Whether it may sign others.
    pub(super) fn is_authority(&self) -> bool {
        self.0.is_ca()
    }

    /// Whether it may stand for a client: it says so, or limits its use in no way.
    pub(super) fn is_for_clients(&self) -> bool {
        let usage = self.0.extended_key_usage().ok().flatten();
        usage.is_none_or(|usage| usage.value.client_auth || usage.value.any)
    }

    /// Why its key cannot be checked, or not used: rustls with ring knows RSA from 2048 to 8192 bits, P-256, P-384 and Ed25519.
    pub(super) fn unfit_key(&self) -> Option<String> {
        let key = self.0.public_key();
        let algorithm = &key.algorithm.algorithm;
        if let Ok(PublicKey::RSA(rsa)) = key.parsed()
            && *algorithm == oid::OID_PKCS1_RSAENCRYPTION
        {
            let bits = rsa.key_size();
            return (!RSA_BITS.contains(&bits)).then(|| format!("an RSA key of {bits} bits"));
        }
        if *algorithm == oid::OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            return match curve {
                Some(curve) if curve == oid::OID_EC_P256 || curve == oid::OID_NIST_EC_P384 => None,
                Some(curve) if curve == oid::OID_NIST_EC_P521 => Some("a key on the curve P-521".into()),
                Some(curve) => Some(format!("a key on the curve {curve}")),
                None => Some("a key on a curve without a name".into()),
            };
        }
        (*algorithm != oid::OID_SIG_ED25519).then(|| format!("a key of the kind {algorithm}"))
    }

    /// The digest of its signature, if it is one that nobody takes any more.
    pub(super) fn weak_digest(&self) -> Option<&'static str> {
        match self.0.signature_algorithm.algorithm.to_id_string().as_str() {
            // sha1WithRSAEncryption, ecdsa-with-SHA1 (RFC 3279 2.2).
            "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => Some("SHA-1"),
            "1.2.840.113549.1.1.4" => Some("MD5"),
            _ => None,
        }
    }
}

/// A name in OpenSSL's writing; other kinds than those that TLS compares are left out.
fn name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some(format!("DNS:{name}"));
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    let address = match <[u8; 4]>::try_from(*bytes) {
        Ok(bytes) => std::net::IpAddr::from(bytes),
        Err(_) => std::net::IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
    };
    Some(format!("IP:{address}"))
}
