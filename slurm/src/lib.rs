//! Everything a node must know to be a node of a Slurm cluster, rendered from the store's data alone: no I/O, no clock, no randomness.
//!
//! ```text
//!  ClusterView ----+--> slurm_conf, gres_conf, cgroup_conf (what may stand in them: rule.rs)
//!  (names, roles,  |         |
//!   addresses)     |         v
//!  ClusterKeys ----+--> BootstrapTemplate --archive(node)--> tar, put into the created container, then it is started
//!  (one sealed     |         ^
//!   seed)          |     Accounts (uids of the image)
//!                  +--> known_hosts (for the user's ssh)      RoleSpec: what each role is, read by all of these
//!
//!  the controller's sinfo --text--> parse_sinfo --> [NodeReport]       a stuck node's systemctl --text--> Stage
//! ```
//! Addresses and keys are fixed when a cluster is admitted, so a node's whole configuration exists before its container does,
//! and rendering it again, in any process, gives the same bytes.

mod accounts;
mod archive;
mod bootstrap;
mod complaint;
mod conf;
mod drain;
mod keys;
mod known_hosts;
mod limits;
mod role;
mod rule;
mod shutdown;
mod sinfo;
mod stage;
mod text;
mod unit;
mod view;

pub use accounts::{Accounts, AccountsError, Owner};
pub use bootstrap::{BootstrapError, BootstrapTemplate};
pub use complaint::{Complaint, given_up};
pub use conf::slurm_conf;
pub use drain::{REBALANCE_REASON, down_command, drain_command, drain_reason, resume_command};
pub use keys::{ClusterKeys, KeyError, SshKeyPair};
pub use known_hosts::known_hosts;
pub use limits::{LIMITS, Limit, PIDS, within_limits};
pub use role::{ConfigSource, Port, Readiness, RoleSpec, SlurmPart, Tmpfs};
pub use rule::{Ability, Layout, Need, Refusal, Refusals, check, needs, reference};
pub use shoal_types::nodeset::{MAX_NODESET, NodesetError, compress, expand};
pub use sinfo::{NodeReport, NodeStatus, SINFO_COMMAND, parse_sinfo};
pub use stage::{Stage, is_noise, log_command, once_more_command, state_command};
pub use view::{ClusterView, NodeView, SLURMCTLD_PORT, SLURMD_PORT, SLURMRESTD_PORT, SSH_PORT, ViewError};
