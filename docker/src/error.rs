//! Everything an engine, or the way to it, can answer instead of what was asked.
//!
//! Made in one place from bollard's, hyper's and rustls's errors (`real/fault.rs`). Two questions are answered here for
//! everybody: what to do about it ([`EngineError::class`]) and whether it speaks against the host
//! ([`EngineError::blames_host`]); a user's mistake never does.

use std::{fmt, io, time::Duration};

use crate::Endpoint;

/// What a call was about, as shown: `container shoal-1f2e-n3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The engine itself.
    Engine,
    /// A container, by id or name.
    Container(String),
    /// A network, by id or name.
    Network(String),
    /// A volume, by name.
    Volume(String),
    /// An image, by reference or id.
    Image(String),
    /// A path inside a container.
    Path {
        /// The container, by id or name.
        container: String,
        /// The path.
        path: String,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => f.write_str("engine"),
            Self::Container(name) => write!(f, "container {name}"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::Volume(name) => write!(f, "volume {name}"),
            Self::Image(name) => write!(f, "image {name}"),
            Self::Path { container, path } => write!(f, "path {path} in container {container}"),
        }
    }
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// The same call may succeed a little later.
    Retry,
    /// The engine's state is not what the call assumed: observe, then decide again.
    Observe,
    /// What was asked for cannot be had: the request must change.
    User,
    /// This host cannot be used until an operator changes something.
    Fatal,
}

/// Which certificate a TLS connection failed on, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// The engine's certificate comes from another CA.
    #[error(
        "the engine's certificate is not signed by the given CA: its issuer is `{issuer}`, {}",
        if given.contains(issuer) {
            "of which the CA file has another certificate with the same name: take the ca.pem that the engine's was signed with"
                .to_owned()
        } else {
            format!(
                "the CA file has `{}`: give the issuer's certificate as CA, or put an intermediate's behind the engine's (`cat \
                 server-cert.pem intermediate.pem`)",
                given.join("`, `")
            )
        }
    )]
    UnknownIssuer {
        /// Who signed it.
        issuer: String,
        /// Whose certificates the CA file has.
        given: Vec<String>,
    },
    /// The engine's certificate is for other names.
    #[error(
        "the engine's certificate is not for `{host}` ({}): issue it anew with it as subjectAltName, `openssl x509 -req -in \
         server.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out server-cert.pem -extfile <(echo subjectAltName={}:{host})`",
        if presented.is_empty() {
            "it has no subjectAltName, and a common name counts for nobody".to_owned()
        } else {
            format!("it names {}", presented.join(", "))
        },
        if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" }
    )]
    NameMismatch {
        /// The name or address asked for.
        host: String,
        /// The names the certificate carries, as OpenSSL writes them: `DNS:h.example`, `IP:10.0.0.1`.
        presented: Vec<String>,
    },
    /// The engine's certificate has a key that ring cannot check.
    #[error(
        "the engine's certificate has {0}, which Shoal cannot check: P-256, P-384, Ed25519 and RSA from 2048 bits can be, such as \
         of `openssl ecparam -name prime256v1 -genkey -noout -out server-key.pem`"
    )]
    ServerKey(String),
    /// Nobody trusts such a signature any more.
    #[error("the engine's certificate is signed with {0}: issue it anew, `openssl x509 -req -sha256 ...`")]
    ServerSignature(String),
    /// The engine's certificate is for something else than servers.
    #[error(
        "the engine's certificate is not for servers: issue it with `extendedKeyUsage=serverAuth`, in the -extfile of `openssl \
         x509 -req`"
    )]
    ServerPurpose,
    /// The engine's certificate is an authority's, another one than the given.
    #[error(
        "the engine's certificate is an authority's (CA:TRUE): give this very certificate as CA, or issue the engine's with \
         `basicConstraints=CA:FALSE`"
    )]
    ServerIsAuthority,
    /// The engine's certificate has run out.
    #[error("the engine's certificate has expired")]
    ServerExpired,
    /// The engine's certificate is not valid yet; one of the clocks may be wrong.
    #[error("the engine's certificate is not valid yet: compare the clocks of both machines")]
    ServerNotYetValid,
    /// The engine's certificate is unusable in another way.
    #[error("the engine's certificate is not usable: {0}")]
    ServerCertificate(String),
    /// The engine refused our certificate.
    #[error(
        "the engine rejected our client certificate ({0}): the CA of the engine's --tlscacert must have signed it"
    )]
    ClientRejected(String),
    /// Both sides know no algorithm in common.
    #[error(
        "the engine found no algorithm in common with Shoal: its key must be P-256, P-384, Ed25519 or RSA from 2048 bits, such as \
         of `openssl ecparam -name prime256v1 -genkey -noout -out server-key.pem`"
    )]
    NothingInCommon,
    /// The other side does not speak TLS.
    #[error("the other side does not speak TLS on this port")]
    NotTls,
    /// Anything else in the handshake.
    #[error("{0}")]
    Other(String),
}

