//! The certificate authority of an installation: it signs certificates of its servers and of their users, and nothing else.
//!
//! ```text
//! authority: 10 years, made when it is first needed; its key is sealed in the store
//!   |- server: 30 days, a new key each time, in memory only; another one 10 days before its end
//!   `- user:   as long as whoever makes the user says, for a key that only the user has; names the row, not the role
//! ```

use std::{net::IpAddr, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use shoal_storage::Rng;
use shoal_types::{InstallationId, Timestamp, UserId, UserName};
use zeroize::Zeroizing;

use crate::{
    fleet::coordinator::Coordinator,
    words::fault::{Fault, UserFault},
};

const DAY: Duration = Duration::from_secs(86_400);
/// How long the authority holds.
const AUTHORITY: Duration = Duration::from_secs(3650 * 86_400);
/// How long a server's certificate holds.
const SERVER: Duration = Duration::from_secs(30 * 86_400);
/// How long before its end a server's certificate is replaced.
pub(crate) const SERVER_RENEWAL: Duration = Duration::from_secs(10 * 86_400);
/// How far clocks may differ: a certificate holds from before it is made.
const SKEW: Duration = Duration::from_secs(3600);
/// What a user's certificate names its row with (RFC 3986).
const SCHEME: &str = "shoal-user:";
/// Bytes of a point of P-256, uncompressed, and the first of them (SEC 1, 2.3.3).
const POINT: (usize, u8) = (65, 4);

/// An authority that can sign.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// PEM.
    certificate: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// A certificate of a server, with its key.
pub(crate) struct ServerCertificate {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) not_after: Timestamp,
}

/// A certificate of a user.
#[derive(Debug)]
pub(crate) struct UserCertificate {
    /// PEM.
    pub(crate) certificate: String,
    pub(crate) serial: String,
    pub(crate) not_after: Timestamp,
}

impl Authority {
    /// That of the store, made if there is none.
    ///
    /// # Errors
    /// The store's; [`UserFault::Authority`].
    pub(crate) async fn of(coordinator: &Coordinator) -> Result<Self, Fault> {
        let installation = coordinator.store.installation();
        if let Some((certificate, key)) = coordinator.store.read().await?.users().authority().await? {
            return Ok(Self::read(installation, certificate, &key)?);
        }
        let mut rng = coordinator.rng();
        let now = coordinator.now();
        let (certificate, key) = Self::make(installation, now, &mut *rng)?;
        let mut tx = coordinator.store.begin().await?;
        // Writers come one at a time: another may have been first.
        if let Some((certificate, key)) = tx.users().authority().await? {
            return Ok(Self::read(installation, certificate, &key)?);
        }
        tx.users().set_authority(&certificate, &key, now, &mut *rng).await?;
        tx.commit().await?;
        Ok(Self::read(installation, certificate, &key)?)
    }

    fn make(
        installation: &InstallationId,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(String, Zeroizing<Vec<u8>>), UserFault> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = subject(installation);
        valid(&mut params, now, Timestamp(now.0.saturating_add(millis(AUTHORITY))));
        params.serial_number = Some(serial(rng));
        let certificate = params.self_signed(&key)?.pem();
        Ok((certificate, Zeroizing::new(key.serialize_der())))
    }

    fn read(installation: &InstallationId, certificate: String, key: &[u8]) -> Result<Self, UserFault> {
        let key = PrivatePkcs8KeyDer::from(key.to_vec());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)?;
        Ok(Self { issuer: Issuer::new(subject(installation), key), certificate })
    }

    /// Its certificate, PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.certificate
    }

    /// Its certificate.
    ///
    /// # Errors
    /// [`UserFault::Authority`]: the store's is none.
    pub(crate) fn der(&self) -> Result<CertificateDer<'static>, UserFault> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|error| UserFault::Authority { why: error.to_string() })
    }

    /// Signs a certificate of a server that is reached by these names.
    ///
    /// # Errors
    /// [`UserFault::Authority`]: a name cannot be in a certificate.
    pub(crate) fn server(
        &self,
        names: &[String],
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<ServerCertificate, UserFault> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named("shoal server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(serial(rng));
        let not_after = Timestamp(now.0.saturating_add(millis(SERVER)));
        valid(&mut params, now, not_after);
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(ServerCertificate { certificate, key, not_after })
    }

    /// Signs a certificate of a user, for the key with this point.
    ///
    /// # Errors
    /// [`UserFault::Point`]: it is no point of P-256.
    pub(crate) fn user(
        &self,
        (id, name): (UserId, &UserName),
        point: &[u8],
        now: Timestamp,
        days: u32,
        rng: &mut Rng,
    ) -> Result<UserCertificate, UserFault> {
        if point.len() != POINT.0 || point.first() != Some(&POINT.1) {
            return Err(UserFault::Point);
        }
        let not_after = Timestamp(now.0.saturating_add(millis(DAY).saturating_mul(u64::from(days))));
        let (mut params, serial) = (CertificateParams::default(), serial(rng));
        params.distinguished_name = named(name.as_str());
        params.subject_alt_names = vec![SanType::URI(format!("{SCHEME}{id}").try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(serial.clone());
        valid(&mut params, now, not_after);
        let certificate = params.signed_by(&Point(point), &self.issuer)?.pem();
        Ok(UserCertificate { certificate, serial: hex::encode(serial.to_bytes()), not_after })
    }
}

/// The user that a certificate of this authority names.
pub(crate) fn user_of(certificate: &CertificateDer<'_>) -> Option<UserId> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| {
        let x509_parser::extensions::GeneralName::URI(uri) = name else { return None };
        uri.strip_prefix(SCHEME)?.parse().ok()
    })
}

