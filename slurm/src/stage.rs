//! How far a node came: the stages of its start, and what to ask a node that is stuck in one.
//!
//! ```text
//! container -> systemd -> munge -> sshd -> slurmctld | slurmd
//! ```

use std::fmt;

use shoal_types::Role;

/// A stage of a node's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The container does not run.
    Container,
    /// It runs, but systemd does not answer.
    Systemd,
    /// munged does not run.
    Munge,
    /// sshd does not run.
    Sshd,
    /// slurmctld does not run.
    Slurmctld,
    /// slurmd does not run, or runs and has not become IDLE.
    Slurmd,
}

impl Stage {
    /// The word, as shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Systemd => "systemd",
            Self::Munge => "munge",
            Self::Sshd => "sshd",
            Self::Slurmctld => "slurmctld",
            Self::Slurmd => "slurmd",
        }
    }

    /// The unit that runs it; none for the container and systemd itself.
    #[must_use]
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::Container | Self::Systemd => None,
            Self::Munge => Some("munge.service"),
            Self::Sshd => Some("ssh.service"),
            Self::Slurmctld => Some("slurmctld.service"),
            Self::Slurmd => Some("slurmd.service"),
        }
    }

    /// The services of a role in the order they start.
    #[must_use]
    pub fn services(role: Role) -> &'static [Self] {
        match role {
            Role::Controller => &[Self::Munge, Self::Sshd, Self::Slurmctld],
            Role::Submitter => &[Self::Munge, Self::Sshd],
            Role::Worker => &[Self::Munge, Self::Sshd, Self::Slurmd],
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What to run in a running node of `role` to learn which of its services are up; read the output, not the status.
#[must_use]
pub fn is_active_command(role: Role) -> Vec<&'static str> {
    let units = Stage::services(role).iter().filter_map(|stage| stage.unit());
    ["systemctl", "is-active"].into_iter().chain(units).collect()
}

/// The first service of `role` that is not up, by what [`is_active_command`] printed: a word per unit. Output of another
/// form means that systemd does not answer. `None`: all are up.
#[must_use]
pub fn first_inactive(role: Role, output: &str) -> Option<Stage> {
    let services = Stage::services(role);
    let states: Vec<_> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if states.len() != services.len() || states.iter().any(|state| state.contains(' ')) {
        return Some(Stage::Systemd);
    }
    services.iter().zip(states).find(|(_, state)| *state != "active").map(|(stage, _)| *stage)
}

/// What to run in a running node for the last `lines` lines of the log of a stage.
#[must_use]
pub fn log_command(stage: Stage, lines: u32) -> Vec<String> {
    let mut command: Vec<_> = ["journalctl", "--no-pager", "--output=cat"].map(str::to_owned).into();
    command.push(format!("--lines={lines}"));
    command.extend(stage.unit().map(|unit| format!("--unit={unit}")));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_service_that_is_not_up() {
        assert_eq!(
            is_active_command(Role::Worker),
            ["systemctl", "is-active", "munge.service", "ssh.service", "slurmd.service"]
        );
        for (output, stage) in [
            ("active\nactive\nactive\n", None),
            ("active\r\nactive\r\nactivating\r\n", Some(Stage::Slurmd)),
            ("failed\nactive\ninactive\n", Some(Stage::Munge)),
            ("Failed to connect to bus: No such file or directory\n", Some(Stage::Systemd)),
            ("", Some(Stage::Systemd)),
        ] {
            assert_eq!(first_inactive(Role::Worker, output), stage, "{output:?}");
        }
        assert_eq!(first_inactive(Role::Submitter, "active\nactive\n"), None);
    }

    #[test]
    fn log_of_a_stage() {
        assert_eq!(
            log_command(Stage::Slurmd, 5),
            ["journalctl", "--no-pager", "--output=cat", "--lines=5", "--unit=slurmd.service"]
        );
        assert_eq!(log_command(Stage::Systemd, 5).len(), 4);
    }
}
