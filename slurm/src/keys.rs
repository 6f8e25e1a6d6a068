//! All secrets of a cluster, derived from one 32-byte seed.
//!
//! ```text
//! prk = HKDF-SHA256-Extract(salt = "shoal cluster keys v1", ikm = seed)            RFC 5869
//! munge key            = Expand(prk, "munge", 128)
//! key of API tokens    = Expand(prk, "jwt", 32)                                    controller only
//! SSH key of a cluster = Ed25519(Expand(prk, "ssh-cluster", 32))                    nodes -> nodes, user -> nodes
//! SSH host authority   = Ed25519(Expand(prk, "ssh-host-authority", 32))             signs the host keys
//! SSH host key         = Ed25519(Expand(prk, "ssh-host/" + node name, 32))
//! ```
//! So the store seals one secret per cluster whatever its size, a node that is re-created keeps its host key, and a node added
//! later has one that was as good as known before. The authority lets a node verify every other by one line instead of a list
//! that would grow with the cluster; only public keys and the node's own private key leave this file for a node.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use shoal_types::NodeName;
use ssh_key::{
    LineEnding, PrivateKey, PublicKey,
    certificate::{Builder, CertType},
    private::{Ed25519Keypair, KeypairData},
};
use zeroize::Zeroizing;

use crate::{ClusterView, NodeView};

const SALT: &[u8] = b"shoal cluster keys v1";
/// The latest time the certificate format's readers agree on; a simulated cluster's host keys do not expire.
const NEVER: u64 = i64::MAX as u64;

/// A key that could not be written in OpenSSH's format.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode the SSH key of {subject}")]
pub struct KeyError {
    /// Whose key: a node's name, `cluster` or `authority`.
    pub subject: String,
    /// What the encoder said.
    #[source]
    pub source: ssh_key::Error,
}

/// An ed25519 key as OpenSSH's files hold it.
pub struct SshKeyPair {
    /// The private key file: PEM, unencrypted, ending in a newline.
    pub private_pem: Zeroizing<String>,
    /// The public key line, `ssh-ed25519 AAAA... comment`, without a newline.
    pub public: String,
}

impl fmt::Debug for SshKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshKeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The secrets of one cluster.
pub struct ClusterKeys(Hkdf<Sha256>);

impl fmt::Debug for ClusterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKeys(..)")
    }
}

impl ClusterKeys {
    /// The secrets that follow from `seed`: 32 random bytes, drawn once at admission and kept sealed.
    #[must_use]
    pub fn derive(seed: &[u8; 32]) -> Self {
        Self(Hkdf::new(Some(SALT), seed))
    }

    /// The key munged authenticates the cluster's messages with.
    #[must_use]
    pub fn munge_key(&self) -> Zeroizing<[u8; 128]> {
        self.expand("munge")
    }

    /// The key slurmctld signs tokens with (HS256), for programs that use Slurm's REST API.
    #[must_use]
    pub fn token_key(&self) -> Zeroizing<[u8; 32]> {
        self.expand("jwt")
    }

    /// The host key of a node's sshd.
    ///
    /// # Errors
    /// [`KeyError`]: OpenSSH's format cannot hold it.
    pub fn ssh_host_key(&self, node: &NodeName) -> Result<SshKeyPair, KeyError> {
        pair(node.as_str(), &self.host(node)?)
    }

    /// The key that opens root's account on every node of the cluster.
    ///
    /// # Errors
    /// [`KeyError`]: OpenSSH's format cannot hold it.
    pub fn cluster_ssh_key(&self) -> Result<SshKeyPair, KeyError> {
        pair("cluster", &self.ed25519("ssh-cluster", "cluster")?)
    }

    /// Public key of the authority that signs the cluster's host keys, as one line without a newline.
    ///
    /// # Errors
    /// [`KeyError`]: OpenSSH's format cannot hold it.
    pub fn ssh_host_authority(&self) -> Result<String, KeyError> {
        public_line("authority", self.authority()?.public_key())
    }

    /// The certificate of a node's host key for all its names and its address, as one line without a newline.
    ///
    /// # Errors
    /// [`KeyError`]: OpenSSH's format cannot hold it.
    pub fn ssh_host_certificate(&self, view: &ClusterView, node: &NodeView) -> Result<String, KeyError> {
        let (host, authority) = (self.host(&node.name)?, self.authority()?);
        let nonce = self.expand::<32>(&format!("ssh-host-nonce/{}", node.name));
        let sign = || -> Result<String, ssh_key::Error> {
            let mut builder = Builder::new(nonce.to_vec(), host.public_key(), 0, NEVER)?;
            builder.cert_type(CertType::Host)?.key_id(node.name.as_str())?.comment(node.name.as_str())?;
            for name in view.names_of(node) {
                builder.valid_principal(name)?;
            }
            builder.sign(&authority)?.to_openssh()
        };
        sign().map_err(|source| KeyError { subject: node.name.to_string(), source })
    }

    fn host(&self, node: &NodeName) -> Result<PrivateKey, KeyError> {
        self.ed25519(&format!("ssh-host/{node}"), node.as_str())
    }

    fn authority(&self) -> Result<PrivateKey, KeyError> {
        self.ed25519("ssh-host-authority", "authority")
    }

    fn ed25519(&self, label: &str, subject: &str) -> Result<PrivateKey, KeyError> {
        let pair = Ed25519Keypair::from_seed(&self.expand(label));
        PrivateKey::new(KeypairData::Ed25519(pair), subject)
            .map_err(|source| KeyError { subject: subject.to_owned(), source })
    }

    fn expand<const N: usize>(&self, label: &str) -> Zeroizing<[u8; N]> {
        const { assert!(N <= 255 * 32, "HKDF-SHA256 gives at most 255 blocks") };
        let mut okm = Zeroizing::new([0; N]);
        let expanded = self.0.expand(label.as_bytes(), &mut *okm);
        debug_assert!(expanded.is_ok(), "bounded above");
        okm
    }
}

fn pair(subject: &str, key: &PrivateKey) -> Result<SshKeyPair, KeyError> {
    let private_pem =
        key.to_openssh(LineEnding::LF).map_err(|source| KeyError { subject: subject.to_owned(), source })?;
    Ok(SshKeyPair { private_pem, public: public_line(subject, key.public_key())? })
}

fn public_line(subject: &str, key: &PublicKey) -> Result<String, KeyError> {
    key.to_openssh().map_err(|source| KeyError { subject: subject.to_owned(), source })
}

#[cfg(test)]
mod tests;
