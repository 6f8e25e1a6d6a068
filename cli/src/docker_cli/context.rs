//! Docker's contexts, read from its files.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{LOCAL, Place};
use crate::pem::PemError;

/// The context that is always there and has no files: what the variables name, else this machine's engine.
const DEFAULT: &str = "default";

/// A context that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    /// Nothing says where contexts are.
    #[error("no directory of Docker's contexts: neither DOCKER_CONFIG nor HOME is set")]
    NoHome,
    /// There is none of this name.
    #[error(
        "there is no Docker context `{name}` in {} ({})", dir.display(),
        if have.is_empty() { "there are none".to_owned() } else { format!("there are: {}", have.join(", ")) }
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where contexts are.
        dir: PathBuf,
        /// The names there are.
        have: Vec<String>,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is not what Docker writes.
    #[error("{} is no Docker context", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// It leads to something else than an engine.
    #[error("the Docker context `{0}` has no endpoint `docker`")]
    NoEndpoint(String),
    /// Its TLS material cannot be used.
    #[error("the Docker context `{name}` leads to {endpoint}, which needs TLS material")]
    Tls {
        /// The context.
        name: String,
        /// Where it leads to.
        endpoint: String,
        /// Which file, and why.
        #[source]
        source: PemError,
    },
}

impl ContextError {
    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoHome => "set DOCKER_CONFIG to the directory that has contexts/".into(),
            Self::Unknown { .. } => "`docker context ls` lists them".into(),
            Self::Read { .. } => "check the path and its permissions".into(),
            Self::Malformed { .. } | Self::NoEndpoint(_) => {
                "`docker context inspect` shows what it holds; --docker names an endpoint without it".into()
            }
            Self::Tls { name, endpoint, .. } => format!(
                "docker context update {name} --docker host={endpoint},ca=ca.pem,cert=cert.pem,key=key.pem"
            ),
        }
    }
}

/// A context's file, as far as Shoal reads it.
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints", default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<EndpointMeta>,
}

#[derive(Deserialize)]
struct EndpointMeta {
    #[serde(rename = "Host", default)]
    host: String,
}

/// Contexts by the names of their directories, by which Docker finds both files.
#[derive(Default)]
struct All {
    /// By name.
    whole: Vec<(OsString, Meta)>,
    broken: Vec<(OsString, ContextError)>,
}

/// The name of a context's directory: Docker takes the SHA-256 of its name, in hexadecimal digits.
fn directory(name: &str) -> String {
    hex::encode(Sha256::digest(name))
}

/// The directory of Docker's client.
#[derive(Debug)]
pub(crate) struct Contexts(PathBuf);

impl Contexts {
    /// Where `env`, the environment as a function, says.
    ///
    /// # Errors
    /// [`ContextError::NoHome`].
    pub(crate) fn locate(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, ContextError> {
        let set = |key: &str| env(key).filter(|value| !value.is_empty()).map(PathBuf::from);
        let dir = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")));
        dir.map(Self).ok_or(ContextError::NoHome)
    }

    /// The directory itself, where the material for DOCKER_HOST is.
    pub(super) fn config(&self) -> &Path {
        &self.0
    }

    /// The engine that a context leads to.
    ///
    /// # Errors
    /// [`ContextError`].
    pub(crate) fn place(&self, name: &str) -> Result<Place, ContextError> {
        if name == DEFAULT {
            return Ok(Place { endpoint: LOCAL.into(), tls: None });
        }
        let all = self.all()?;
        let Some((id, meta)) = all.whole.iter().find(|(_, meta)| meta.name == name) else {
            // Its directory tells whose the broken file is.
            if let Some((_, broken)) = all.broken.into_iter().find(|(id, _)| *id == *directory(name)) {
                return Err(broken);
            }
            let have = all.whole.into_iter().map(|(_, meta)| meta.name).collect();
            return Err(ContextError::Unknown { name: name.into(), dir: self.contexts(), have });
        };
        let docker = meta.endpoints.docker.as_ref();
        let docker = docker.ok_or_else(|| ContextError::NoEndpoint(name.into()))?;
        let endpoint = if docker.host.is_empty() { LOCAL.to_owned() } else { docker.host.clone() };
        let dir = self.contexts().join("tls").join(id).join("docker");
        Place::at(endpoint.clone(), &dir).map_err(|source| ContextError::Tls {
            name: name.into(),
            endpoint,
            source,
        })
    }

    /// Names of all contexts that have files, sorted.
    ///
    /// # Errors
    /// As [`Contexts::place`].
    pub(crate) fn names(&self) -> Result<Vec<String>, ContextError> {
        Ok(self.all()?.whole.into_iter().map(|(_, meta)| meta.name).collect())
    }

    fn contexts(&self) -> PathBuf {
        self.0.join("contexts")
    }

    /// What there is; a file that cannot be read makes no other context unusable.
    fn all(&self) -> Result<All, ContextError> {
        let dir = self.contexts().join("meta");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ContextError::Read { path, source }
        };
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(All::default()),
            Err(other) => return Err(failed(&dir)(other)),
        };
        let mut all = All::default();
        for entry in entries {
            let id = entry.map_err(failed(&dir))?.file_name();
            let path = dir.join(&id).join("meta.json");
            let text = match fs::read(&path) {
                Ok(text) => text,
                // Not a context's directory, or one that was removed just now.
                Err(missing)
                    if matches!(missing.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    continue;
                }
                Err(other) => {
                    all.broken.push((id, failed(&path)(other)));
                    continue;
                }
            };
            match serde_json::from_slice(&text) {
                Ok(meta) => all.whole.push((id, meta)),
                Err(source) => all.broken.push((id, ContextError::Malformed { path, source })),
            }
        }
        all.whole.sort_by(|(_, a): &(_, Meta), (_, b)| a.name.cmp(&b.name));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::chain;

