//! Clusters as intended: the admitted specification, the phase, and the reason of a failure.

use std::collections::BTreeSet;

use shoal_types::{
    ClusterId, ClusterName, ClusterPhase, ClusterSpec, Expiry, Generation, Healing, RealmName, Role,
    SecretId, Timestamp,
};

use crate::{
    Conflict, Mode, Owner, Resource, Session, StoreError, Writes,
    query::{Query, Table},
    row::{Row, json},
};

const CLUSTERS: Table = Table { name: "clusters", key: "id" };
const DELETED: Table = Table { name: "deleted_clusters", key: "id" };

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// What was asked for at its creation; realm and name are unique together, the image is a reference. What a node is
    /// stands in the node's row.
    pub spec: ClusterSpec,
    /// How it heals by itself now.
    pub healing: Healing,
    /// When it is deleted by itself; it stays if `None`.
    pub expiry: Option<Expiry>,
    /// Where it is on its way.
    pub phase: ClusterPhase,
    /// The content digest the image's reference meant at admission; every node runs it.
    pub image_id: String,
    /// How often the specification was changed.
    pub generation: Generation,
    /// Until when it must be ready.
    pub deadline: Timestamp,
    /// Whether it stays for inspection if it does not become ready.
    pub keep_on_failure: bool,
    /// Slurm's version, once known.
    pub slurm_version: Option<String>,
    /// Why the cluster is not ready, or cannot be deleted.
    pub failure: Option<String>,
    /// The sealed seed its secrets are derived from.
    pub seed: SecretId,
    /// When it was admitted.
    pub created: Timestamp,
    /// When this row was last written.
    pub updated: Timestamp,
}

impl TryFrom<Row> for Cluster {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            spec: row.json("spec")?,
            expiry: expiry(&row)?,
            healing: Healing {
                policy: row.get("healing_policy")?,
                after_ms: row.get("heal_after_ms")?,
                copies_ms: row.get("copies_ms")?,
            },
            phase: row.get("phase")?,
            image_id: row.get("image_id")?,
            generation: row.get("generation")?,
            deadline: row.get("deadline_ms")?,
            keep_on_failure: row.get("keep_on_failure")?,
            slurm_version: row.opt("slurm_version")?,
            failure: row.opt("failure")?,
            seed: row.get("seed_secret_id")?,
            created: row.get("created_ms")?,
            updated: row.get("updated_ms")?,
        })
    }
}

fn expiry(row: &Row) -> Result<Option<Expiry>, StoreError> {
    let told = row.opt("expiry_told_ms")?;
    let at: Option<Timestamp> = row.opt("expires_ms")?;
    Ok(at.map(|at| Expiry { at, told }))
}

/// Clusters; from [`Session::clusters`].
#[derive(Debug)]
pub struct Clusters<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Clusters<'_, M> {
    /// The cluster with this id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: its row is unusable. Others: the database failed.
    pub async fn get(&mut self, id: ClusterId) -> Result<Option<Cluster>, StoreError> {
        let query = Query::new(CLUSTERS, "SELECT * FROM clusters WHERE id = $1").bind(&id);
        self.0.one(query).await?.map(Cluster::try_from).transpose()
    }

    /// The cluster of this name.
    ///
    /// # Errors
    /// As [`Clusters::get`].
    pub async fn by_name(
        &mut self,
        realm: &RealmName,
        name: &ClusterName,
    ) -> Result<Option<Cluster>, StoreError> {
        let query = Query::new(CLUSTERS, "SELECT * FROM clusters WHERE realm = $1 AND name = $2");
        self.0.one(query.bind(realm).bind(name)).await?.map(Cluster::try_from).transpose()
    }

    /// All clusters, in order of realm and name.
    ///
    /// # Errors
    /// As [`Clusters::get`].
    pub async fn list(&mut self) -> Result<Vec<Cluster>, StoreError> {
        let query = Query::new(CLUSTERS, "SELECT * FROM clusters ORDER BY realm, name");
        self.0.all(query).await?.into_iter().map(Cluster::try_from).collect()
    }

    /// The clusters of a realm, in order of their names.
    ///
    /// # Errors
    /// As [`Clusters::get`].
    pub async fn in_realm(&mut self, realm: &RealmName) -> Result<Vec<Cluster>, StoreError> {
        let query = Query::new(CLUSTERS, "SELECT * FROM clusters WHERE realm = $1 ORDER BY name").bind(realm);
        self.0.all(query).await?.into_iter().map(Cluster::try_from).collect()
    }

    /// Cluster -> roles it keeps apart from other clusters' nodes of the role, in no order.
    ///
    /// # Errors
    /// As [`Clusters::get`].
    pub async fn apart(&mut self) -> Result<Vec<(ClusterId, BTreeSet<Role>)>, StoreError> {
        // What is asked of the text only spares reading the others; the specification decides.
        let query = Query::new(CLUSTERS, "SELECT id, spec FROM clusters WHERE spec LIKE '%\"apart\":[\"%'");
        let apart = |row: Row| {
            let spec: ClusterSpec = row.json("spec")?;
            Ok((row.get("id")?, spec.placing.apart))
        };
        self.0.all(query).await?.into_iter().map(apart).collect()
    }

    /// The clusters that were deleted, ever: what may still be found of them is nobody's.
    ///
    /// # Errors
    /// As [`Clusters::get`].
    pub async fn deleted(&mut self) -> Result<BTreeSet<ClusterId>, StoreError> {
        let rows = self.0.all(Query::new(DELETED, "SELECT id FROM deleted_clusters")).await?;
        rows.into_iter().map(|row| row.get("id")).collect()
    }
}

