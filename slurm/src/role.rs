//! What a role is: one value per role and profile, in a file of its own, and read by everything that treats roles apart.
//!
//! ```text
//! role/controller.rs ---+                 +--> bootstrap.rs   units wanted and masked, drop-ins, files
//! role/submitter.rs  ---+--> RoleSpec ----+--> conf.rs        what slurm.conf says of it, where its state is
//! role/api.rs        ---+                 |
//! role/worker.rs     ---+                 +--> the coordinator  mounts, volume, readiness, ports, what status shows
//! ```
//! A new role is a word in [`Role`] and a file here.

mod api;
mod controller;
mod submitter;
mod worker;

use shoal_types::{Bytes, Profile, Role};

pub(crate) use controller::STATE_DIR as CONTROLLER_STATE_DIR;
pub(crate) use worker::SPOOL_DIR as WORKER_SPOOL_DIR;

use crate::{ClusterView, Stage};

/// What a role is in one profile.
#[derive(Debug)]
pub struct RoleSpec {
    /// The services it runs, in the order they start. Slurm's daemons that are not among them are masked.
    pub services: &'static [Stage],
    /// Text of the drop-in for its daemon, in order.
    pub drop_ins: &'static [&'static str],
    /// Files its archive has besides those every node gets: path from `/`, text.
    pub files: fn(&ClusterView) -> Vec<(&'static str, String)>,
    /// Where its slurm.conf is from.
    pub config: ConfigSource,
    /// What slurm.conf says of it.
    pub slurm: SlurmPart,
    /// Whether who asks it shows a token that the controller signs (auth/jwt), which the cluster then has a key for.
    pub tokens: bool,
    /// What it serves on.
    pub ports: &'static [Port],
    /// When it is ready.
    pub readiness: Readiness,
    /// The directory of its state, unless the cluster's [`Layout`](crate::Layout) has another for it; it is on a volume and outlives
    /// its container.
    pub state: Option<&'static str>,
    /// What is mounted in memory.
    pub tmpfs: &'static [Tmpfs],
    /// Where it stands among the roles that run commands given no node: the lowest first, never if `None`.
    pub login: Option<u8>,
}

/// Where a node has its slurm.conf from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Its archive brings it.
    Archive,
    /// Its daemon fetches it from the controller ("configless" Slurm).
    Controller,
}

/// What slurm.conf says of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlurmPart {
    /// It is the `SlurmctldHost`.
    Controller,
    /// It has a `NodeName`: it runs jobs, and `sinfo` tells of it.
    Node,
    /// Nothing: it only uses Slurm's commands.
    Client,
}

/// A TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its number, unless the cluster's [`Layout`](crate::Layout) has another for it.
    pub number: u16,
    /// The name of its SRV record in the cluster's zone, if it has one.
    pub service: Option<&'static str>,
}

/// When a node is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It listens on this port, or the one that the cluster's [`Layout`](crate::Layout) has for it; nothing is run in any node before.
    Listens(u16),
    /// Slurm has it IDLE.
    Idle,
    /// With the cluster: nothing waits for it.
    WithCluster,
}

impl Readiness {
    /// The word a user reads of a node that became ready.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Listens(_) | Self::WithCluster => "serving",
        }
    }
}

/// A file system in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where it is mounted.
    pub target: &'static str,
    /// Its size; the node's own `/tmp` size if `None`.
    pub size: Option<Bytes>,
    /// Its mode.
    pub mode: u32,
}

/// What systemd needs of any node: `/run` has its own, munge's and Slurm's sockets and pid files, and a journal that stays in
/// memory.
const SYSTEMD_TMPFS: &[Tmpfs] = &[
    Tmpfs { target: "/run", size: Some(Bytes::mib(64)), mode: 0o755 },
    Tmpfs { target: "/run/lock", size: Some(Bytes::mib(4)), mode: 0o1777 },
    Tmpfs { target: "/tmp", size: None, mode: 0o1777 },
];

