//! How far a node came: the stages of its start, and what to ask a node that is stuck in one. Which of them a role has is
//! in `role.rs`.
//!
//! ```text
//! container -> systemd -> munge -> sshd -> slurmctld | slurmrestd | slurmd
//! ```

use std::fmt;

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
    /// slurmrestd does not run.
    Slurmrestd,
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
            Self::Slurmrestd => "slurmrestd",
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
            Self::Slurmrestd => Some("slurmrestd.service"),
            Self::Slurmd => Some("slurmd.service"),
        }
    }

    /// Every unit that is the sign of a stage.
    pub fn units() -> impl Iterator<Item = &'static str> {
        [Self::Munge, Self::Sshd].into_iter().chain(Self::DAEMONS).filter_map(Self::unit)
    }

    /// Slurm's daemons.
    pub(crate) const DAEMONS: [Self; 3] = [Self::Slurmctld, Self::Slurmrestd, Self::Slurmd];

    /// Whether it is one of Slurm's daemons.
    #[must_use]
    pub fn is_daemon(self) -> bool {
        Self::DAEMONS.contains(&self)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What to run in a running node for the last `lines` lines of the log of a stage. What one of Slurm's daemons writes to syslog before it
/// ends is its unit's only if journald looks at it in time, so it is asked for by name, too.
#[must_use]
pub fn log_command(stage: Stage, lines: u32) -> Vec<String> {
    let mut command: Vec<_> = ["journalctl", "--no-pager", "--output=cat"].map(str::to_owned).into();
    command.push(format!("--lines={lines}"));
    match stage.unit() {
        Some(unit) if stage.is_daemon() => {
            let own = format!("_SYSTEMD_UNIT={unit}");
            let systemds = [format!("UNIT={unit}"), "_PID=1".to_owned()];
            let or = || "+".to_owned();
            command.extend([own, or()].into_iter().chain(systemds));
            command.extend([or(), format!("SYSLOG_IDENTIFIER={stage}")]);
        }
        unit => command.extend(unit.map(|unit| format!("--unit={unit}"))),
    }
    command
}

/// What to run in a running node for a property of the unit of a stage; `None`: it has none.
#[must_use]
pub fn state_command(stage: Stage, property: &str) -> Option<Vec<String>> {
    let unit = stage.unit()?;
    let property = format!("--property={property}");
    Some(["systemctl", "show", &property, "--value", unit].map(str::to_owned).into())
}

/// What to run in a node whose daemon ends whenever it is started, for its own words: once more, by hand. Of those of a daemon that
/// ends at once the journal may have none: Slurm 22.05 lost all it said to systemd after it had read its configuration.
#[must_use]
pub fn once_more_command(daemon: Stage) -> Option<Vec<String>> {
    let line = match daemon {
        Stage::Slurmctld => "timeout 5 /usr/sbin/slurmctld -D -s 2>&1",
        Stage::Slurmd => ". /etc/shoal/slurmd.env; timeout 5 /usr/sbin/slurmd -D $SLURMD_OPTIONS 2>&1",
        Stage::Slurmrestd | Stage::Container | Stage::Systemd | Stage::Munge | Stage::Sshd => return None,
    };
    Some(["/bin/sh", "-c", line].map(str::to_owned).into())
}

/// Whether a line of a node's log says nothing of the node: systemd's, of a cgroup hierarchy that containers do not have.
#[must_use]
pub fn is_noise(line: &str) -> bool {
    line.contains("compat systemd cgroup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_of_a_stage() {
        assert_eq!(
            log_command(Stage::Slurmd, 5),
            [
                "journalctl",
                "--no-pager",
                "--output=cat",
                "--lines=5",
                "_SYSTEMD_UNIT=slurmd.service",
                "+",
                "UNIT=slurmd.service",
                "_PID=1",
                "+",
                "SYSLOG_IDENTIFIER=slurmd"
            ]
        );
        assert_eq!(log_command(Stage::Sshd, 5)[4..], ["--unit=ssh.service"]);
        assert_eq!(log_command(Stage::Systemd, 5).len(), 4);
        let restarts = state_command(Stage::Slurmd, "NRestarts");
        assert_eq!(restarts.unwrap()[2..], ["--property=NRestarts", "--value", "slurmd.service"]);
        assert_eq!(state_command(Stage::Systemd, "NRestarts"), None);
    }

    #[test]
    fn what_every_container_logs_is_noise() {
        let line = "slurmd.service: Failed to attach 112 to compat systemd cgroup /system.slice/slurmd.service, ignoring: No such file";
        assert!(is_noise(line) && !is_noise("slurmd: fatal: Failed to attach"));
    }
}