/// What stores a key, and the keys of its host with it.
const STORE: &str = "`shoal set host NAME --docker ENDPOINT --ssh-key FILE` stores it";

/// Why the OpenSSH client does not lead to an engine: its own words, once, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshProblem {
    /// The client cannot be run, or not with this configuration.
    #[error(
        "the OpenSSH client cannot be used here: {0}: install it, or mend the file in ~/.ssh that it names"
    )]
    Client(String),
    /// Nothing tells this host from another.
    #[error(
        "{said}: {}",
        if *stored {
            format!("the store has no such key of the host: {STORE}, with the host's line in ~/.ssh/known_hosts")
        } else {
            format!("`ssh {typed}` once shows its fingerprint: compare that with the host's own, then answer yes")
        }
    )]
    HostKeyUnknown {
        /// ssh's words.
        said: String,
        /// The destination as typed after `ssh`.
        typed: String,
        /// Whether the keys are the store's (`--ssh-key`) instead of the user's.
        stored: bool,
    },
    /// Another key than the known one.
    #[error(
        "{said}: another machine may answer there. If the host was made anew, {}",
        if *stored {
            format!("`ssh-keygen -R HOST` forgets the old key in ~/.ssh/known_hosts; once the new one is there, {STORE}")
        } else {
            format!("`ssh-keygen -R HOST` forgets the old key and `ssh {typed}` learns the new one")
        }
    )]
    HostKeyChanged {
        /// ssh's words.
        said: String,
        /// The destination as typed after `ssh`.
        typed: String,
        /// Whether the keys are the store's (`--ssh-key`) instead of the user's.
        stored: bool,
    },
    /// No key opens the account.
    #[error(
        "{said}: {}",
        if *stored {
            format!("the account must take the stored key (~/.ssh/authorized_keys there), or another one is stored: {STORE}")
        } else {
            format!(
                "`ssh -o BatchMode=yes {typed} true` must work without a question: add the key to the agent (`ssh-add`), or name \
                 user and key in ~/.ssh/config"
            )
        }
    )]
    Denied {
        /// ssh's words.
        said: String,
        /// The destination as typed after `ssh`.
        typed: String,
        /// Whether the keys are the store's (`--ssh-key`) instead of the user's.
        stored: bool,
    },
    /// Nobody listens on the engine's socket there, or not for this account.
    #[error(
        "sshd does not reach {socket} there ({said}): see that the engine listens on it and the account may use it (`ssh {typed} \
         docker info`; `sudo usermod -aG docker USER` adds it to the group docker), or name the socket: ssh://HOST/path"
    )]
    NoSocket {
        /// ssh's words.
        said: String,
        /// The socket.
        socket: String,
        /// The destination as typed after `ssh`.
        typed: String,
    },
    /// sshd is told to forward nothing.
    #[error(
        "sshd there forwards no sockets ({said}): AllowStreamLocalForwarding must be yes and DisableForwarding no"
    )]
    Forbidden {
        /// ssh's words.
        said: String,
    },
    /// Everything else: no route, no answer, a jump host that refuses.
    #[error("{0}")]
    Ended(String),
}

