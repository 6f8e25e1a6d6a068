//! The two questions the lab asks an engine: `GET /_ping` over TLS, `GET /version` on the unix socket.
//!
//! HTTP/1.0 on a connection of its own, so an answer ends where the connection ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::Deserialize;

/// How long an engine may take for one of these answers.
const TIMEOUT: Duration = Duration::from_secs(2);

/// An engine that did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A certificate or key of the `tls_dir` cannot be used.
    #[error("cannot use the certificates in {dir}")]
    Credentials {
        /// The directory.
        dir: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection failed: refused, no TLS agreement, broken off.
    #[error("no answer from {endpoint}")]
    Connection {
        /// Where.
        endpoint: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something answered, but not what an engine does.
    #[error("{endpoint} answered {answer:?}")]
    Answer {
        /// Where.
        endpoint: String,
        /// The begin of the answer.
        answer: String,
    },
}

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "Version")]
    version: String,
}

/// Asks an engine for a sign of life over TLS, with the credentials of a `tls_dir`.
///
/// # Errors
/// All of [`ApiError`].
pub(crate) fn ping(address: SocketAddr, tls_dir: &Path) -> Result<(), ApiError> {
    let endpoint = format!("tcp://{address}");
    let config = client_config(tls_dir)
        .map_err(|source| ApiError::Credentials { dir: tls_dir.display().to_string(), source })?;
    let asked = || {
        let tcp = TcpStream::connect_timeout(&address, TIMEOUT)?;
        tcp.set_read_timeout(Some(TIMEOUT))?;
        tcp.set_write_timeout(Some(TIMEOUT))?;
        let name = ServerName::IpAddress(address.ip().into());
        let tls = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
        get(StreamOwned::new(tls, tcp), "/_ping")
    };
    match asked() {
        Ok(answer) if answer.trim() == "OK" => Ok(()),
        other => Err(refused(endpoint, other)),
    }
}

/// Asks the engine behind a unix socket for its version.
///
/// # Errors
/// [`ApiError::Connection`], [`ApiError::Answer`].
pub(crate) fn version(socket: &Path) -> Result<String, ApiError> {
    let endpoint = format!("unix://{}", socket.display());
    let asked = || {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        get(stream, "/version")
    };
    let answer = asked();
    match answer.as_ref().ok().and_then(|text| serde_json::from_str::<Version>(text).ok()) {
        Some(read) => Ok(read.version),
        None => Err(refused(endpoint, answer)),
    }
}

fn refused(endpoint: String, answer: std::io::Result<String>) -> ApiError {
    match answer {
        Ok(text) => ApiError::Answer { endpoint, answer: text.chars().take(200).collect() },
        Err(source) => ApiError::Connection { endpoint, source },
    }
}

/// The body of a successful answer, or the whole of another.
fn get(mut stream: impl Read + Write, path: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n").as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        Some(_) | None => Ok(text),
    }
}

fn client_config(dir: &Path) -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.pem"))?)?;
    let certificate = CertificateDer::from_pem_file(dir.join("cert.pem"))?;
    let key = PrivateKeyDer::from_pem_file(dir.join("key.pem"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?)
}
