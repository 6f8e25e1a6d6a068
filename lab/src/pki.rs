//! The lab's certificates: one authority, and for each host a server's and a client's.
//!
//! Engines ask every client for a certificate of this authority (`tlsverify`); clients check that the
//! server's names the address or the host they called. Private keys are 0600.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};

use crate::authority::Authority;
use crate::error::Error;
use crate::file;
use crate::name::{HostName, LabName};

/// A certificate that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// Key or certificate generation failed.
    #[error("cannot make a certificate for {subject}")]
    Generate {
        /// Whose.
        subject: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The authority's key is there but cannot be used.
    #[error("the lab's key {} cannot be used: take the lab down and up again", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
}

/// The lab's certificate authority, kept in files.
pub(crate) struct LabAuthority(Authority);

/// Files of a `tls_dir`, as Docker's own clients and engines name them.
const CA: &str = "ca.pem";
const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";
const CA_KEY: &str = "ca-key.pem";

impl LabAuthority {
    /// The authority kept in a directory; makes one when there is none.
    ///
    /// # Errors
    /// [`Error::Pki`], [`Error::File`].
    pub(crate) fn open_or_make(lab: &LabName, dir: &Path) -> Result<Self, Error> {
        let (certificate, key) = (dir.join(CA), dir.join(CA_KEY));
        let params = authority_params(lab);
        if certificate.exists() && key.exists() {
            let pem = fs::read_to_string(&key).map_err(crate::error::file("read", &key))?;
            let pair = KeyPair::from_pem(&pem).map_err(|source| PkiError::Key { path: key, source })?;
            let certificate_pem =
                fs::read_to_string(&certificate).map_err(crate::error::file("read", &certificate))?;
            return Ok(Self(Authority::of(params, pair, certificate_pem)));
        }
        let authority = Authority::new(params).map_err(generate(format!("lab {lab}")))?;
        file::make_dir(dir)?;
        file::write(&key, authority.key_pem().as_bytes())?;
        file::write(&certificate, authority.pem().as_bytes())?;
        Ok(Self(authority))
    }

    /// Makes the engine's certificate for a host, unless the directory holds one.
    ///
    /// # Errors
    /// [`Error::Pki`], [`Error::File`].
    pub(crate) fn ensure_server(&self, dir: &Path, host: HostName, address: IpAddr) -> Result<(), Error> {
        let mut params = leaf_params(&host.to_string(), ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names = vec![SanType::IpAddress(address)];
        for name in [host.to_string(), "localhost".to_owned()] {
            let name = name.try_into().map_err(generate(host.to_string()))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        self.ensure(dir, &host.to_string(), &params)
    }

    /// Makes a client's certificate for a host's engine, unless the directory holds one.
    ///
    /// # Errors
    /// [`Error::Pki`], [`Error::File`].
    pub(crate) fn ensure_client(&self, dir: &Path, host: HostName) -> Result<(), Error> {
        let subject = format!("client of {host}");
        self.ensure(dir, &subject, &leaf_params(&subject, ExtendedKeyUsagePurpose::ClientAuth))
    }

    fn ensure(&self, dir: &Path, subject: &str, params: &CertificateParams) -> Result<(), Error> {
        // The key is written last: with it, the rest is there.
        if dir.join(KEY).exists() {
            return Ok(());
        }
        let (certificate, key) = self.0.signed(params).map_err(generate(subject.to_owned()))?;
        file::make_dir(dir)?;
        file::write(&dir.join(CA), self.0.pem().as_bytes())?;
        file::write(&dir.join(CERT), certificate.as_bytes())?;
        file::write(&dir.join(KEY), key.as_bytes())
    }
}

fn generate(subject: String) -> impl FnOnce(rcgen::Error) -> PkiError {
    move |source| PkiError::Generate { subject, source }
}

fn authority_params(lab: &LabName) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("shoal lab {lab}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(subject: &str, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

    use super::*;

    fn roots(dir: &Path) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join(CA)).unwrap()).unwrap();
        roots
    }

    fn pair(dir: &Path) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let certificate = CertificateDer::from_pem_file(dir.join(CERT)).unwrap();
        (vec![certificate], PrivateKeyDer::from_pem_file(dir.join(KEY)).unwrap())
    }

    /// A whole TLS handshake in memory, both sides verifying.
    fn shake_hands(client: &Path, server: &Path, name: &str) -> Result<(), rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots(server)), Arc::clone(&provider))
                .build()
                .unwrap();
        let (certificates, key) = pair(server);
        let accept = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates, key)?;
        let (certificates, key) = pair(client);
        let connect = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(client))
            .with_client_auth_cert(certificates, key)?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(connect), name)?;
        let mut server = ServerConnection::new(Arc::new(accept))?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn certificates_verify_by_name_and_address_also_those_made_later() {
        let dir = tempfile::tempdir().unwrap();
        let (lab, pki) = ("lab".parse().unwrap(), dir.path().join("pki"));
        let (client, server) = (dir.path().join("tls"), dir.path().join("server"));
        let host = "host3".parse().unwrap();
        let authority = LabAuthority::open_or_make(&lab, &pki).unwrap();
        authority.ensure_server(&server, host, [10, 77, 0, 3].into()).unwrap();
        // Another command, for another host: the same authority.
        let again = LabAuthority::open_or_make(&lab, &pki).unwrap();
        again.ensure_client(&client, host).unwrap();
        for name in ["10.77.0.3", "host3", "localhost"] {
            shake_hands(&client, &server, name).unwrap();
        }
        for stranger in ["10.77.0.4", "host4"] {
            shake_hands(&client, &server, stranger).unwrap_err();
        }
        // A server is no client and the other way round.
        shake_hands(&server, &server, "host3").unwrap_err();
        shake_hands(&client, &client, "host3").unwrap_err();
    }

    #[test]
    fn another_labs_clients_are_strangers() {
        let dir = tempfile::tempdir().unwrap();
        let host = "host1".parse().unwrap();
        let lab = |name: &str| {
            let authority =
                LabAuthority::open_or_make(&name.parse().unwrap(), &dir.path().join(name)).unwrap();
            let (client, server) = (dir.path().join(name).join("tls"), dir.path().join(name).join("server"));
            authority.ensure_client(&client, host).unwrap();
            authority.ensure_server(&server, host, [10, 77, 0, 1].into()).unwrap();
            (client, server)
        };
        let ((a_client, a_server), (b_client, _)) = (lab("a"), lab("b"));
        shake_hands(&a_client, &a_server, "host1").unwrap();
        shake_hands(&b_client, &a_server, "host1").unwrap_err();
    }

    #[test]
    fn files_are_for_root_alone_and_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let (pki, tls) = (dir.path().join("pki"), dir.path().join("tls"));
        let host = "host1".parse().unwrap();
        let authority = LabAuthority::open_or_make(&"lab".parse().unwrap(), &pki).unwrap();
        authority.ensure_client(&tls, host).unwrap();
        let files = [pki.join(CA_KEY), pki.join(CA), tls.join(CA), tls.join(CERT), tls.join(KEY)];
        for path in &files {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
        let before = fs::read(tls.join(CERT)).unwrap();
        authority.ensure_client(&tls, host).unwrap();
        assert_eq!(fs::read(tls.join(CERT)).unwrap(), before);
    }
}