/// An answer that is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nothing listens there, or not for us.
    #[error("{endpoint} refused the connection")]
    Refused {
        /// Which engine.
        endpoint: Endpoint,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No connection could be made, or it broke in the middle.
    #[error("{endpoint} cannot be reached")]
    Unreachable {
        /// Which engine.
        endpoint: Endpoint,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No answer within the limit of the call's class.
    #[error("{endpoint} did not answer `{call}` on {subject} within {} s", after.as_secs_f32())]
    Timeout {
        /// Which engine.
        endpoint: Endpoint,
        /// Which call.
        call: &'static str,
        /// About what.
        subject: Subject,
        /// The limit.
        after: Duration,
    },
    /// TLS could not be agreed on.
    #[error("{endpoint}: TLS failed: {problem}")]
    Tls {
        /// Which engine.
        endpoint: Endpoint,
        /// Which certificate, and why.
        problem: TlsProblem,
    },
    /// ssh does not lead there.
    #[error("{endpoint}: {problem}")]
    Ssh {
        /// Which engine.
        endpoint: Endpoint,
        /// Why not.
        problem: SshProblem,
    },
    /// A `tcp://` endpoint without TLS material: whoever reaches it would be root on that host.
    #[error(
        "{endpoint} needs TLS: give a CA, a client certificate and its key (with plain TCP every client would be root on that host)"
    )]
    TlsRequired {
        /// Which engine.
        endpoint: Endpoint,
    },
    /// TLS material that cannot be used.
    #[error("{endpoint}: the TLS material is not usable")]
    Material {
        /// Which engine.
        endpoint: Endpoint,
        /// Which file, and why.
        #[source]
        source: crate::TlsMaterialError,
    },
    /// The engine is older than Shoal can use.
    #[error("{endpoint} runs engine {version} (API {api}): 20.10 (API 1.41) or newer is needed")]
    TooOld {
        /// Which engine.
        endpoint: Endpoint,
        /// Its version.
        version: String,
        /// The newest API it speaks.
        api: String,
    },
    /// Something answered that is not a Docker Engine.
    #[error("{endpoint} is not a Docker Engine: it answered {answer}")]
    NotDocker {
        /// Which endpoint.
        endpoint: Endpoint,
        /// What it answered, shortened.
        answer: String,
    },
    /// Something the call needs is not there. Removing what is not there is no error.
    #[error("{endpoint}: no such {subject}")]
    NotFound {
        /// Which engine.
        endpoint: Endpoint,
        /// What is missing; not always what the call was about: an image on create, a network on start.
        subject: Subject,
    },
    /// The name belongs to something else (HTTP 409, first kind). Containers: see [`crate::Created::Exists`].
    #[error("{endpoint}: the name of {subject} is in use")]
    NameInUse {
        /// Which engine.
        endpoint: Endpoint,
        /// Whose name.
        subject: Subject,
    },
    /// It is being removed (HTTP 409, second kind): wait and look again.
    #[error("{endpoint}: {subject} is being removed")]
    RemovalInProgress {
        /// Which engine.
        endpoint: Endpoint,
        /// What.
        subject: Subject,
    },
    /// Its state does not allow the call (HTTP 409, third kind): not running, paused, in use.
    #[error("{endpoint}: {call} on {subject} conflicts with its state: {message}")]
    Conflict {
        /// Which engine.
        endpoint: Endpoint,
        /// Which call.
        call: &'static str,
        /// On what.
        subject: Subject,
        /// The engine's words.
        message: String,
    },
    /// Another container of this engine has the address.
    #[error("{endpoint}: the address of {subject} is in use on this engine")]
    AddressInUse {
        /// Which engine.
        endpoint: Endpoint,
        /// Whose address.
        subject: Subject,
    },
    /// The subnet overlaps one the engine has.
    #[error("{endpoint}: the subnet of {subject} overlaps a network of this engine")]
    PoolOverlap {
        /// Which engine.
        endpoint: Endpoint,
        /// Whose subnet.
        subject: Subject,
    },
    /// The engine calls the request wrong, or cannot run the command asked for.
    #[error("{endpoint} refused {call} on {subject}: {message}")]
    BadRequest {
        /// Which engine.
        endpoint: Endpoint,
        /// Which call.
        call: &'static str,
        /// On what.
        subject: Subject,
        /// The engine's words.
        message: String,
    },
    /// More data than the caller allowed.
    #[error("{endpoint}: {call} on {subject} gave more than {limit} bytes")]
    TooLarge {
        /// Which engine.
        endpoint: Endpoint,
        /// Which call.
        call: &'static str,
        /// On what.
        subject: Subject,
        /// The limit in bytes.
        limit: usize,
    },
    /// The host's disk is full.
    #[error("{endpoint}: no space left on the host's disk for {call} on {subject}")]
    DiskFull {
        /// Which engine.
        endpoint: Endpoint,
        /// Which call.
        call: &'static str,
        /// On what.
        subject: Subject,
    },
    /// The engine failed.
    #[error("{endpoint} failed {call} on {subject}: {message}")]
    ServerError {
        /// Which engine.
        endpoint: Endpoint,
        /// Which call.
        call: &'static str,
        /// On what.
        subject: Subject,
        /// HTTP status; 200 if it failed after its answer had begun.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The image's registry failed the engine, or cannot be reached from it.
    #[error("{endpoint} cannot get {subject} from its registry: {message}")]
    Registry {
        /// Which engine.
        endpoint: Endpoint,
        /// Which image.
        subject: Subject,
        /// The engine's words.
        message: String,
    },
    /// The engine's answer cannot be understood.
    #[error("{endpoint} answered {call} on {subject} with something unexpected: {message}")]
    BadAnswer {
        /// Which engine.
        endpoint: Endpoint,
        /// Which call.
        call: &'static str,
        /// On what.
        subject: Subject,
        /// What is wrong with it.
        message: String,
    },
}

