//! Registries that ask who pulls: the user's name in clear, the password sealed.

use shoal_types::{LabelExpr, SecretId, Timestamp};
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
    /// The hosts that are given them; every host if `None`.
    pub hosts: Option<LabelExpr>,
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
            hosts: row.opt("hosts")?,
            updated: row.get("updated_ms")?,
        })
    }
}

/// Who asks a registry for images, and where.
#[derive(Debug)]
pub struct RegistryCredentials {
    /// The user's name there.
    pub username: String,
    /// The password.
    pub password: Zeroizing<Vec<u8>>,
    /// The hosts that are given them; every host if `None`.
    pub hosts: Option<LabelExpr>,
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

    /// What is known for a registry.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: the password was altered or moved. Others: as [`Registries::list`].
    pub async fn credentials(&mut self, registry: &str) -> Result<Option<RegistryCredentials>, StoreError> {
        let Some(row) = self.get(registry).await? else { return Ok(None) };
        let password = self.0.secrets().open(row.password, SecretKind::RegistryPassword).await?;
        let missing = || StoreError::Missing { what: "password of registry", id: registry.to_owned() };
        let password = password.ok_or_else(missing)?;
        Ok(Some(RegistryCredentials { username: row.username, password, hosts: row.hosts }))
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
        credentials: &RegistryCredentials,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(), StoreError> {
        let RegistryCredentials { username, password, hosts } = credentials;
        let before = self.get(registry).await?;
        let secret = self.0.secrets().put(SecretKind::RegistryPassword, password, now, rng).await?;
        let query = Query::new(
            REGISTRIES,
            "INSERT INTO registries (registry, username, secret_id, updated_ms, hosts) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (registry) DO UPDATE SET username = excluded.username, secret_id = excluded.secret_id,
               updated_ms = excluded.updated_ms, hosts = excluded.hosts",
        )
        .text(registry)
        .text(username)
        .bind(&secret)
        .bind(&now)
        .bind_opt(hosts.as_ref());
        self.0.execute(query).await?;
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
