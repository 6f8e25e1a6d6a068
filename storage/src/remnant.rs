//! Remnants: what was left on a host that could not be reached. Remembered until the host returns and is cleared, or is
//! unregistered by force; until then nothing that could meet it (address, VNI, subnet) is given out again.

use ipnet::Ipv4Net;
use shoal_types::{ClusterId, ClusterName, HostId, NodeId, RealmName, Timestamp, Vni};

use crate::{
    Mode, Session, StoreError, Writes,
    query::{Query, Table},
    row::Row,
};

const REMNANTS: Table = Table { name: "remnants", key: "id" };

/// Something to be remembered as left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRemnant {
    /// The host it is on.
    pub host: HostId,
    /// The cluster it belonged to, which may be gone.
    pub cluster: ClusterId,
    /// That cluster's realm.
    pub realm: RealmName,
    /// That cluster's name.
    pub name: ClusterName,
    /// The node, placed elsewhere since; `None`: everything of the cluster.
    pub node: Option<NodeId>,
    /// The VNI of its network.
    pub vni: Vni,
    /// The subnet of its network.
    pub subnet: Ipv4Net,
    /// Why it was left, for people.
    pub reason: String,
    /// Since when. Only a list of the host made later than this, the lease's end and the longest call shows it empty.
    pub since: Timestamp,
}

/// Something left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remnant {
    /// Its number.
    pub id: i64,
    /// What it is.
    pub what: NewRemnant,
}

impl TryFrom<Row> for Remnant {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let what = NewRemnant {
            host: row.get("host_id")?,
            cluster: row.get("cluster_id")?,
            realm: row.get("realm")?,
            name: row.get("cluster")?,
            node: row.opt("node_id")?,
            vni: row.get("vni")?,
            subnet: row.get("subnet")?,
            reason: row.get("reason")?,
            since: row.get("created_ms")?,
        };
        Ok(Self { id: row.get("id")?, what })
    }
}

/// Remnants; from [`Session::remnants`].
#[derive(Debug)]
pub struct Remnants<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Remnants<'_, M> {
    /// All remnants, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: a row is unusable. Others: the database failed.
    pub async fn list(&mut self) -> Result<Vec<Remnant>, StoreError> {
        let query = Query::new(REMNANTS, "SELECT * FROM remnants ORDER BY id");
        self.0.all(query).await?.into_iter().map(Remnant::try_from).collect()
    }

    /// The remnants on a host, oldest first.
    ///
    /// # Errors
    /// As [`Remnants::list`].
    pub async fn on_host(&mut self, host: HostId) -> Result<Vec<Remnant>, StoreError> {
        let query = Query::new(REMNANTS, "SELECT * FROM remnants WHERE host_id = $1 ORDER BY id").bind(&host);
        self.0.all(query).await?.into_iter().map(Remnant::try_from).collect()
    }
}

impl<M: Writes> Remnants<'_, M> {
    /// Records remnants; a remnant on record stays unchanged.
    ///
    /// # Errors
    /// [`StoreError::Referenced`]: no such host.
    pub async fn add(&mut self, remnant: &NewRemnant) -> Result<(), StoreError> {
        let query = Query::new(
            REMNANTS,
            "INSERT INTO remnants (host_id, cluster_id, realm, cluster, node_id, vni, subnet, reason, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(&remnant.host)
        .bind(&remnant.cluster)
        .bind(&remnant.realm)
        .bind(&remnant.name)
        .bind_opt(remnant.node.as_ref())
        .bind(&remnant.vni)
        .bind(&remnant.subnet)
        .bind(&remnant.reason)
        .bind(&remnant.since);
        self.0.execute(query).await.map(drop)
    }

    /// Forgets a remnant whose host was listed empty of it. One that is gone already is no error.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&mut self, id: i64) -> Result<(), StoreError> {
        let query = Query::new(REMNANTS, "DELETE FROM remnants WHERE id = $1").bind(&id);
        self.0.execute(query).await.map(drop)
    }
}
