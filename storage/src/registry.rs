//! Registries that ask who pulls: the user's name in clear, the password sealed.

use shoal_types::{SecretId, Timestamp};
use zeroize::Zeroizing;

use crate::{
    Mode, Rng, SecretKind, Session, StoreError, Writes,
    query::{Query, Table},
    row::Row,
};

const REGISTRIES: Table = Table { name: "registries", key: "registry" };

/// A registry that credentials are known for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Its address, as image references name it: `registry.example:5000`.
    pub registry: String,
    /// The user's name there.
    pub username: String,
    /// The password.
    pub password: SecretId,
    /// When they were last set.
    pub updated: Timestamp,
}

impl TryFrom<Row> for Registry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            registry: row.get("registry")?,
            username: row.get("username")?,
            password: row.get("secret_id")?,
            updated: row.get("updated_ms")?,
        })
    }
}

/// Registries; from [`Session::registries`].
#[derive(Debug)]
pub struct Registries<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Registries<'_, M> {
    /// All of them, by address.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: a row is unusable. Others: the database failed.
    pub async fn list(&mut self) -> Result<Vec<Registry>, StoreError> {
        let query = Query::new(REGISTRIES, "SELECT * FROM registries ORDER BY registry");
        self.0.all(query).await?.into_iter().map(Registry::try_from).collect()
    }

    /// The one of this address.
    ///
    /// # Errors
    /// As [`Registries::list`].
    pub async fn get(&mut self, registry: &str) -> Result<Option<Registry>, StoreError> {
        let query = Query::new(REGISTRIES, "SELECT * FROM registries WHERE registry = $1");
        self.0.one(query.text(registry)).await?.map(Registry::try_from).transpose()
    }

    /// The name and the password for a registry, if it has any.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: the password was altered or moved. Others: as [`Registries::list`].
    pub async fn credentials(
        &mut self,
        registry: &str,
    ) -> Result<Option<(String, Zeroizing<Vec<u8>>)>, StoreError> {
        let Some(row) = self.get(registry).await? else { return Ok(None) };
        let password = self.0.secrets().open(row.password, SecretKind::RegistryPassword).await?;
        let missing = || StoreError::Missing { what: "password of registry", id: registry.to_owned() };
        Ok(Some((row.username, password.ok_or_else(missing)?)))
    }
}

impl<M: Writes> Registries<'_, M> {
    /// Sets the credentials for a registry; those it had are forgotten.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set(
        &mut self,
        registry: &str,
        username: &str,
        password: &[u8],
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(), StoreError> {
        let before = self.get(registry).await?;
        let secret = self.0.secrets().put(SecretKind::RegistryPassword, password, now, rng).await?;
        let query = Query::new(
            REGISTRIES,
            "INSERT INTO registries (registry, username, secret_id, updated_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (registry) DO UPDATE SET username = excluded.username, secret_id = excluded.secret_id,
               updated_ms = excluded.updated_ms",
        );
        self.0.execute(query.text(registry).text(username).bind(&secret).bind(&now)).await?;
        match before {
            Some(before) => self.0.secrets().delete(before.password).await,
            None => Ok(()),
        }
    }

    /// Forgets a registry and its password; whether there was one.
    ///
    /// # Errors
    /// As [`Registries::list`].
    pub async fn remove(&mut self, registry: &str) -> Result<bool, StoreError> {
        let Some(row) = self.get(registry).await? else { return Ok(false) };
        let query = Query::new(REGISTRIES, "DELETE FROM registries WHERE registry = $1");
        self.0.execute(query.text(registry)).await?;
        self.0.secrets().delete(row.password).await?;
        Ok(true)
    }
}