/// TCP port of sshd, which every role serves on.
const SSH: Port = Port { number: crate::SSH_PORT, service: None };

impl RoleSpec {
    /// What `role` is where nodes are of `profile`.
    #[must_use]
    pub fn of(role: Role, profile: Profile) -> &'static Self {
        match role {
            Role::Controller => controller::spec(profile),
            Role::Submitter => submitter::spec(profile),
            Role::Api => api::spec(profile),
            Role::Worker => worker::spec(profile),
        }
    }

    /// Slurm's daemon that it runs, if it runs one.
    #[must_use]
    pub fn daemon(&self) -> Option<Stage> {
        self.services.iter().copied().find(|stage| stage.is_daemon())
    }

    /// The last of its services to start: what a node whose services all run may still be waiting for.
    #[must_use]
    pub fn last_service(&self) -> Stage {
        self.services.last().copied().unwrap_or(Stage::Systemd)
    }

    /// Units of Slurm's daemons that the image has and this role does not run.
    pub(crate) fn masked(&self) -> impl Iterator<Item = &'static str> {
        let others = Stage::DAEMONS.into_iter().filter(|daemon| !self.services.contains(daemon));
        others.filter_map(Stage::unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = (Role, &'static RoleSpec)> {
        Role::ALL.into_iter().flat_map(|role| Profile::ALL.map(|profile| (role, RoleSpec::of(role, profile))))
    }

    #[test]
    fn a_daemon_runs_or_is_masked() {
        let shown: Vec<_> = all()
            .map(|(role, spec)| {
                let masked: Vec<_> = spec.masked().collect();
                format!("{role}: {:?}, not {masked:?}, last {}", spec.daemon(), spec.last_service())
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"controller: Some(Slurmctld), not ["slurmrestd.service", "slurmd.service"], last slurmctld"#,
                r#"submitter: None, not ["slurmctld.service", "slurmrestd.service", "slurmd.service"], last sshd"#,
                r#"api: Some(Slurmrestd), not ["slurmctld.service", "slurmd.service"], last slurmrestd"#,
                r#"worker: Some(Slurmd), not ["slurmctld.service", "slurmrestd.service"], last slurmd"#,
            ]
        );
    }

    /// What the rest of the code counts on, for any role there will be.
    #[test]
    fn roles_agree_with_themselves() {
        let controllers = all().filter(|(_, spec)| spec.slurm == SlurmPart::Controller);
        assert_eq!(controllers.map(|(role, _)| role).collect::<Vec<_>>(), [Role::Controller]);
        for (role, spec) in all() {
            assert!(spec.services.starts_with(&[Stage::Munge, Stage::Sshd]), "{role}");
            assert!(spec.daemon().is_some() || spec.drop_ins.is_empty(), "{role}: a drop-in is its daemon's");
            let is_node = spec.slurm == SlurmPart::Node;
            assert_eq!(is_node, spec.readiness == Readiness::Idle, "{role}: only Slurm's nodes become idle");
            if let Readiness::Listens(port) = spec.readiness {
                assert!(spec.ports.iter().any(|p| p.number == port), "{role}");
            }
            let mut targets: Vec<_> = spec.tmpfs.iter().map(|t| t.target).collect();
            targets.extend(spec.state);
            assert!(targets.iter().all(|t| t.starts_with('/')), "{role}");
            let unique: std::collections::BTreeSet<_> = targets.iter().collect();
            assert_eq!(unique.len(), targets.len(), "{role}: {targets:?}");
        }
    }

    #[test]
    fn commands_go_to_the_submitter_before_the_controller() {
        let mut roles: Vec<_> = all().filter_map(|(role, spec)| Some((spec.login?, role))).collect();
        roles.sort();
        assert_eq!(
            roles.iter().map(|(_, role)| *role).collect::<Vec<_>>(),
            [Role::Submitter, Role::Controller]
        );
    }
}