    use super::*;

    const CERT: &str = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n";

    fn contexts(dir: &Path, metas: &[(&str, &str)]) -> Contexts {
        for (id, text) in metas {
            let meta = dir.join("contexts/meta").join(id);
            fs::create_dir_all(&meta).unwrap();
            fs::write(meta.join("meta.json"), text).unwrap();
        }
        Contexts(dir.to_owned())
    }

    #[test]
    fn where_docker_has_them() {
        let env = |vars: &'static [(&str, &str)]| {
            move |key: &str| vars.iter().find(|(k, _)| *k == key).map(|(_, v)| OsString::from(v))
        };
        for (vars, dir) in [
            (&[("HOME", "/h")][..], Some("/h/.docker")),
            (&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")], Some("/d")),
            (&[("HOME", "/h"), ("DOCKER_CONFIG", "")], Some("/h/.docker")),
            (&[], None),
        ] {
            assert_eq!(Contexts::locate(env(vars)).ok().map(|c| c.0), dir.map(PathBuf::from), "{vars:?}");
        }
    }

    #[test]
    fn endpoint_and_material_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let contexts = contexts(
            dir.path(),
            &[
                // As docker 28 writes it.
                (
                    "aa",
                    r#"{"Name":"far","Metadata":{"Description":"x"},"Endpoints":{"docker":{"Host":"tcp://[fd00::1]:2376","SkipTLSVerify":false}}}"#,
                ),
                (
                    "bb",
                    r#"{"Name":"near","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/d.sock"}}}"#,
                ),
                ("cc", r#"{"Name":"blank","Endpoints":{"docker":{}}}"#),
                ("dd", r#"{"Name":"cloud","Endpoints":{}}"#),
            ],
        );
        let error = chain(&contexts.place("far").unwrap_err());
        assert!(error.contains("`far` leads to tcp://[fd00::1]:2376") && error.contains("ca.pem"), "{error}");
        let tls = dir.path().join("contexts/tls/aa/docker");
        fs::create_dir_all(&tls).unwrap();
        for (file, text) in [("ca.pem", CERT), ("cert.pem", CERT), ("key.pem", KEY)] {
            fs::write(tls.join(file), text).unwrap();
        }
        let far = contexts.place("far").unwrap();
        assert_eq!((far.endpoint.as_str(), far.tls.unwrap().key.as_str()), ("tcp://[fd00::1]:2376", KEY));
        let plain = |endpoint: &str| Place { endpoint: endpoint.into(), tls: None };
        assert_eq!(contexts.place("near").unwrap(), plain("unix:///run/d.sock"));
        assert_eq!(contexts.place("blank").unwrap(), plain(LOCAL));
        assert_eq!(contexts.place("default").unwrap(), plain(LOCAL));
        assert!(matches!(contexts.place("cloud"), Err(ContextError::NoEndpoint(_))));
        assert_eq!(contexts.names().unwrap(), ["blank", "cloud", "far", "near"]);
        let error = contexts.place("nowhere").unwrap_err().to_string();
        assert!(error.contains("there are: blank, cloud, far, near"), "{error}");
    }

    #[test]
    fn without_contexts_and_with_broken_ones() {
        let dir = tempfile::tempdir().unwrap();
        let none = Contexts(dir.path().join("nowhere"));
        assert_eq!(none.names().unwrap(), [""; 0]);
        assert!(none.place("x").unwrap_err().to_string().ends_with("(there are none)"));
        // printf x | sha256sum
        let of_x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        let near = r#"{"Name":"near","Endpoints":{"docker":{"Host":"unix:///run/d.sock"}}}"#;
        let broken = contexts(dir.path(), &[(of_x, "{"), ("aa", "{"), ("bb", near)]);
        let error = chain(&broken.place("x").unwrap_err());
        assert!(error.contains(&format!("meta/{of_x}/meta.json is no Docker context: EOF")), "{error}");
        assert_eq!(broken.place("near").unwrap().endpoint, "unix:///run/d.sock");
        assert_eq!(broken.names().unwrap(), ["near"]);
        assert!(matches!(broken.place("y"), Err(ContextError::Unknown { .. })));
    }
}