impl<M: Writes> Clusters<'_, M> {
    /// Admits a cluster; its seed is stored before, its network and nodes after, all in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with [`Conflict::ClusterName`]: the realm has one of that name.
    /// [`StoreError::Referenced`]: its seed is not there.
    pub async fn insert(&mut self, cluster: &Cluster) -> Result<(), StoreError> {
        let (realm, name) = (&cluster.spec.realm, &cluster.spec.name);
        if self.by_name(realm, name).await?.is_some() {
            return Err(Conflict::ClusterName { realm: realm.clone(), name: name.clone() }.into());
        }
        let query = Query::new(
            CLUSTERS,
            "INSERT INTO clusters (id, realm, name, phase, spec, image_id, generation, deadline_ms,
               keep_on_failure, slurm_version, failure, seed_secret_id, created_ms, updated_ms, healing_policy,
               heal_after_ms, copies_ms, expires_ms, expiry_told_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        )
        .bind(&cluster.id)
        .bind(realm)
        .bind(name)
        .bind(&cluster.phase)
        .text(json("cluster specification", &cluster.spec)?)
        .bind(&cluster.image_id)
        .bind(&cluster.generation)
        .bind(&cluster.deadline)
        .bind(&cluster.keep_on_failure)
        .bind_opt(cluster.slurm_version.as_ref())
        .bind_opt(cluster.failure.as_ref())
        .bind(&cluster.seed)
        .bind(&cluster.created)
        .bind(&cluster.updated)
        .bind(&cluster.healing.policy)
        .bind(&cluster.healing.after_ms)
        .bind(&cluster.healing.copies_ms)
        .bind_opt(cluster.expiry.map(|expiry| expiry.at).as_ref())
        .bind_opt(cluster.expiry.and_then(|expiry| expiry.told).as_ref());
        self.0.execute(query).await.map(drop)
    }

    /// Moves a cluster from one phase to another: an edit of intent, which needs no lease but sees whether someone else
    /// was first. Which phase follows which is [`ClusterPhase::after`]'s to say.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: it is in another phase than `from`, or gone.
    pub async fn set_phase(
        &mut self,
        id: ClusterId,
        from: ClusterPhase,
        to: ClusterPhase,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            CLUSTERS,
            "UPDATE clusters SET phase = $3, updated_ms = $4 WHERE id = $1 AND phase = $2",
        )
        .bind(&id)
        .bind(&from)
        .bind(&to)
        .bind(&now);
        self.changed(query, "cluster phase", &from).await
    }

    /// Changes how a cluster heals by itself: an edit of intent, which needs no lease.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such cluster.
    pub async fn set_healing(
        &mut self,
        id: ClusterId,
        healing: Healing,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            CLUSTERS,
            "UPDATE clusters SET healing_policy = $2, heal_after_ms = $3, updated_ms = $4, copies_ms = $5
             WHERE id = $1",
        )
        .bind(&id)
        .bind(&healing.policy)
        .bind(&healing.after_ms)
        .bind(&now)
        .bind(&healing.copies_ms);
        self.0.execute_one(query, "cluster", id).await
    }

    /// Changes when a cluster is deleted by itself: an edit of intent, which needs no lease.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such cluster.
    pub async fn set_expiry(
        &mut self,
        id: ClusterId,
        expiry: Option<Expiry>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = Query::new(
            CLUSTERS,
            "UPDATE clusters SET expires_ms = $2, expiry_told_ms = $3, updated_ms = $4 WHERE id = $1",
        )
        .bind(&id)
        .bind_opt(expiry.map(|expiry| expiry.at).as_ref())
        .bind_opt(expiry.and_then(|expiry| expiry.told).as_ref())
        .bind(&now);
        self.0.execute_one(query, "cluster", id).await
    }

    /// Replaces the specification (what Slurm is told, SSH keys), if it is still of `from`; realm and name
    /// stay what they were at admission. Returns the new generation.
    ///
    /// # Errors
    /// [`StoreError::Stale`]: it is of another generation than `from`, or gone.
    pub async fn set_spec(
        &mut self,
        id: ClusterId,
        from: Generation,
        spec: &ClusterSpec,
        now: Timestamp,
    ) -> Result<Generation, StoreError> {
        let query = Query::new(
            CLUSTERS,
            "UPDATE clusters SET spec = $3, generation = $4, updated_ms = $5
             WHERE id = $1 AND generation = $2 AND realm = $6 AND name = $7",
        )
        .bind(&id)
        .bind(&from)
        .text(json("cluster specification", spec)?)
        .bind(&from.next())
        .bind(&now)
        .bind(&spec.realm)
        .bind(&spec.name);
        self.changed(query, "cluster specification", &format!("generation {from}")).await?;
        Ok(from.next())
    }

    async fn changed(
        &mut self,
        query: Query,
        what: &'static str,
        expected: &impl ToString,
    ) -> Result<(), StoreError> {
        match self.0.execute(query).await? {
            0 => Err(StoreError::Stale { what, expected: expected.to_string() }),
            _ => Ok(()),
        }
    }
}

