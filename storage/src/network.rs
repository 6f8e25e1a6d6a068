//! Networks: the segments clusters are on, which cluster is on which, and which VNIs and subnets are taken.
//!
//! A cluster is on one network; a network may carry several clusters.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;
use shoal_types::{ClusterId, NetworkId, Revision, Vni};

use crate::{
    Conflict, Mode, Owner, Session, StoreError, Writes,
    query::{Query, Table},
    row::Row,
};

const NETWORKS: Table = Table { name: "networks", key: "id" };
const ATTACHMENTS: Table = Table { name: "attachments", key: "cluster_id" };

/// A network, fixed when it is made but for its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its VXLAN identifier, unique.
    pub vni: Vni,
    /// Its subnet; no two overlap.
    pub subnet: Ipv4Net,
    /// The gateway's address, the same on every host and local to each.
    pub gateway: Ipv4Addr,
    /// MTU of its nodes, in bytes.
    pub mtu: u16,
    /// UDP port of its tunnels.
    pub udp_port: u16,
    /// Version of its state as told to agents, strictly increasing.
    pub revision: Revision,
}

impl TryFrom<Row> for Network {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            vni: row.get("vni")?,
            subnet: row.get("subnet")?,
            gateway: row.get("gateway")?,
            mtu: row.get("mtu")?,
            udp_port: row.get("udp_port")?,
            revision: row.get("revision")?,
        })
    }
}

/// Networks; from [`Session::networks`].
#[derive(Debug)]
pub struct Networks<'s, M: Mode>(pub(crate) &'s mut Session<M>);

impl<M: Mode> Networks<'_, M> {
    /// The network a cluster is on.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: its row is unusable. Others: the database failed.
    pub async fn of_cluster(&mut self, cluster: ClusterId) -> Result<Option<Network>, StoreError> {
        let query = Query::new(
            NETWORKS,
            "SELECT networks.* FROM networks JOIN attachments ON network_id = networks.id WHERE cluster_id = $1",
        )
        .bind(&cluster);
        self.0.one(query).await?.map(Network::try_from).transpose()
    }

    /// All networks, in order of their VNIs.
    ///
    /// # Errors
    /// As [`Networks::of_cluster`].
    pub async fn list(&mut self) -> Result<Vec<Network>, StoreError> {
        let query = Query::new(NETWORKS, "SELECT * FROM networks ORDER BY vni");
        self.0.all(query).await?.into_iter().map(Network::try_from).collect()
    }

    /// The network each cluster is on.
    ///
    /// # Errors
    /// As [`Networks::of_cluster`].
    pub async fn attachments(&mut self) -> Result<BTreeMap<ClusterId, NetworkId>, StoreError> {
        let query = Query::new(ATTACHMENTS, "SELECT cluster_id, network_id FROM attachments");
        let attachment = |row: Row| Ok((row.get("cluster_id")?, row.get("network_id")?));
        self.0.all(query).await?.into_iter().map(attachment).collect()
    }

    /// VNI and subnet of every network and of what is left of one on a host that could not be reached: none may be
    /// given out again. In order of the VNIs.
    ///
    /// # Errors
    /// As [`Networks::of_cluster`].
    pub async fn taken(&mut self) -> Result<Vec<(Vni, Ipv4Net)>, StoreError> {
        let query = Query::new(
            Table { name: "networks", key: "vni" },
            "SELECT vni, subnet FROM networks UNION SELECT vni, subnet FROM remnants ORDER BY vni",
        );
        let taken = |row: Row| Ok((row.get("vni")?, row.get("subnet")?));
        self.0.all(query).await?.into_iter().map(taken).collect()
    }
}

impl<M: Writes> Networks<'_, M> {
    /// Adds a network, which carries no cluster yet.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with [`Conflict::Vni`] or [`Conflict::Subnet`]: it is in use, the subnet also if it only
    /// overlaps one.
    pub async fn insert(&mut self, network: &Network) -> Result<(), StoreError> {
        let overlaps = |a: &Ipv4Net, b: &Ipv4Net| a.contains(b) || b.contains(a);
        for (vni, subnet) in self.taken().await? {
            if vni == network.vni {
                return Err(Conflict::Vni { vni }.into());
            }
            if overlaps(&subnet, &network.subnet) {
                return Err(Conflict::Subnet { subnet: network.subnet, other: subnet }.into());
            }
        }
        let query = Query::new(
            NETWORKS,
            "INSERT INTO networks (id, vni, subnet, gateway, mtu, udp_port, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&network.id)
        .bind(&network.vni)
        .bind(&network.subnet)
        .bind(&network.gateway)
        .bind(&network.mtu)
        .bind(&network.udp_port)
        .bind(&network.revision);
        self.0.execute(query).await.map(drop)
    }

    /// Puts a cluster on a network.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with [`Conflict::Unique`]: it is on one. [`StoreError::Referenced`]: no such cluster or
    /// network.
    pub async fn attach(&mut self, network: NetworkId, cluster: ClusterId) -> Result<(), StoreError> {
        let query =
            Query::new(ATTACHMENTS, "INSERT INTO attachments (cluster_id, network_id) VALUES ($1, $2)");
        self.0.execute(query.bind(&cluster).bind(&network)).await.map(drop)
    }

    /// Takes a cluster that goes off its network; a network that carries no other goes with it.
    ///
    /// # Errors
    /// [`StoreError::Referenced`]: the network still has nodes.
    pub(crate) async fn detach(&mut self, cluster: ClusterId) -> Result<(), StoreError> {
        let query = Query::new(
            ATTACHMENTS,
            "DELETE FROM attachments WHERE cluster_id = $1 RETURNING cluster_id, network_id",
        );
        let Some(row) = self.0.one(query.bind(&cluster)).await? else { return Ok(()) };
        let network: NetworkId = row.get("network_id")?;
        let query = Query::new(
            NETWORKS,
            "DELETE FROM networks
             WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM attachments WHERE network_id = $1)",
        );
        self.0.execute(query.bind(&network)).await.map(drop)
    }
}

impl Networks<'_, Owner> {
    /// The next revision of the network's state: what agents are told from now on carries it. Commit before telling.
    ///
    /// # Errors
    /// [`StoreError::Missing`]: no such network.
    pub async fn next_revision(&mut self, id: NetworkId) -> Result<Revision, StoreError> {
        let query = Query::new(
            NETWORKS,
            "UPDATE networks SET revision = revision + 1 WHERE id = $1 RETURNING id, revision",
        )
        .bind(&id);
        let row = self.0.one(query).await?;
        row.ok_or_else(|| StoreError::Missing { what: "network", id: id.to_string() })?.get("revision")
    }
}
