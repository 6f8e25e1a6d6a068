//! Brings a store's schema up to date: the migrations, and the one step between two of them that SQL cannot do.
//!
//! ```text
//! 0001 ... 0007_node_sizes --> sizes(): clusters' specifications -> node_sizes --> 0008_node_rows ...   ONE transaction
//! ```
//! Until 0008 a node's size was looked up in its cluster's specification, by the node's number. The step does this once per
//! node. A store that a process of an earlier version works with is left as it is: what that process writes next would be of its own
//! version. It has its own types for the specification of those versions, so later changes of the format do not reach it.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use shoal_types::{ClusterId, MilliCpu, SettingsDigest, Timestamp};
use sqlx::migrate::Migrator;

use crate::{
    Lease, StoreError,
    connection::{Connection, Database},
    fault::Label,
    holder::this_boot,
    lease::LEASES,
    query::{Query, ROWS_PER_STATEMENT, Table},
    row::Row,
};

/// The migration that makes room for what [`sizes`] finds.
const NODE_SIZES: i64 = 7;

const MIGRATIONS: Table = Table { name: "_sqlx_migrations", key: "version" };
const CLUSTERS: Table = Table { name: "clusters", key: "id" };
const NODES: Table = Table { name: "nodes", key: "id" };
const SIZES: Table = Table { name: "node_sizes", key: "node_id" };

/// Brings the schema up to date in the transaction of `connection`, which holds the writers' lock, and commits it: of several
/// processes one does it, the others find it done.
pub(crate) async fn upgrade(
    mut connection: Connection,
    migrations: &Migrator,
    label: &Label,
    now: Timestamp,
) -> Result<(), StoreError> {
    let known = migrations.iter().map(|m| m.version).max().unwrap_or(0);
    unused(&mut connection, known, label, now).await?;
    let migration = |source| label.migration(source, known);
    let fault = |source| label.fault("migration", source);
    connection.migrate(migrations, Some(NODE_SIZES)).await.map_err(migration)?;
    let later = Query::new(MIGRATIONS, "SELECT version FROM _sqlx_migrations WHERE version > $1 LIMIT 1");
    if connection.all(later.bind(&NODE_SIZES)).await.map_err(fault)?.is_empty() {
        sizes(&mut connection, label).await?;
    }
    connection.migrate(migrations, None).await.map_err(migration)?;
    connection.commit().await.map_err(fault)
}

/// Sees that nobody holds a lease of a store that is to be changed; a process of this machine that has ended holds none.
async fn unused(
    connection: &mut Connection,
    known: i64,
    label: &Label,
    now: Timestamp,
) -> Result<(), StoreError> {
    let fault = |source| label.fault("migration", source);
    let there = match connection.database() {
        Database::Sqlite => "SELECT 1 AS there FROM sqlite_master WHERE name = '_sqlx_migrations'",
        Database::Postgres => {
            "SELECT CAST(1 AS BIGINT) AS there WHERE to_regclass('_sqlx_migrations') IS NOT NULL"
        }
    };
    if connection.all(Query::new(MIGRATIONS, there)).await.map_err(fault)?.is_empty() {
        return Ok(());
    }
    let newest = Query::new(MIGRATIONS, "SELECT MAX(version) AS version FROM _sqlx_migrations");
    let newest = connection.all(newest).await.map_err(fault)?;
    let found: Option<i64> = newest.first().map(|row| row.opt("version")).transpose()?.flatten();
    let Some(found) = found.filter(|found| *found < known) else { return Ok(()) };
    let leases = Query::new(LEASES, "SELECT * FROM leases WHERE until_ms > $1 ORDER BY resource").bind(&now);
    for row in connection.all(leases).await.map_err(fault)? {
        let Lease { holder, .. } = Lease::try_from(row)?;
        let is_here = holder.boot_id == this_boot().unwrap_or_default();
        if !is_here || holder.lives() {
            let holder = format!("process {} ({})", holder.pid, holder.id);
            return Err(StoreError::Older { store: label.store.clone(), holder, found, known });
        }
    }
    Ok(())
}

