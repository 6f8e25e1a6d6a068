//! Users of servers, and the authority that signs their certificates. Its key is sealed; a user's private key is never here.

use shoal_types::{Realms, Timestamp, UserId, UserName, UserRole};
use zeroize::Zeroizing;

use crate::{
    Mode, Rng, SecretKind, Session, StoreError, Writes,
    query::{Query, Table},
    row::Row,
};

const USERS: Table = Table { name: "users", key: "id" };
const AUTHORITY: Table = Table { name: "authority", key: "singleton" };

/// A user of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Names the row in the user's certificates.
    pub id: UserId,
    /// Unique among those that are not revoked.
    pub name: UserName,
    /// What the user may do.
    pub role: UserRole,
    /// And where.
    pub realms: Realms,
    /// Serial number of the last certificate, hexadecimal.
    pub serial: String,
    /// How long each certificate holds, in days.
    pub days: u32,
    /// When the user was made.
    pub created: Timestamp,
    /// When the last certificate ends.
    pub not_after: Timestamp,
    /// When the user was revoked, if so.
    pub revoked: Option<Timestamp>,
}

impl TryFrom<Row> for User {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            role: row.get("role")?,
            realms: row.get("realms")?,
            serial: row.get("serial")?,
            days: row.get("days")?,
            created: row.get("created_ms")?,
            not_after: row.get("not_after_ms")?,
            revoked: row.opt("revoked_ms")?,
        })
    }
}

/// Users; from [`Session::users`].
#[derive(Debug)]
pub struct Users<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Users<'_, M> {
    /// All of them, by name, then by when they were made.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: a row is unusable. Others: the database failed.
    pub async fn list(&mut self) -> Result<Vec<User>, StoreError> {
        let query = Query::new(USERS, "SELECT * FROM users ORDER BY name, created_ms, id");
        self.0.all(query).await?.into_iter().map(User::try_from).collect()
    }

    /// The one with this id, revoked or not.
    ///
    /// # Errors
    /// As [`Users::list`].
    pub async fn get(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        let query = Query::new(USERS, "SELECT * FROM users WHERE id = $1");
        self.0.one(query.bind(&id)).await?.map(User::try_from).transpose()
    }

    /// The one of this name that is not revoked.
    ///
    /// # Errors
    /// As [`Users::list`].
    pub async fn by_name(&mut self, name: &UserName) -> Result<Option<User>, StoreError> {
        let query = Query::new(USERS, "SELECT * FROM users WHERE name = $1 AND revoked_ms IS NULL");
        self.0.one(query.bind(name)).await?.map(User::try_from).transpose()
    }

    /// The authority's certificate, PEM, and its private key, DER; `None` before it was first needed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: the key was altered or moved. Others: as [`Users::list`].
    pub async fn authority(&mut self) -> Result<Option<(String, Zeroizing<Vec<u8>>)>, StoreError> {
        let query = Query::new(AUTHORITY, "SELECT * FROM authority WHERE singleton = 1");
        let Some(row) = self.0.one(query).await? else { return Ok(None) };
        let key = self.0.secrets().open(row.get("secret_id")?, SecretKind::AuthorityKey).await?;
        let missing = || StoreError::Missing { what: "key of", id: "the authority".into() };
        Ok(Some((row.get("certificate")?, key.ok_or_else(missing)?)))
    }
}

impl<M: Writes> Users<'_, M> {
    /// Adds a user.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: there is one of that name. Others: the database failed.
    pub async fn insert(&mut self, user: &User) -> Result<(), StoreError> {
        let query = Query::new(
            USERS,
            "INSERT INTO users (id, name, role, realms, serial, days, created_ms, not_after_ms, revoked_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&user.id)
        .bind(&user.name)
        .bind(&user.role)
        .bind(&user.realms)
        .bind(&user.serial)
        .bind(&user.days)
        .bind(&user.created)
        .bind(&user.not_after)
        .bind_opt(user.revoked.as_ref());
        self.0.execute(query).await.map(drop)
    }

    /// Records another certificate of a user who is not revoked; whether that is so.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew(
        &mut self,
        id: UserId,
        serial: &str,
        not_after: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = Query::new(
            USERS,
            "UPDATE users SET serial = $2, not_after_ms = $3 WHERE id = $1 AND revoked_ms IS NULL",
        );
        let changed = self.0.execute(query.bind(&id).text(serial).bind(&not_after)).await?;
        Ok(changed > 0)
    }

    /// Revokes the user of this name; whether there is one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revoke(&mut self, name: &UserName, now: Timestamp) -> Result<bool, StoreError> {
        let query =
            Query::new(USERS, "UPDATE users SET revoked_ms = $2 WHERE name = $1 AND revoked_ms IS NULL");
        Ok(self.0.execute(query.bind(name).bind(&now)).await? > 0)
    }

    /// Records the authority, once.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: there is one. Others: the database failed.
    pub async fn set_authority(
        &mut self,
        certificate: &str,
        key: &[u8],
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(), StoreError> {
        let secret = self.0.secrets().put(SecretKind::AuthorityKey, key, now, rng).await?;
        let query = Query::new(
            AUTHORITY,
            "INSERT INTO authority (singleton, certificate, secret_id, created_ms) VALUES (1, $1, $2, $3)",
        );
        self.0.execute(query.text(certificate).bind(&secret).bind(&now)).await.map(drop)
    }
}
