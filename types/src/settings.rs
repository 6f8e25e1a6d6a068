//! The settings a node is made with, as a digest: two nodes of one digest have the same files, whatever their sizes.
//!
//! ```text
//! profile, slurm's texts and nodes, ssh_keys --SHA-256--> digest in the node's row;  another digest: the node is to be made anew
//! ```

use std::{collections::BTreeMap, fmt, fmt::Write, str::FromStr};

use sha2::{Digest as _, Sha256};

use crate::{ClusterSpec, NodeSlurm};

/// Digest of the settings of a node, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SettingsDigest(String);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest of settings is 64 hexadecimal digits")]
pub struct SettingsDigestError;

impl SettingsDigest {
    /// The digest of these settings. Every part goes in with its length: digests are kept in rows and must not change when a
    /// specification gains a field, so one that came later goes in only where it says something.
    #[must_use]
    pub fn of<'a>(
        profile: &str,
        slurm_main: &BTreeMap<String, String>,
        ssh_keys: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::with(profile, slurm_main, ssh_keys, &[])
    }

    fn with<'a>(
        profile: &str,
        slurm_main: &BTreeMap<String, String>,
        ssh_keys: impl IntoIterator<Item = &'a str>,
        later: &[(&str, String)],
    ) -> Self {
        let mut hasher = Sha256::new();
        let mut part = |kind: &str, text: &str| {
            for bytes in [kind.as_bytes(), text.as_bytes()] {
                hasher.update((bytes.len() as u64).to_be_bytes());
                hasher.update(bytes);
            }
        };
        part("profile", profile);
        for (name, text) in slurm_main {
            part("slurm.main", name);
            part("text", text);
        }
        for key in ssh_keys {
            part("ssh_key", key);
        }
        for (kind, text) in later {
            part(kind, text);
        }
        let mut text = String::with_capacity(64);
        for byte in hasher.finalize() {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

impl ClusterSpec {
    /// The digest of the settings its nodes are made with.
    #[must_use]
    pub fn settings(&self) -> SettingsDigest {
        let keys = self.ssh_keys.iter().map(crate::SshPublicKey::as_str);
        let mut later = Vec::new();
        for (name, text) in &self.slurm.files {
            later.extend([("slurm.files", name.clone()), ("text", text.clone())]);
        }
        // slurm.conf and gres.conf describe all nodes, and most nodes have them.
        for (number, group) in self.groups.iter().enumerate() {
            let NodeSlurm { cpus: _, memory: _, gres, features, weight } = &group.slurm;
            let gres = gres.iter().map(|gres| ("gres", gres.to_string()));
            let features = features.iter().map(|feature| ("feature", feature.to_string()));
            let weight = weight.map(|weight| ("weight", weight.to_string()));
            let said: Vec<_> = gres.chain(features).chain(weight).collect();
            if !said.is_empty() {
                later.push(("group", format!("{number} of {}", group.count)));
                later.extend(said);
            }
        }
        SettingsDigest::with(self.profile.as_str(), &self.slurm.main, keys, &later)
    }
}

impl fmt::Display for SettingsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SettingsDigest {
    type Err = SettingsDigestError;

    fn from_str(text: &str) -> Result<Self, SettingsDigestError> {
        let hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == 64 && hex).then(|| Self(text.to_owned())).ok_or(SettingsDigestError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn main(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_digest_is_that_of_the_content() {
        let one = SettingsDigest::of("system", &main(&[("a", "x")]), ["key"]);
        assert_eq!(one, SettingsDigest::of("system", &main(&[("a", "x")]), ["key"]));
        for other in [
            SettingsDigest::of("light", &main(&[("a", "x")]), ["key"]),
            SettingsDigest::of("system", &main(&[("a", "y")]), ["key"]),
            SettingsDigest::of("system", &main(&[("ax", "")]), ["key"]),
            SettingsDigest::of("system", &main(&[("a", "x")]), ["key", "key"]),
            SettingsDigest::of("system", &main(&[("a", "x")]), []),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_digest_is_the_same_in_every_version() {
        let digest = SettingsDigest::of("system", &main(&[]), []).to_string();
        assert_eq!(digest, "fda4be95f8bc8dedb4dd2e57188d7efa20511572b6014f4f254ed89ac95f9ca7");
        assert_eq!(digest.parse::<SettingsDigest>().unwrap().to_string(), digest);
        assert_eq!("cafe".parse::<SettingsDigest>(), Err(SettingsDigestError));
        assert_eq!(digest.to_uppercase().parse::<SettingsDigest>(), Err(SettingsDigestError));
    }
}
