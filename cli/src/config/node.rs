//! An entry of `nodes`, in any of its three forms.
//!
//! ```yaml
//! - controller                                  # a role: one node
//! - worker: 3                                   # a role and how many
//! - { role: worker, count: 3, memory: 1g }      # everything by name
//! ```

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use shoal_types::{Role, RoleCount};

use super::{
    slurm::GroupSlurm,
    value::{Constraint, Count, Cpus, Size},
};

/// Keys of the third form.
const KEYS: &[&str] = &["role", "count", "cpus", "memory", "tmpSize", "shmSize", "constraints", "slurm"];

/// Some nodes of one role and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Role of the nodes.
    pub(super) role: Role,
    /// How many.
    pub(super) count: Count,
    /// CPUs of each.
    pub(super) cpus: Option<Cpus>,
    /// Memory of each.
    pub(super) memory: Option<Size>,
    /// Size of `/tmp` of each.
    pub(super) tmp_size: Option<Size>,
    pub(super) shm_size: Option<Size>,
    /// Conditions on the hosts of these nodes, besides the cluster's.
    pub(super) constraints: Vec<Constraint>,
    /// What Slurm is told of each.
    pub(super) slurm: Option<GroupSlurm>,
}

impl Node {
    /// `count` nodes of a role and nothing else said.
    pub(super) fn new(role: Role, count: Count) -> Self {
        Self {
            role,
            count,
            cpus: None,
            memory: None,
            tmp_size: None,
            shm_size: None,
            constraints: Vec::new(),
            slurm: None,
        }
    }

    /// Only workers are counted: of any other role there is at most one.
    fn counted<E: Error>(role: Role, count: Count) -> Result<Count, E> {
        match role.count() {
            RoleCount::Many => Ok(count),
            RoleCount::One | RoleCount::AtMostOne => {
                Err(E::custom(format!("only workers have a count, a cluster has one {role}")))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("`controller`, `worker: 3` or `{ role: worker, count: 3 }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        text.parse().map(|role| Node::new(role, Count::ONE)).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut key: Option<String> = map.next_key()?;
        if let Some(role) = key.as_deref().and_then(|k| k.parse().ok()) {
            let count = Node::counted(role, map.next_value()?)?;
            return match map.next_key::<String>()? {
                None => Ok(Node::new(role, count)),
                Some(extra) => Err(A::Error::custom(format!(
                    "`{extra}` cannot stand beside `{role}: {count}`: write role and count by name",
                    count = count.0
                ))),
            };
        }
        let (
            mut role,
            mut count,
            mut cpus,
            mut memory,
            mut tmp_size,
            mut shm_size,
            mut constraints,
            mut slurm,
        ) = (None, None, None, None, None, None, None::<Vec<Constraint>>, None);
        while let Some(name) = key {
            match name.as_str() {
                "role" => role = Some(map.next_value::<Role>()?),
                "count" => count = Some(map.next_value()?),
                "cpus" => cpus = map.next_value()?,
                "memory" => memory = map.next_value()?,
                "tmpSize" => tmp_size = map.next_value()?,
                "shmSize" => shm_size = map.next_value()?,
                "constraints" => constraints = map.next_value()?,
                "slurm" => slurm = map.next_value()?,
                unknown => return Err(A::Error::unknown_field(unknown, KEYS)),
            }
            key = map.next_key()?;
        }
        let role = role.ok_or_else(|| A::Error::missing_field("role"))?;
        let count = count.map_or(Ok(Count::ONE), |count| Node::counted(role, count))?;
        Ok(Node {
            role,
            count,
            cpus,
            memory,
            tmp_size,
            shm_size,
            constraints: constraints.unwrap_or_default(),
            slurm,
        })
    }
}
