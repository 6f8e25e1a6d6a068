//! The engine that the variables of Docker's client name.

use std::{ffi::OsString, path::PathBuf};

use shoal_types::{HostName, chain};

use super::{Contexts, Place, needs_tls};
use crate::error::CliError;

/// A name for the host where nothing better is known.
const UNNAMED: &str = "docker-host";

/// The engine that a variable names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// `DOCKER_HOST` or `DOCKER_CONTEXT`.
    pub(crate) variable: &'static str,
    /// Where it is.
    pub(crate) place: Place,
    /// A name for it as a host.
    pub(crate) name: HostName,
}

/// What `env`, the environment as a function, names: DOCKER_HOST before DOCKER_CONTEXT, as in Docker's client.
///
/// # Errors
/// [`CliError::Usage`]: a variable is not UTF-8. [`CliError::Context`], [`CliError::Pem`]: what it names cannot be used.
pub(crate) fn named_by_variables(env: impl Fn(&str) -> Option<OsString>) -> Result<Option<Named>, CliError> {
    let text = |variable: &'static str| match env(variable).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value
            .into_string()
            .map(Some)
            .map_err(|_| CliError::usage(format!("{variable} is not UTF-8"), "unset it".to_owned())),
    };
    if let Some(endpoint) = text("DOCKER_HOST")? {
        let name = name_of(&endpoint)?;
        let named = env("DOCKER_CERT_PATH").filter(|value| !value.is_empty()).map(PathBuf::from);
        let dir = || match named {
            Some(dir) => Ok(dir),
            None => Contexts::locate(&env).map(|contexts| contexts.config().to_owned()),
        };
        // Only there is a directory of files needed, which no variable may name.
        let place = match needs_tls(&endpoint) {
            true => Place::at(endpoint, &dir()?)?,
            false => Place { endpoint, tls: None },
        };
        return Ok(Some(Named { variable: "DOCKER_HOST", place, name }));
    }
    match text("DOCKER_CONTEXT")? {
        None => Ok(None),
        Some(context) => {
            let place = Contexts::locate(&env)?.place(&context)?;
            let name = context.parse().or_else(|_| name_of(&place.endpoint))?;
            Ok(Some(Named { variable: "DOCKER_CONTEXT", place, name }))
        }
    }
}

/// `local` for a socket of this machine, else the first label of the host's name.
fn name_of(endpoint: &str) -> Result<HostName, CliError> {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let label = place.split(['.', ':', '/']).next().unwrap_or_default().to_ascii_lowercase();
    let wanted = if scheme == "unix" { "local" } else { &label };
    wanted.parse().or_else(|_| UNNAMED.parse()).map_err(|error| CliError::usage(chain(&error), None))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CERT: &str = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n";

    fn read(vars: &[(&str, &str)]) -> Result<Option<Named>, CliError> {
        named_by_variables(|key| vars.iter().find(|(k, _)| *k == key).map(|(_, v)| OsString::from(v)))
    }

    #[test]
    fn docker_host_before_docker_context_before_nothing() {
        assert_eq!(read(&[("HOME", "/h"), ("DOCKER_HOST", "")]).unwrap(), None);
        let both = [("HOME", "/h"), ("DOCKER_HOST", "unix:///x.sock"), ("DOCKER_CONTEXT", "nowhere")];
        let named = read(&both).unwrap().unwrap();
        assert_eq!((named.variable, named.place.endpoint.as_str()), ("DOCKER_HOST", "unix:///x.sock"));
        assert!(matches!(read(&both[2..]), Err(CliError::Context(_))));
        let named = read(&[("HOME", "/h"), ("DOCKER_CONTEXT", "default")]).unwrap().unwrap();
        assert_eq!((named.variable, named.name.as_str()), ("DOCKER_CONTEXT", "default"));
    }

    #[test]
    fn material_is_where_docker_looks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        let vars = [("DOCKER_HOST", "tcp://gpu1:2376"), ("DOCKER_CERT_PATH", &path)];
        assert!(matches!(read(&vars), Err(CliError::Pem(_))));
        for (file, text) in [("ca.pem", CERT), ("cert.pem", CERT), ("key.pem", KEY)] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        assert_eq!(read(&vars).unwrap().unwrap().place.tls.unwrap().key, KEY);
        let config = [("DOCKER_HOST", "tcp://gpu1:2376"), ("DOCKER_CONFIG", &*path)];
        assert!(read(&config).unwrap().unwrap().place.tls.is_some());
        // Without TLS, nothing need say where.
        assert!(matches!(read(&config[..1]), Err(CliError::Context(_))));
        for endpoint in ["unix:///x.sock", "ssh://me@gpu1"] {
            let place = read(&[("DOCKER_HOST", endpoint)]).unwrap().unwrap().place;
            assert_eq!(place, Place { endpoint: endpoint.into(), tls: None });
        }
    }

    #[test]
    fn a_host_is_named_for_its_machine() {
        for (endpoint, name) in [
            ("unix:///var/run/docker.sock", "local"),
            ("tcp://GPU1.lab.example:2376", "gpu1"),
            ("tcp://10.0.0.5:2376", "docker-host"),
            ("tcp://[fd00::1]:2376", "docker-host"),
            ("ssh://me@gpu1:22/run/d.sock", "gpu1"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(name_of(endpoint).unwrap().as_str(), name, "{endpoint}");
        }
    }
}