impl EngineError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> RetryClass {
        match self {
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::DiskFull { .. }
            | Self::Registry { .. }
            | Self::ServerError { .. } => RetryClass::Retry,
            Self::NotFound { .. }
            | Self::NameInUse { .. }
            | Self::RemovalInProgress { .. }
            | Self::Conflict { .. }
            | Self::AddressInUse { .. }
            | Self::PoolOverlap { .. } => RetryClass::Observe,
            Self::BadRequest { .. } | Self::TooLarge { .. } => RetryClass::User,
            Self::Tls { .. }
            | Self::Ssh { .. }
            | Self::TlsRequired { .. }
            | Self::Material { .. }
            | Self::TooOld { .. }
            | Self::NotDocker { .. }
            | Self::BadAnswer { .. } => RetryClass::Fatal,
        }
    }

    /// Whether the error counts against the host: only such errors count towards calling it unreachable.
    #[must_use]
    pub fn blames_host(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Tls { .. }
            | Self::Ssh { .. }
            | Self::TooOld { .. }
            | Self::NotDocker { .. }
            | Self::DiskFull { .. }
            | Self::ServerError { .. }
            | Self::BadAnswer { .. } => true,
            Self::TlsRequired { .. }
            | Self::Material { .. }
            | Self::NotFound { .. }
            | Self::NameInUse { .. }
            | Self::RemovalInProgress { .. }
            | Self::Conflict { .. }
            | Self::AddressInUse { .. }
            | Self::PoolOverlap { .. }
            | Self::BadRequest { .. }
            | Self::Registry { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Whether the engine said nothing at all.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unreachable { .. } | Self::Timeout { .. })
    }

    /// Whether the call may have taken effect although it failed: only looking again tells.
    #[must_use]
    pub fn effect_unknown(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Timeout { .. }
                | Self::ServerError { .. }
                | Self::BadAnswer { .. }
        )
    }
}
