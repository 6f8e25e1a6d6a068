//! The way to a server elsewhere: TLS 1.3, with a certificate of its installation on both sides.
//!
//! ```text
//! credentials -> for each address: TCP -> TLS, its certificate -> its first words: does it take ours? -> gRPC
//! ```

use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    AlertDescription, ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::TLS13,
};
use shoal_proto::{CONNECTION_WINDOW, HTTP2_FRAME, STREAM_WINDOW};
use tokio::{io::AsyncBufReadExt, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;
use zeroize::Zeroizing;

/// How long each server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a silent connection is asked whether it lives, and how long it may take.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Why a server elsewhere cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// What the context has is no certificate or key.
    #[error("the {what} of the context cannot be used: {why}")]
    Credentials {
        /// Which.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// An address is not `HOST:PORT`.
    #[error("`{address}` is no address of a server: HOST:PORT")]
    Address {
        /// What was given.
        address: String,
    },
    /// Nobody is there, or does not answer.
    #[error("server {address} cannot be reached")]
    Unreachable {
        /// Its address.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its certificate is not of the context's installation, or of another name.
    #[error("server {address} is not the one of the context: {why}")]
    NotTheServer {
        /// Its address.
        address: String,
        /// What TLS said.
        why: String,
    },
    /// It does not take our certificate.
    #[error("server {address} does not take the certificate of the context: {why}")]
    NotTaken {
        /// Its address.
        address: String,
        /// Its reason.
        why: &'static str,
    },
}

impl RemoteError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Credentials { .. } => "ask an administrator for another context: `shoal create user`",
            Self::Address { .. } => "a context names servers as HOST:PORT, such as shoal.example:7443",
            Self::Unreachable { .. } => {
                "see that `shoal serve --listen` runs there and nothing is in between; `shoal context use local` is this machine"
            }
            Self::NotTheServer { .. } => {
                "nothing was sent to it; if the installation is new, ask its administrator for a context of it"
            }
            Self::NotTaken { .. } => {
                "ask an administrator of the installation for another context: `shoal create user`"
            }
        }
    }
}

/// What a context has to show, PEM.
#[derive(Clone)]
pub struct RemoteCredentials {
    /// The authority of the installation.
    pub authority: String,
    /// The user's certificate.
    pub certificate: String,
    /// Its private key.
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for RemoteCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteCredentials").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A key for a certificate that is to be signed.
pub struct UserKey {
    /// PEM.
    pub key: Zeroizing<String>,
    /// Its public half, a point of P-256.
    pub point: Vec<u8>,
}

impl std::fmt::Debug for UserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserKey").finish_non_exhaustive()
    }
}

impl UserKey {
    /// A new one.
    ///
    /// # Errors
    /// [`RemoteError::Credentials`]: the system has no randomness.
    pub fn generate() -> Result<Self, RemoteError> {
        let unusable = |error: rcgen::Error| RemoteError::Credentials { what: "key", why: error.to_string() };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unusable)?;
        Ok(Self { point: key.public_key_raw().to_vec(), key: Zeroizing::new(key.serialize_pem()) })
    }
}

impl RemoteCredentials {
    /// The configuration of a client.
    ///
    /// # Errors
    /// [`RemoteError::Credentials`].
    fn config(&self) -> Result<Arc<ClientConfig>, RemoteError> {
        fn bad<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> RemoteError {
            move |error| RemoteError::Credentials { what, why: error.to_string() }
        }
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.authority.as_bytes());
        roots.add(authority.map_err(bad("authority"))?).map_err(bad("authority"))?;
        let own = CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(bad("certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(bad("key"))?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(bad("certificate"))?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![own], key)
            .map_err(bad("key"))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// Whether the certificate, its key and the authority can be used, without a server.
    ///
    /// # Errors
    /// [`RemoteError::Credentials`]: what cannot.
    pub fn check(&self) -> Result<(), RemoteError> {
        self.config().map(drop)
    }
}

/// A channel to the first of several servers of an installation that answers.
///
/// # Errors
/// [`RemoteError`]: none does; that of the last.
pub async fn reach_elsewhere(
    addresses: &[String],
    credentials: &RemoteCredentials,
) -> Result<Channel, RemoteError> {
    let connector = TlsConnector::from(credentials.config()?);
    let mut failed = RemoteError::Address { address: String::new() };
    for address in addresses {
        match connect(&connector, address).await {
            Ok(stream) => return channel(connector, address.clone(), stream).await,
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn channel(
    connector: TlsConnector,
    address: String,
    first: TlsStream<TcpStream>,
) -> Result<Channel, RemoteError> {
    let broken = {
        let address = address.clone();
        |error: tonic::transport::Error| RemoteError::Unreachable { address, source: io::Error::other(error) }
    };
    let first = std::sync::Mutex::new(Some(first));
    let again = service_fn(move |_| {
        let first = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            match first {
                Some(stream) => Ok(TokioIo::new(stream)),
                None => connect(&connector, &address).await.map(TokioIo::new),
            }
        }
    });
    let endpoint = Endpoint::from_static("http://server")
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME);
    endpoint.connect_with_connector(again).await.map_err(broken)
}

/// Host and port of an address; an IPv6 address stands in brackets.
fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?)).filter(|(host, port)| !host.is_empty() && *port > 0)
}

