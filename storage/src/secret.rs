//! Secrets: sealed before they reach the database, opened only for those who ask for the right kind.

use std::fmt;

use shoal_types::{SecretId, Timestamp};
use zeroize::Zeroizing;

use crate::{
    Mode, Rng, Session, StoreError, Writes,
    query::{Query, Table},
    seal,
};

const SECRETS: Table = Table { name: "secrets", key: "id" };

/// What a secret is; one of another kind does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// Certificate authority, client certificate and client key of a Docker endpoint.
    DockerTls,
    /// Private key and known host keys of a Docker endpoint that is reached by SSH.
    DockerSsh,
    /// The seed a cluster's keys are derived from.
    ClusterSeed,
    /// A user's password or token at an image registry.
    RegistryPassword,
    /// The private key that certificates of servers and users are signed with.
    AuthorityKey,
}

impl SecretKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::DockerTls, Self::DockerSsh, Self::ClusterSeed, Self::RegistryPassword, Self::AuthorityKey];

    /// The word, as stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerTls => "docker-tls",
            Self::DockerSsh => "docker-ssh",
            Self::ClusterSeed => "cluster-seed",
            Self::RegistryPassword => "registry-password",
            Self::AuthorityKey => "authority-key",
        }
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Secrets; from [`Session::secrets`].
#[derive(Debug)]
pub struct Secrets<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Secrets<'_, M> {
    /// How many there are: none may outlive what it belongs to.
    ///
    /// # Errors
    /// The database failed.
    #[cfg(feature = "failpoints")]
    pub async fn count(&mut self) -> Result<usize, StoreError> {
        Ok(self.0.all(Query::new(SECRETS, "SELECT id FROM secrets")).await?.len())
    }

    /// The secret with this id, if it is there and of this kind.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: it was altered, or moved from another row. Others: the database failed.
    pub async fn open(
        &mut self,
        id: SecretId,
        kind: SecretKind,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let query = Query::new(SECRETS, "SELECT id, sealed FROM secrets WHERE id = $1 AND kind = $2");
        let Some(row) = self.0.one(query.bind(&id).bind(&kind)).await? else {
            return Ok(None);
        };
        let sealed: Vec<u8> = row.get("sealed")?;
        let opened = seal::open(&self.0.shared.key, &place(id, kind), &sealed);
        opened.ok_or_else(|| row.corrupt("sealed")).map(Some)
    }
}

impl<M: Writes> Secrets<'_, M> {
    /// Seals and stores a secret under a new id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put(
        &mut self,
        kind: SecretKind,
        plaintext: &[u8],
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<SecretId, StoreError> {
        let mut random = [0; 10];
        rng.fill_bytes(&mut random);
        let id = SecretId::new(now.0, random);
        // What is too long to be sealed binds null, which the column refuses.
        let sealed = seal::seal(&self.0.shared.key, &place(id, kind), plaintext, rng);
        let query =
            Query::new(SECRETS, "INSERT INTO secrets (id, kind, sealed, created_ms) VALUES ($1, $2, $3, $4)")
                .bind(&id)
                .bind(&kind)
                .bind_opt(sealed.as_ref())
                .bind(&now);
        self.0.execute(query).await?;
        Ok(id)
    }

    /// Forgets a secret. One that is gone already is no error.
    ///
    /// # Errors
    /// [`StoreError::Referenced`]: a host or cluster still names it.
    pub async fn delete(&mut self, id: SecretId) -> Result<(), StoreError> {
        self.0.execute(Query::new(SECRETS, "DELETE FROM secrets WHERE id = $1").bind(&id)).await.map(drop)
    }
}

fn place(id: SecretId, kind: SecretKind) -> String {
    format!("secrets/{id}/{kind}")
}
