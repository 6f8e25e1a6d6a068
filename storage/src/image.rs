//! Images: the hosts of each, as last listed, and the facts read out of each, once per content digest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shoal_types::{HostId, Timestamp};

use crate::{
    Mode, Session, StoreError, Writes,
    query::{Query, ROWS_PER_STATEMENT, Table},
    row::{Row, json},
};

const IMAGES: Table = Table { name: "images", key: "reference" };
const LOADED_IMAGES: Table = Table { name: "loaded_images", key: "reference" };
const IMAGE_FACTS: Table = Table { name: "image_facts", key: "image_id" };

/// An image a host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOnHost {
    /// The host.
    pub host: HostId,
    /// The reference it has there, such as `shoal-node:bookworm`.
    pub reference: String,
    /// Its content digest, `sha256:...`.
    pub image_id: String,
    /// When it was last listed.
    pub seen: Timestamp,
}

/// What was read out of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFacts {
    /// Architecture in Docker's words, such as `amd64`.
    pub architecture: String,
    /// What `slurmctld -V` prints as its version, such as `22.05.8`; `None` if it was not asked.
    pub slurm_version: Option<String>,
    /// Ids of the accounts files are given to, by account name, from the image's /etc/passwd.
    pub accounts: BTreeMap<String, AccountIds>,
    /// The hosts that said so. Those of one host hold for that host; of two, they hold everywhere.
    #[serde(default)]
    pub said_by: BTreeSet<HostId>,
}

/// The ids of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountIds {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl TryFrom<Row> for ImageOnHost {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            host: row.get("host_id")?,
            reference: row.get("reference")?,
            image_id: row.get("image_id")?,
            seen: row.get("seen_ms")?,
        })
    }
}

/// Images; from [`Session::images`].
#[derive(Debug)]
pub struct Images<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Images<'_, M> {
    /// Every image on every host, in order of reference and host.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: a row is unusable. Others: the database failed.
    pub async fn list(&mut self) -> Result<Vec<ImageOnHost>, StoreError> {
        let query = Query::new(IMAGES, "SELECT * FROM images ORDER BY reference, host_id");
        self.0.all(query).await?.into_iter().map(ImageOnHost::try_from).collect()
    }

    /// The hosts that have something under `reference`, in order of their ids.
    ///
    /// # Errors
    /// As [`Images::list`].
    pub async fn holders(&mut self, reference: &str) -> Result<Vec<ImageOnHost>, StoreError> {
        let query = Query::new(IMAGES, "SELECT * FROM images WHERE reference = $1 ORDER BY host_id");
        self.0.all(query.text(reference)).await?.into_iter().map(ImageOnHost::try_from).collect()
    }

    /// The content digest an operator loaded last under `reference`, which names its tag.
    ///
    /// # Errors
    /// As [`Images::list`].
    pub async fn loaded(&mut self, reference: &str) -> Result<Option<String>, StoreError> {
        let query =
            Query::new(LOADED_IMAGES, "SELECT reference, image_id FROM loaded_images WHERE reference = $1");
        self.0.one(query.text(reference)).await?.map(|row| row.get("image_id")).transpose()
    }

    /// What was read out of the image with this content digest.
    ///
    /// # Errors
    /// As [`Images::list`].
    pub async fn facts(&mut self, image_id: &str) -> Result<Option<ImageFacts>, StoreError> {
        let query = Query::new(IMAGE_FACTS, "SELECT image_id, facts FROM image_facts WHERE image_id = $1");
        self.0.one(query.text(image_id)).await?.map(|row| row.json("facts")).transpose()
    }
}

impl<M: Writes> Images<'_, M> {
    /// Replaces what is known of a host's images by a full list of (reference, content digest). Of a reference that
    /// comes twice the later counts.
    ///
    /// # Errors
    /// [`StoreError::Referenced`]: no such host.
    pub async fn replace(
        &mut self,
        host: HostId,
        images: &[(String, String)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.execute(Query::new(IMAGES, "DELETE FROM images WHERE host_id = $1").bind(&host)).await?;
        let images: BTreeMap<_, _> = images.iter().map(|(reference, id)| (reference, id)).collect();
        let images: Vec<_> = images.into_iter().collect();
        for chunk in images.chunks(ROWS_PER_STATEMENT) {
            let head = "INSERT INTO images (host_id, reference, image_id, seen_ms) VALUES ";
            let query = Query::bulk(IMAGES, head, chunk.len(), 4);
            let query = chunk.iter().fold(query, |query, (reference, image_id)| {
                query.bind(&host).bind(*reference).bind(*image_id).bind(&now)
            });
            self.0.execute(query).await?;
        }
        Ok(())
    }

    /// Records that a host has an image, for instance after it was loaded there.
    ///
    /// # Errors
    /// [`StoreError::Referenced`]: no such host.
    pub async fn add(&mut self, image: &ImageOnHost) -> Result<(), StoreError> {
        let query = Query::new(
            IMAGES,
            "INSERT INTO images (host_id, reference, image_id, seen_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (host_id, reference) DO UPDATE SET image_id = excluded.image_id, seen_ms = excluded.seen_ms",
        )
        .bind(&image.host)
        .bind(&image.reference)
        .bind(&image.image_id)
        .bind(&image.seen);
        self.0.execute(query).await.map(drop)
    }

    /// Records what an operator loaded under a reference, in place of what was loaded under it before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_loaded(
        &mut self,
        reference: &str,
        image_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            LOADED_IMAGES,
            "INSERT INTO loaded_images (reference, image_id, loaded_ms) VALUES ($1, $2, $3)
             ON CONFLICT (reference) DO UPDATE SET image_id = excluded.image_id, loaded_ms = excluded.loaded_ms",
        )
        .text(reference)
        .text(image_id)
        .bind(&now);
        self.0.execute(query).await.map(drop)
    }

    /// Forgets what was loaded under a reference: something else was, of which no digest is known.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_loaded(&mut self, reference: &str) -> Result<(), StoreError> {
        let query = Query::new(LOADED_IMAGES, "DELETE FROM loaded_images WHERE reference = $1");
        self.0.execute(query.text(reference)).await.map(drop)
    }

    /// Records the facts read out of an image, in place of earlier ones.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_facts(&mut self, image_id: &str, facts: &ImageFacts) -> Result<(), StoreError> {
        let query = Query::new(
            IMAGE_FACTS,
            "INSERT INTO image_facts (image_id, facts) VALUES ($1, $2)
             ON CONFLICT (image_id) DO UPDATE SET facts = excluded.facts",
        )
        .text(image_id)
        .text(json("image facts", facts)?);
        self.0.execute(query).await.map(drop)
    }
}
