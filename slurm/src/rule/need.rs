//! What some plug-ins of Slurm need of the hosts that nodes run on.

use std::fmt;

use shoal_types::{CgroupWay, EngineFacts, SlurmSpec};

use super::{Rule, table::rows};
use crate::conf::UserText;

/// Something that not every host lets a node do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// Dividing its control groups among jobs, as Slurm's cgroup plug-ins do.
    Cgroups,
    /// Mounting, as plug-ins do that give each job a `/tmp`.
    Mounts,
}

impl Ability {
    /// Why nodes of this engine have it not; `None`: they have.
    ///
    /// A node of cgroup v1 has its hierarchies read-only beyond systemd's own. One of v2 has its part of the tree, and what a host
    /// does not delegate is missing there: an engine that can limit CPU has the controllers.
    #[must_use]
    pub fn missing(self, engine: &EngineFacts) -> Option<&'static str> {
        match self {
            Self::Cgroups if engine.cgroup_version != 2 => {
                Some("cgroup v1, of which a node may not divide its part")
            }
            Self::Cgroups if !engine.cpu_limits => Some("cgroup v2 without controllers for nodes"),
            Self::Cgroups => None,
            Self::Mounts => match engine.cgroup_way() {
                CgroupWay::SysAdmin => None,
                CgroupWay::Writable => Some("nodes without SYS_ADMIN, which may not mount"),
            },
        }
    }
}

/// A line that needs something of the hosts of workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What it needs.
    pub ability: Ability,
    /// The line, and where it is: `dev.yaml:7: ProctrackType=proctrack/cgroup`.
    line: String,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// The lines of a specification that need something of the hosts, in order.
#[must_use]
pub fn needs(slurm: &SlurmSpec) -> Vec<Need> {
    let text = UserText::of(slurm);
    let each = text.entries().filter_map(|entry| {
        let statement = entry.statement.as_ref()?;
        rows(&statement.key).find_map(|row| {
            let Rule::Hosts { values, ability } = row.rule else { return None };
            let wanted = values.iter().any(|value| statement.has_plugin(value));
            wanted.then(|| Need { ability, line: entry.shown() })
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_an_ability_or_a_reason() {
        let v2 = EngineFacts::sample();
        let v1 = EngineFacts { cgroup_version: 1, ..v2.clone() };
        let bare = EngineFacts { cpu_limits: false, ..v2.clone() };
        assert_eq!(Ability::Cgroups.missing(&v2), None);
        assert!(Ability::Cgroups.missing(&v1).is_some_and(|why| why.contains("cgroup v1")));
        assert!(Ability::Cgroups.missing(&bare).is_some_and(|why| why.contains("without controllers")));
        assert_eq!(Ability::Mounts.missing(&v1), None);
        assert!(Ability::Mounts.missing(&v2).is_some_and(|why| why.contains("SYS_ADMIN")));
    }

    #[test]
    fn lines_that_need_something_are_found() {
        let main = "ProctrackType=proctrack/cgroup\nTaskPlugin=task/affinity,task/cgroup\nTaskPlugin=task/none\n\
                    JobAcctGatherType=jobacct_gather/linux\nJobContainerType=job_container/tmpfs\nTaskPlugin=affinity,cgroup\n";
        let slurm = SlurmSpec { main: [("main".to_owned(), main.to_owned())].into(), ..SlurmSpec::default() };
        let found: Vec<_> = needs(&slurm).iter().map(|need| format!("{:?} {need}", need.ability)).collect();
        assert_eq!(
            found,
            [
                "Cgroups slurm.main, line 1: ProctrackType=proctrack/cgroup",
                "Cgroups slurm.main, line 2: TaskPlugin=task/affinity,task/cgroup",
                "Mounts slurm.main, line 5: JobContainerType=job_container/tmpfs",
                "Cgroups slurm.main, line 6: TaskPlugin=affinity,cgroup",
            ]
        );
    }
}
