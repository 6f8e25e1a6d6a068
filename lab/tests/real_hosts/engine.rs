//! Talking to a host's engine: its API on the unix socket, and its TLS door.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use shoal_lab::Host;

/// The API of a host's engine.
pub(crate) struct Engine {
    socket: PathBuf,
}

/// The TLS door of a host's engine.
pub(crate) struct Tls<'a> {
    host: &'a Host,
    client: bool,
}

impl Engine {
    pub(crate) fn of(host: &Host) -> Self {
        Self { socket: host.socket.clone() }
    }

    /// Starts a container that sleeps for ever, and returns its id. Its image is empty: it borrows the programs
    /// of its host.
    pub(crate) fn start_sleeper(&self) -> String {
        let no_files = [0; 1024];
        self.ask("POST", "/images/create?fromSrc=-&repo=empty", "application/x-tar", &no_files);
        let binds = ["/usr:/usr:ro", "/usr/lib:/lib:ro", "/lib64:/lib64:ro"];
        let create = json!({
            "Image": "empty",
            "Cmd": ["/usr/bin/sleep", "infinity"],
            "HostConfig": { "Binds": binds, "NetworkMode": "bridge" },
        });
        let created =
            self.ask("POST", "/containers/create", "application/json", create.to_string().as_bytes());
        let created: Value = serde_json::from_str(&created).unwrap();
        let id = created["Id"].as_str().unwrap().to_owned();
        self.start(&id);
        id
    }

    pub(crate) fn start(&self, id: &str) {
        self.ask("POST", &format!("/containers/{id}/start"), "application/json", b"");
    }

    /// What the engine is known by.
    pub(crate) fn id(&self) -> String {
        let shown = self.ask("GET", "/info", "application/json", b"");
        serde_json::from_str::<Value>(&shown).unwrap()["ID"].as_str().unwrap().to_owned()
    }

    /// The exit code of a container; `None` while it runs.
    pub(crate) fn exit_code(&self, id: &str) -> Option<i64> {
        let shown = self.ask("GET", &format!("/containers/{id}/json"), "application/json", b"");
        let state = &serde_json::from_str::<Value>(&shown).unwrap()["State"];
        (!state["Running"].as_bool().unwrap()).then(|| state["ExitCode"].as_i64().unwrap())
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap();
        assert!(code.starts_with('2'), "{method} {path}: {answer}");
        body.to_owned()
    }
}

impl<'a> Tls<'a> {
    /// For a client with the lab's certificate.
    pub(crate) fn with_certificate(host: &'a Host) -> Self {
        Self { host, client: true }
    }

    /// For a client that has none.
    pub(crate) fn without_certificate(host: &'a Host) -> Self {
        Self { host, client: false }
    }

    /// Asks for a sign of life, and expects to meet a server of that name.
    pub(crate) fn ping(&self, name: &str) -> std::io::Result<String> {
        let address: SocketAddr = self.host.endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
        let tcp = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        tcp.set_read_timeout(Some(Duration::from_secs(5)))?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let tls = ClientConnection::new(Arc::new(self.config()), name).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(tls, tcp);
        stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    fn config(&self) -> ClientConfig {
        let dir = &self.host.tls_dir;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        if !self.client {
            return builder.with_no_client_auth();
        }
        let certificate = CertificateDer::from_pem_file(dir.join("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(dir.join("key.pem")).unwrap();
        builder.with_client_auth_cert(vec![certificate], key).unwrap()
    }
}