/// Whether a text is an address of a server.
#[must_use]
pub fn is_address(address: &str) -> bool {
    split(address).is_some_and(|(host, _)| ServerName::try_from(host).is_ok())
}

async fn connect(connector: &TlsConnector, address: &str) -> Result<TlsStream<TcpStream>, RemoteError> {
    let wrong = || RemoteError::Address { address: address.to_owned() };
    let unreachable = |source| RemoteError::Unreachable { address: address.to_owned(), source };
    let late = || unreachable(io::Error::new(io::ErrorKind::TimedOut, "it does not answer within 10 s"));
    let (host, port) = split(address).ok_or_else(wrong)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
    let stream = timeout(PATIENCE, TcpStream::connect((host, port))).await.map_err(|_| late())?;
    let stream = stream.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let shaken = timeout(PATIENCE, connector.connect(name, stream)).await.map_err(|_| late())?;
    let mut stream = shaken.map_err(|error| said(address, error))?;
    // With TLS 1.3 a client has shaken hands before the server has looked at its certificate. HTTP/2 begins with the server's
    // settings: what comes in their place says why not.
    let first = timeout(PATIENCE, stream.fill_buf()).await.map_err(|_| late())?;
    match first.map(<[u8]>::len) {
        Ok(0) => Err(unreachable(io::Error::new(
            io::ErrorKind::ConnectionReset,
            "it hung up: it may have too many connections",
        ))),
        Ok(_) => Ok(stream),
        Err(error) => Err(said(address, error)),
    }
}

/// What an error of a handshake says.
fn said(address: &str, error: io::Error) -> RemoteError {
    let address = address.to_owned();
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(alert)) => RemoteError::NotTaken { address, why: refusal(*alert) },
        Some(rustls::Error::InvalidCertificate(why)) => {
            RemoteError::NotTheServer { address, why: why.to_string() }
        }
        Some(other) => RemoteError::NotTheServer { address, why: other.to_string() },
        None => RemoteError::Unreachable { address, source: error },
    }
}

/// What a server means that refuses a certificate with an alert (RFC 8446 6.2).
const REFUSALS: [(AlertDescription, &str); 5] = [
    (AlertDescription::CertificateExpired, "it has expired"),
    (AlertDescription::UnknownCA, "it is of another installation"),
    (AlertDescription::DecryptError, "it is of another installation"),
    (AlertDescription::CertificateRequired, "it was shown none"),
    (AlertDescription::CertificateRevoked, "it was revoked"),
];

fn refusal(alert: AlertDescription) -> &'static str {
    let known = REFUSALS.iter().find(|(known, _)| *known == alert);
    known.map_or("it is not one of its users'", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(split("shoal.example:7443"), Some(("shoal.example", 7443)));
        assert_eq!(split("[::1]:7443"), Some(("::1", 7443)));
        for wrong in ["", "host", ":7443", "host:0", "host:x", "host:70000", "a b:1", "[]:1"] {
            assert!(!is_address(wrong), "{wrong}");
        }
        assert!(is_address("10.0.0.5:7443") && is_address("[::1]:7443"));
    }

    #[test]
    fn credentials_that_do_not_fit_say_which() {
        let key = UserKey::generate().unwrap();
        assert_eq!((key.point.len(), key.point[0]), (65, 4));
        let credentials =
            RemoteCredentials { authority: "none".into(), certificate: String::new(), key: key.key.clone() };
        let error = credentials.check().unwrap_err();
        assert!(matches!(error, RemoteError::Credentials { what: "authority", .. }), "{error}");
        assert!(!format!("{credentials:?} {key:?}").contains("PRIVATE"));
    }
}
