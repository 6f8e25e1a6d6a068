//! Connecting: from an endpoint and TLS material to an engine that is known to be one, new enough, with an API version
//! both sides speak.

use std::{io, sync::Arc};

use bollard::{API_DEFAULT_VERSION, errors::Error, models::SystemVersion};
use shoal_types::Timestamp;

use super::{
    Docker,
    call::Call,
    fault::{fault, shorten, ssh},
    ssh::Way,
    transport::{Transport, shown_certificate, verdict},
};
use crate::{
    CallClass, Credential, Endpoint, Engine, EngineError, SshDestination, SshProblem, Subject, Timeouts,
    TlsMaterial, TlsProblem, tls::expiry,
};

/// The oldest API spoken: engine 20.10, the first with private cgroup namespaces and cgroup version 2.
const OLDEST_API: (usize, usize) = (1, 41);

/// Connects to an engine and agrees on an API version. Connections are pooled and made anew when needed, so the result
/// stays usable across restarts of the engine.
///
/// # Errors
/// - `Refused`, `Unreachable`, `Timeout`: nothing usable answers;
/// - `Ssh`: the OpenSSH client does not lead there;
/// - `TlsRequired`: a `tcp://` endpoint without material; `Material`: material that cannot be used; `Tls`: the handshake
///   failed, with which certificate and why;
/// - `NotDocker`: something else answers there; `TooOld`: an engine before 20.10.
pub async fn connect(
    endpoint: &Endpoint,
    credential: Option<&Credential>,
    timeouts: Timeouts,
) -> Result<Arc<dyn Engine>, EngineError> {
    let tls = credential.and_then(Credential::tls);
    let transport = match (endpoint, credential) {
        (Endpoint::Unix(path), _) => Transport::unix(path, &timeouts),
        (Endpoint::Ssh(to), _) => Transport::ssh(logged_in(endpoint, to, credential).await?, &timeouts),
        (Endpoint::Tcp { .. }, None | Some(Credential::Ssh(_))) => {
            return Err(EngineError::TlsRequired { endpoint: endpoint.clone() });
        }
        (Endpoint::Tcp { host, port }, Some(Credential::Tls(material))) => {
            let config = material
                .client_config()
                .map_err(|source| EngineError::Material { endpoint: endpoint.clone(), source })?;
            Transport::tls(host, *port, config, &timeouts)
        }
    };
    let call = Call::new("version", Subject::Engine, CallClass::Read);
    let handle = |api: Option<&str>| transport.handle(api).map_err(|error| fault(endpoint, &call, error));
    let unversioned = Docker {
        endpoint: Arc::new(endpoint.clone()),
        api_version: "".into(),
        timeouts,
        bollard: handle(None)?,
        transport: transport.clone(),
    };
    let asked = async {
        // dockerd runs two programs before it answers `/version`: only a server that fails the ping check is asked, for its name.
        let pinged = unversioned.call(&call, transport.ping()).await?;
        match pinged.as_deref().and_then(parse_api).filter(|api| *api >= OLDEST_API) {
            Some(api) => Ok(common(api)),
            None => agree(endpoint, &unversioned.call(&call, unversioned.bollard.version()).await?),
        }
    };
    let api = match asked.await {
        Ok(api) => api,
        Err(broken @ EngineError::Unreachable { .. }) if !is_silence(&broken) => {
            return Err(doubted(alert(endpoint, tls, &call, timeouts, broken).await, tls));
        }
        Err(error) => return Err(doubted(not_docker(endpoint, error), tls)),
    };
    let bollard = handle(Some(&api))?;
    Ok(Arc::new(Docker { api_version: api.into(), bollard, ..unversioned }))
}

/// An SSH connection that stands.
async fn logged_in(
    endpoint: &Endpoint,
    to: &SshDestination,
    credential: Option<&Credential>,
) -> Result<Way, EngineError> {
    let material = match credential {
        Some(Credential::Ssh(material)) => Some(material),
        Some(Credential::Tls(_)) | None => None,
    };
    let way = Way::open(to.clone(), material);
    let way = way.map_err(|error| ssh(endpoint, SshProblem::Client(error.to_string())))?;
    way.ready().await.map_err(|problem| ssh(endpoint, problem))?;
    Ok(way)
}