impl Clusters<'_, Owner> {
    /// Gives the cluster another seed, which was stored before, and forgets the one it had.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such cluster. [`StoreError::Referenced`]: the seed is not there.
    pub async fn set_seed(
        &mut self,
        id: ClusterId,
        seed: SecretId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let cluster = self.get(id).await?;
        let cluster = cluster.ok_or_else(|| StoreError::Missing { what: "cluster", id: id.to_string() })?;
        let query =
            Query::new(CLUSTERS, "UPDATE clusters SET seed_secret_id = $2, updated_ms = $3 WHERE id = $1")
                .bind(&id)
                .bind(&seed)
                .bind(&now);
        self.0.execute_one(query, "cluster", id).await?;
        self.0.secrets().delete(cluster.seed).await
    }

    /// Records why the cluster is not ready, or cannot be deleted; `None` clears the reason.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such cluster.
    pub async fn set_failure(
        &mut self,
        id: ClusterId,
        failure: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = Query::new(CLUSTERS, "UPDATE clusters SET failure = $2, updated_ms = $3 WHERE id = $1")
            .bind(&id)
            .bind_opt(failure.map(str::to_owned).as_ref())
            .bind(&now);
        self.0.execute_one(query, "cluster", id).await
    }

    /// Records the version Slurm said it has.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such cluster.
    pub async fn set_slurm_version(
        &mut self,
        id: ClusterId,
        version: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query =
            Query::new(CLUSTERS, "UPDATE clusters SET slurm_version = $2, updated_ms = $3 WHERE id = $1")
                .bind(&id)
                .text(version)
                .bind(&now);
        self.0.execute_one(query, "cluster", id).await
    }

    /// Deletes the rows of a cluster: network (unless another cluster is attached), cluster, seed and lease, and records the
    /// deletion. The transaction's lease ends with the commit.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such cluster. [`StoreError::Referenced`]: it still has nodes.
    pub async fn delete(&mut self, id: ClusterId) -> Result<(), StoreError> {
        let cluster = self.get(id).await?;
        let cluster = cluster.ok_or_else(|| StoreError::Missing { what: "cluster", id: id.to_string() })?;
        self.0.networks().detach(id).await?;
        self.0.execute(Query::new(CLUSTERS, "DELETE FROM clusters WHERE id = $1").bind(&id)).await?;
        let deleted = Query::new(DELETED, "INSERT INTO deleted_clusters (id) VALUES ($1)").bind(&id);
        self.0.execute(deleted).await?;
        self.0.secrets().delete(cluster.seed).await?;
        self.0.leases().forget(&Resource::cluster(id)).await
    }
}