/// A specification as it was kept before 0008.
#[derive(Debug, Deserialize)]
struct Spec {
    groups: Vec<Group>,
    profile: String,
    slurm: Slurm,
    #[serde(default)]
    ssh_keys: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Group {
    role: String,
    count: u32,
    cpu_limit: Option<u64>,
    memory_limit: u64,
    tmp_size: u64,
    constraints: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Slurm {
    main: BTreeMap<String, String>,
    cpus: Option<u32>,
    memory: Option<u64>,
}

/// A specification and where the nodes of each of its groups begin among those of their role.
#[derive(Debug)]
struct Wish {
    spec: Spec,
    first: Vec<u64>,
    settings: SettingsDigest,
}

impl Wish {
    fn new(spec: Spec) -> Self {
        let mut next: HashMap<&str, u64> = HashMap::new();
        let mut first = Vec::with_capacity(spec.groups.len());
        for group in &spec.groups {
            let next = next.entry(&group.role).or_default();
            first.push(*next);
            *next += u64::from(group.count);
        }
        let keys = spec.ssh_keys.iter().map(String::as_str);
        let settings = SettingsDigest::of(&spec.profile, &spec.slurm.main, keys);
        Self { spec, first, settings }
    }

    /// The group of the node with this index among those of its role, and the group's number.
    fn group(&self, role: &str, index: u64) -> Option<(u64, &Group)> {
        (0..).zip(self.spec.groups.iter().zip(&self.first)).find_map(|(number, (group, first))| {
            let within = group.role == role && (*first..first + u64::from(group.count)).contains(&index);
            within.then_some((number, group))
        })
    }
}

/// A row of `node_sizes`.
#[derive(Debug)]
struct Size<'w> {
    node: String,
    group_number: u64,
    group: &'w Group,
    slurm_cpus: u32,
    slurm_memory: u64,
    settings: &'w SettingsDigest,
}

/// Looks up the size of every node in its cluster's specification.
async fn sizes(connection: &mut Connection, label: &Label) -> Result<(), StoreError> {
    let fault = |source| label.fault("migration", source);
    let clusters = Query::new(CLUSTERS, "SELECT id, spec FROM clusters");
    let mut wishes: HashMap<ClusterId, Wish> = HashMap::new();
    for row in connection.all(clusters).await.map_err(fault)? {
        wishes.insert(row.get("id")?, Wish::new(row.json("spec")?));
    }
    let nodes = Query::new(NODES, "SELECT id, cluster_id, role, idx FROM nodes");
    let nodes = connection.all(nodes).await.map_err(fault)?;
    let sizes = nodes.iter().map(|row| size(row, &wishes)).collect::<Result<Vec<_>, _>>()?;
    for chunk in sizes.chunks(ROWS_PER_STATEMENT) {
        let head = "INSERT INTO node_sizes (node_id, group_number, cpu_limit_milli, memory_limit_bytes,
                      tmp_size_bytes, slurm_cpus, slurm_memory_bytes, constraints, settings)
                    VALUES ";
        let query = chunk.iter().fold(Query::bulk(SIZES, head, chunk.len(), 9), |query, size| {
            query
                .bind(&size.node)
                .bind(&size.group_number)
                .bind_opt(size.group.cpu_limit.as_ref())
                .bind(&size.group.memory_limit)
                .bind(&size.group.tmp_size)
                .bind(&size.slurm_cpus)
                .bind(&size.slurm_memory)
                .text(size.group.constraints.to_string())
                .text(size.settings.to_string())
        });
        connection.execute(query).await.map_err(fault)?;
    }
    Ok(())
}

fn size<'w>(row: &Row, wishes: &'w HashMap<ClusterId, Wish>) -> Result<Size<'w>, StoreError> {
    let wish = wishes.get(&row.get("cluster_id")?).ok_or_else(|| row.corrupt("cluster_id"))?;
    let role: String = row.get("role")?;
    let (group_number, group) = wish.group(&role, row.get("idx")?).ok_or_else(|| row.corrupt("idx"))?;
    let own_cpus = group.cpu_limit.map_or(1, |limit| MilliCpu(limit).cores_ceil());
    Ok(Size {
        node: row.get("id")?,
        group_number,
        group,
        slurm_cpus: wish.spec.slurm.cpus.unwrap_or(own_cpus).max(1),
        slurm_memory: wish.spec.slurm.memory.unwrap_or(group.memory_limit),
        settings: &wish.settings,
    })
}