/// Until when the certificate is valid that the engine shows; `None` for one reached without TLS.
///
/// # Errors
/// `Refused`, `Unreachable`, `Timeout`, `Tls`, `Material`: there is no connection.
pub async fn server_expiry(
    endpoint: &Endpoint,
    credential: Option<&Credential>,
    timeouts: Timeouts,
) -> Result<Option<Timestamp>, EngineError> {
    let (Endpoint::Tcp { host, port }, Some(Credential::Tls(material))) = (endpoint, credential) else {
        return Ok(None);
    };
    let bad = |source| EngineError::Material { endpoint: endpoint.clone(), source };
    let config = material.client_config().map_err(bad)?;
    let call = Call::new("handshake", Subject::Engine, CallClass::Read);
    let shown = shown_certificate(host, *port, config, &timeouts).await;
    let shown = shown.map_err(|err| fault(endpoint, &call, Error::IOError { err }))?;
    Ok(shown.and_then(|der| expiry(&der).ok()))
}

/// Whether no connection came about: an alert travels on one, so a second dial would hear none and wait as long again.
fn is_silence(error: &EngineError) -> bool {
    use io::ErrorKind::{HostUnreachable, NetworkUnreachable, TimedOut};
    let EngineError::Unreachable { source, .. } = error else { return false };
    matches!(source.kind(), HostUnreachable | NetworkUnreachable | TimedOut)
}

/// Why a connection broke, if it was for our certificate; otherwise the error as it is.
async fn alert(
    endpoint: &Endpoint,
    tls: Option<&TlsMaterial>,
    call: &Call,
    timeouts: Timeouts,
    broken: EngineError,
) -> EngineError {
    let (Endpoint::Tcp { host, port }, Some(Ok(config))) = (endpoint, tls.map(TlsMaterial::client_config))
    else {
        return broken;
    };
    let Err(err) = verdict(host, *port, config, &timeouts).await else { return broken };
    let why = fault(endpoint, call, Error::IOError { err });
    if matches!(why, EngineError::Tls { .. }) { why } else { broken }
}

/// With what about our certificate may be why the engine refused it.
fn doubted(mut error: EngineError, tls: Option<&TlsMaterial>) -> EngineError {
    if let EngineError::Tls { problem: TlsProblem::ClientRejected(said), .. } = &mut error
        && let Some(doubt) = tls.and_then(TlsMaterial::doubt)
    {
        *said = format!("{said}; {doubt}");
    }
    error
}

/// To the first question every Docker Engine has an answer: any other is not from one.
fn not_docker(endpoint: &Endpoint, error: EngineError) -> EngineError {
    let answer =
        if let EngineError::BadAnswer { message, .. } | EngineError::BadRequest { message, .. } = error {
            message
        } else if let EngineError::NotFound { subject, .. } = error {
            format!("no such {subject}")
        } else {
            return error;
        };
    EngineError::NotDocker { endpoint: endpoint.clone(), answer }
}

fn agree(endpoint: &Endpoint, version: &SystemVersion) -> Result<String, EngineError> {
    let not_docker = |answer: String| EngineError::NotDocker { endpoint: endpoint.clone(), answer };
    let components = version.components.as_deref().unwrap_or_default();
    if let Some(podman) = components.iter().find(|c| c.name.starts_with("Podman")) {
        return Err(not_docker(format!("{} {}", shorten(&podman.name), shorten(&podman.version))));
    }
    let text = version.api_version.as_deref().unwrap_or_default();
    let api = parse_api(text).ok_or_else(|| not_docker("a version without `ApiVersion`".into()))?;
    if api < OLDEST_API {
        return Err(EngineError::TooOld {
            endpoint: endpoint.clone(),
            version: shorten(version.version.as_deref().unwrap_or("of unknown version")),
            api: text.to_owned(),
        });
    }
    Ok(common(api))
}

/// What bollard's types are made for, or what the engine speaks, whichever is older.
fn common(api: (usize, usize)) -> String {
    let ours = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
    let (major, minor) = api.min(ours);
    format!("{major}.{minor}")
}

fn parse_api(text: &str) -> Option<(usize, usize)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod stub;
#[cfg(test)]
mod tests;