/// Names that a server at an address is reached by, besides those it was given: the address, or what every machine has.
pub(crate) fn names_of(address: IpAddr, given: &[String], hostname: Option<String>) -> Vec<String> {
    let mut names = given.to_vec();
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    if address.is_unspecified() || address.is_loopback() {
        names.extend(hostname.filter(|_| address.is_unspecified()));
        names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// Whose key a certificate is for.
struct Point<'p>(&'p [u8]);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn subject(installation: &InstallationId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("shoal {installation}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn valid(params: &mut CertificateParams, now: Timestamp, until: Timestamp) {
    let at = |at: Timestamp| date_time_ymd(1970, 1, 1) + Duration::from_secs(at.0 / 1000);
    params.not_before = at(Timestamp(now.0.saturating_sub(millis(SKEW))));
    params.not_after = at(until);
}

/// A positive number of 16 bytes.
fn serial(rng: &mut Rng) -> SerialNumber {
    let mut bytes = crate::words::entropy::draw::<16>(rng);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn authority() -> Authority {
        let installation = InstallationId::new([1, 2, 3]);
        let (certificate, key) = Authority::make(&installation, NOW, &mut StdRng::seed_from_u64(1)).unwrap();
        assert!(!certificate.contains("PRIVATE"));
        Authority::read(&installation, certificate, &key).unwrap()
    }

    #[test]
    fn a_certificate_names_its_user_and_ends_when_it_should() {
        let (authority, id) = (authority(), UserId::new(7, [9; 10]));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let name: UserName = "ann".parse().unwrap();
        let rng = &mut StdRng::seed_from_u64(2);
        let made = authority.user((id, &name), key.public_key_raw(), NOW, 30, rng).unwrap();
        assert_eq!(made.not_after, Timestamp(NOW.0 + 30 * 86_400_000));
        let der = CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap();
        assert_eq!(user_of(&der), Some(id));
        let (_, read) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(read.issuer().to_string(), "CN=shoal 010203");
        assert_eq!(u64::try_from(read.validity().not_after.timestamp()).unwrap() * 1000, made.not_after.0);
        assert!(read.validity().not_before.timestamp() < i64::try_from(NOW.0 / 1000).unwrap());
        assert_eq!(made.serial.len(), 32);
        for point in [&b""[..], &[4; 64], &[2; 65]] {
            let refused = authority.user((id, &name), point, NOW, 1, rng).unwrap_err();
            assert!(matches!(refused, UserFault::Point), "{refused}");
        }
    }

    #[test]
    fn a_server_is_no_user() {
        let made = authority().server(&["shoal.example".into()], NOW, &mut StdRng::seed_from_u64(3)).unwrap();
        assert_eq!(user_of(&made.certificate), None);
        assert!(made.not_after.0 - NOW.0 > millis(SERVER_RENEWAL) * 2);
    }

    #[test]
    fn names_of_a_server() {
        let names = |address: &str, given: &[&str]| {
            let given: Vec<_> = given.iter().map(ToString::to_string).collect();
            names_of(address.parse().unwrap(), &given, Some("box".into())).join(" ")
        };
        assert_eq!(names("10.0.0.5", &[]), "10.0.0.5");
        assert_eq!(names("0.0.0.0", &["shoal.example", "box"]), "shoal.example box localhost 127.0.0.1");
        assert_eq!(names("127.0.0.1", &[]), "127.0.0.1 localhost");
        assert_eq!(names("::", &[]), "box localhost 127.0.0.1");
    }
}
