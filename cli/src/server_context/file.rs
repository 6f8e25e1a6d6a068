//! A context as a file: what `shoal create user` writes, and hands to a user.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use shoal_api::Certificate;
use shoal_coordinator::{RemoteCredentials, RemoteError, UserKey, is_address};
use shoal_types::Timestamp;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::private_file::replace;

/// Largest file that is read as a context.
const MAX_BYTES: u64 = 1 << 20;

/// A context.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextFile {
    /// The user that the certificate is of.
    pub(crate) user: String,
    /// Servers of the installation, `HOST:PORT`; the first that answers is used.
    pub(crate) servers: Vec<String>,
    /// Certificate of the installation's authority, PEM.
    authority: String,
    /// The user's certificate, PEM.
    certificate: String,
    /// Its private key, PEM.
    key: String,
    /// When another certificate is asked for, milliseconds since the epoch.
    renew_after_ms: u64,
    /// When the certificate ends, milliseconds since the epoch.
    pub(crate) not_after_ms: u64,
}

impl std::fmt::Debug for ContextFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContextFile")
            .field("user", &self.user)
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

/// Why a file is no context.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextFileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is no context of a server: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without any of its content.
        why: String,
    },
    /// Its certificate or key cannot be used.
    #[error("{}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: RemoteError,
    },
    /// Its certificate has ended.
    #[error("the certificate of {user} in {} has expired", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// The user.
        user: String,
    },
}

impl ContextFileError {
    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Read { .. } | Self::Write { .. } => "check the path and its permissions".into(),
            Self::Malformed { .. } | Self::Credentials { .. } => {
                "a context is the file that `shoal create user` writes, as it is".into()
            }
            Self::Expired { .. } => {
                "it is renewed while it is used; ask an administrator for another: `shoal revoke user`, `shoal create user`"
                    .into()
            }
        }
    }
}

impl ContextFile {
    /// That of a user who was just made.
    pub(crate) fn new(
        user: String,
        servers: Vec<String>,
        certificate: Certificate,
        key: &UserKey,
        now: Timestamp,
    ) -> Self {
        let mut made = Self {
            user,
            servers,
            authority: String::new(),
            certificate: String::new(),
            key: String::new(),
            renew_after_ms: 0,
            not_after_ms: 0,
        };
        made.renew(certificate, key, now);
        made
    }

    /// Takes another certificate.
    pub(crate) fn renew(&mut self, certificate: Certificate, key: &UserKey, now: Timestamp) {
        self.authority = certificate.authority;
        self.certificate = certificate.certificate;
        self.key = (*key.key).clone();
        self.not_after_ms = certificate.not_after_ms;
        // A third of it is left for those who come seldom.
        self.renew_after_ms = now.0.saturating_add(certificate.not_after_ms.saturating_sub(now.0) / 3 * 2);
    }

    /// Whether another certificate is to be asked for.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now.0 >= self.renew_after_ms
    }

    /// Reads one, and sees that it can be used.
    ///
    /// # Errors
    /// [`ContextFileError`].
    pub(crate) fn read(path: &Path, now: Timestamp) -> Result<Self, ContextFileError> {
        let failed = |source| ContextFileError::Read { path: path.into(), source };
        let malformed = |why: String| ContextFileError::Malformed { path: path.into(), why };
        let mut text = Zeroizing::new(Vec::new());
        let file = File::open(path).map_err(failed)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(malformed("it has more than 1 MiB".into()));
        }
        // The reason of a wrong value quotes it, and it may be the key.
        let at =
            |error: serde_json::Error| malformed(format!("line {}, column {}", error.line(), error.column()));
        let read: Self = serde_json::from_slice(&text).map_err(at)?;
        if let Some(wrong) = read.servers.iter().find(|server| !is_address(server)) {
            let shown: String = wrong.chars().take(64).collect();
            return Err(malformed(format!("`{shown}` is no address of a server")));
        }
        if read.servers.is_empty() {
            return Err(malformed("it names no server".into()));
        }
        let unusable = |source| ContextFileError::Credentials { path: path.into(), source };
        read.credentials().check().map_err(unusable)?;
        if now.0 >= read.not_after_ms {
            return Err(ContextFileError::Expired { path: path.into(), user: read.user.clone() });
        }
        Ok(read)
    }

    /// Writes it, 0600, whole or not at all.
    ///
    /// # Errors
    /// [`ContextFileError::Write`].
    pub(crate) fn write(&self, path: &Path) -> Result<(), ContextFileError> {
        let failed = |source| ContextFileError::Write { path: path.into(), source };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        let text = Zeroizing::new(text + "\n");
        replace(path, &text).map_err(failed)
    }

    /// What is shown to a server.
    pub(crate) fn credentials(&self) -> RemoteCredentials {
        RemoteCredentials {
            authority: self.authority.clone(),
            certificate: self.certificate.clone(),
            key: Zeroizing::new(self.key.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use shoal_lab::Authority;
    use shoal_types::chain;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn made() -> ContextFile {
        let authority = Authority::named("a").unwrap();
        let (certificate, key) = authority.signed(&rcgen::CertificateParams::default()).unwrap();
        let certificate = Certificate { certificate, authority: authority.pem(), not_after_ms: 31_000 };
        let key = UserKey { key: Zeroizing::new(key), point: vec![] };
        ContextFile::new("ann".into(), vec!["shoal.example:7443".into()], certificate, &key, NOW)
    }

    #[test]
    fn private_renewed_in_time_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ann.json");
        let made = made();
        made.write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = ContextFile::read(&path, NOW).unwrap();
        assert_eq!((&read.user, &read.servers), (&made.user, &made.servers));
        assert!(!read.is_due(Timestamp(20_999)) && read.is_due(Timestamp(21_000)));
        let expired = ContextFile::read(&path, Timestamp(31_000)).unwrap_err();
        assert!(chain(&expired).contains("the certificate of ann in") && chain(&expired).contains("expired"));
        assert!(!format!("{read:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_no_context_is_refused_without_a_word_of_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        let whole = serde_json::to_value(made()).unwrap();
        let with = |field: &str, value: serde_json::Value| {
            let mut other = whole.clone();
            other[field] = value;
            other.to_string()
        };
        let other_key = UserKey::generate().unwrap().key.to_string();
        for (text, why) in [
            ("".to_owned(), "line 1, column 0"),
            ("{}".to_owned(), "line 1"),
            (with("more", 1.into()), "line 1"),
            (with("key", 7.into()), "line 1"),
            (with("servers", serde_json::json!([])), "names no server"),
            (with("servers", serde_json::json!(["nowhere"])), "`nowhere` is no address"),
            (with("certificate", "x".into()), "the certificate of the context cannot be used"),
            (with("authority", "x".into()), "the authority of the context cannot be used"),
            (with("key", other_key.into()), "the key of the context cannot be used"),
        ] {
            fs::write(&path, &text).unwrap();
            let error = ContextFile::read(&path, NOW).unwrap_err();
            let said = chain(&error);
            assert!(said.contains(why) && !said.contains("PRIVATE"), "{said}");
        }
    }
}
