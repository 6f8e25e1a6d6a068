//! What is told of a node: from what its host, its agent and Slurm said. Pure.

use std::{collections::BTreeSet, time::Duration};

use shoal_api::{ContainerState as Shown, Failing, ServiceState, SystemdState};
use shoal_docker::ContainerState;
use shoal_slurm::{NodeReport, NodeStatus as SlurmStatus, RoleSpec, SlurmPart, Stage};

use crate::words::agent::NodeProbe;

/// How long the services of a node may take to come up before one that is not there counts as missing: systemd nodes are IDLE
/// 2 to 9 s after their start, on a busy machine later (measured 2026-11-21).
const START: Duration = Duration::from_secs(30);
/// What Slurm says of a node when it says nothing.
const UNKNOWN: &str = "unknown";

/// What was heard of one node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub(crate) role: &'static RoleSpec,
    /// `None`: its host does not answer; `Some(None)`: it has no container there.
    pub(crate) container: Option<Option<ContainerState>>,
    /// `None`: the agent does not answer.
    pub(crate) probe: Option<&'a NodeProbe>,
    /// `None`: Slurm does not answer; `Some(None)`: it does not know the node.
    pub(crate) slurm: Option<Option<&'a NodeReport>>,
    /// How it ends again and again, if it does.
    pub(crate) failing: Option<&'a Failing>,
}

/// What is told of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) container: Shown,
    pub(crate) systemd: SystemdState,
    pub(crate) munge: ServiceState,
    pub(crate) sshd: ServiceState,
    /// `None` for a role without one.
    pub(crate) daemon: Option<ServiceState>,
    /// With its flags; `None` for a role that is none of Slurm's nodes.
    pub(crate) slurm: Option<String>,
    pub(crate) reason: Option<String>,
    /// What is not as it should be.
    pub(crate) troubles: Vec<String>,
}

/// Puts it together.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Verdict {
    let has_daemon = evidence.role.daemon().is_some();
    let mut verdict = Verdict {
        container: container(evidence.container),
        systemd: SystemdState::Unknown,
        munge: ServiceState::Unknown,
        sshd: ServiceState::Unknown,
        daemon: has_daemon.then_some(ServiceState::Unknown),
        slurm: None,
        reason: None,
        troubles: Vec::new(),
    };
    match evidence.container {
        None => verdict.troubles.push("its host does not answer".into()),
        Some(None) => verdict.troubles.push("it has no container".into()),
        Some(Some(ContainerState::Running)) => {}
        Some(Some(_)) => verdict.troubles.push(match evidence.failing {
            Some(failing) => format!("failing: {failing}"),
            None => format!("its container is {}", verdict.container),
        }),
    }
    let services = match evidence.container {
        Some(Some(ContainerState::Running | ContainerState::Paused)) => evidence.probe,
        Some(_) => Some(&STOPPED),
        None => None,
    };
    if let Some(probe) = services {
        tell_services(evidence.role, probe, &mut verdict);
    }
    tell_slurm(evidence, &mut verdict);
    verdict
}

/// A node of which nothing runs.
static STOPPED: NodeProbe = NodeProbe {
    alive: false,
    manager: false,
    units: BTreeSet::new(),
    munge: false,
    sshd: false,
    up: Duration::ZERO,
};

fn container(seen: Option<Option<ContainerState>>) -> Shown {
    match seen {
        None => Shown::Unknown,
        Some(None) => Shown::Absent,
        Some(Some(state)) => match state {
            ContainerState::Created => Shown::Created,
            ContainerState::Running => Shown::Running,
            ContainerState::Paused => Shown::Paused,
            ContainerState::Restarting => Shown::Restarting,
            ContainerState::Removing => Shown::Removing,
            ContainerState::Exited => Shown::Exited,
            ContainerState::Dead => Shown::Dead,
        },
    }
}

fn runs(stage: &Stage, probe: &NodeProbe) -> bool {
    match stage {
        Stage::Munge => probe.munge,
        Stage::Sshd => probe.sshd,
        Stage::Slurmctld | Stage::Slurmrestd | Stage::Slurmd | Stage::Container | Stage::Systemd => {
            stage.unit().is_some_and(|unit| probe.units.contains(unit))
        }
    }
}

/// Whether everything runs in a node that its role has run there.
pub(crate) fn serves(role: &RoleSpec, probe: &NodeProbe) -> bool {
    probe.alive && probe.manager && role.services.iter().all(|stage| runs(stage, probe))
}

fn tell_services(role: &RoleSpec, probe: &NodeProbe, verdict: &mut Verdict) {
    let up = |is: bool| if is { ServiceState::Up } else { ServiceState::Down };
    let runs = |stage: &Stage| runs(stage, probe);
    let of = |wanted: fn(&Stage) -> bool| role.services.iter().find(|s| wanted(s)).map(|s| up(runs(s)));
    verdict.munge = of(|s| *s == Stage::Munge).unwrap_or(ServiceState::Unknown);
    verdict.sshd = of(|s| *s == Stage::Sshd).unwrap_or(ServiceState::Unknown);
    verdict.daemon = of(|s| s.is_daemon());
    let missing: Vec<_> = role.services.iter().filter(|stage| !runs(stage)).collect();
    verdict.systemd = match (probe.alive, probe.manager) {
        (false, _) => SystemdState::Stopped,
        (true, false) => SystemdState::Starting,
        (true, true) if missing.is_empty() => SystemdState::Running,
        (true, true) if probe.up < START => SystemdState::Starting,
        (true, true) => SystemdState::Degraded,
    };
    if verdict.container != Shown::Running {
        // What follows from that is no trouble of its own.
        return;
    }
    match (probe.alive, probe.manager) {
        (false, _) => verdict.troubles.push("its first process is gone".into()),
        (true, false) => verdict.troubles.push("systemd takes no commands yet".into()),
        (true, true) => verdict.troubles.extend(missing.into_iter().map(|stage| format!("{stage} is down"))),
    }
}

fn tell_slurm(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    if evidence.role.slurm != SlurmPart::Node {
        return;
    }
    let report = match evidence.slurm {
        None => {
            verdict.slurm = Some(UNKNOWN.into());
            return;
        }
        Some(None) => {
            verdict.slurm = Some(UNKNOWN.into());
            verdict.troubles.push("Slurm does not know it".into());
            return;
        }
        Some(Some(report)) => report,
    };
    let state = format!("{}{}", word(&report.status), report.flags);
    verdict.reason = report.reason.clone();
    if !report.is_usable() {
        let why = report.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        verdict.troubles.push(format!("Slurm has it {state}{why}"));
    }
    verdict.slurm = Some(state);
}

fn word(status: &SlurmStatus) -> &str {
    match status {
        SlurmStatus::Idle => "idle",
        SlurmStatus::Allocated => "allocated",
        SlurmStatus::Mixed => "mixed",
        SlurmStatus::Completing => "completing",
        SlurmStatus::Down => "down",
        SlurmStatus::Drained => "drained",
        SlurmStatus::Draining => "draining",
        SlurmStatus::Unknown => UNKNOWN,
        SlurmStatus::Other(word) => word,
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{Profile, Role};

    use super::*;

    fn spec(role: Role) -> &'static RoleSpec {
        RoleSpec::of(role, Profile::System)
    }

    fn probe(units: &[&str]) -> NodeProbe {
        NodeProbe {
            alive: true,
            manager: true,
            units: units.iter().map(ToString::to_string).collect(),
            munge: units.contains(&"munge.service"),
            sshd: units.contains(&"ssh.service"),
            up: Duration::from_secs(60),
        }
    }

    fn slurm(status: SlurmStatus, flags: &str, reason: Option<&str>) -> NodeReport {
        NodeReport {
            name: "worker-0".parse().unwrap(),
            status,
            flags: flags.into(),
            reason: reason.map(str::to_owned),
        }
    }

    const ALL: [&str; 3] = ["munge.service", "ssh.service", "slurmd.service"];

    #[test]
    fn a_worker_that_is_well() {
        let (probe, report) = (probe(&ALL), slurm(SlurmStatus::Idle, "", None));
        let verdict = judge(&Evidence {
            role: spec(Role::Worker),
            container: Some(Some(ContainerState::Running)),
            probe: Some(&probe),
            slurm: Some(Some(&report)),
            failing: None,
        });
        let told = (verdict.container, verdict.systemd, verdict.munge, verdict.sshd, verdict.daemon);
        let up = ServiceState::Up;
        assert_eq!(told, (Shown::Running, SystemdState::Running, up, up, Some(up)));
        assert_eq!((verdict.slurm.as_deref(), verdict.troubles), (Some("idle"), vec![]));
    }

    #[test]
    fn every_trouble_is_told_once() {
        let running = Some(Some(ContainerState::Running));
        let idle = slurm(SlurmStatus::Idle, "", None);
        let down = slurm(SlurmStatus::Down, "*", Some("Not responding"));
        let saving = slurm(SlurmStatus::Idle, "%", None);
        let young = NodeProbe { up: Duration::from_millis(500), ..probe(&[]) };
        let booting = NodeProbe { manager: false, ..young.clone() };
        for (name, container, seen, report, systemd, troubles) in [
            (
                "munge",
                running,
                Some(probe(&ALL[1..])),
                Some(&idle),
                SystemdState::Degraded,
                &["munge is down"][..],
            ),
            (
                "slurmd",
                running,
                Some(probe(&ALL[..2])),
                Some(&idle),
                SystemdState::Degraded,
                &["slurmd is down"],
            ),
            (
                "young",
                running,
                Some(young),
                Some(&idle),
                SystemdState::Starting,
                &["munge is down", "sshd is down", "slurmd is down"],
            ),
            (
                "boots",
                running,
                Some(booting),
                Some(&idle),
                SystemdState::Starting,
                &["systemd takes no commands yet"],
            ),
            (
                "paused",
                Some(Some(ContainerState::Paused)),
                Some(probe(&ALL)),
                Some(&idle),
                SystemdState::Running,
                &["its container is paused"],
            ),
            (
                "exited",
                Some(Some(ContainerState::Exited)),
                None,
                Some(&down),
                SystemdState::Stopped,
                &["its container is exited", "Slurm has it down*: Not responding"],
            ),
            ("saves power", running, Some(probe(&ALL)), Some(&saving), SystemdState::Running, &[]),
            ("gone", Some(None), None, Some(&idle), SystemdState::Stopped, &["it has no container"]),
            ("host", None, None, Some(&idle), SystemdState::Unknown, &["its host does not answer"]),
            ("agent", running, None, Some(&idle), SystemdState::Unknown, &[]),
            (
                "stranger",
                running,
                Some(probe(&ALL)),
                None,
                SystemdState::Running,
                &["Slurm does not know it"],
            ),
        ] {
            let verdict = judge(&Evidence {
                role: spec(Role::Worker),
                container,
                probe: seen.as_ref(),
                slurm: Some(report),
                failing: None,
            });
            assert_eq!(
                (verdict.systemd, verdict.troubles),
                (systemd, troubles.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "{name}"
            );
        }
    }

    #[test]
    fn a_submitter_has_no_daemon_and_a_silent_controller_blames_no_node() {
        let probe = probe(&ALL[..2]);
        let evidence = |role| Evidence {
            role: spec(role),
            container: Some(Some(ContainerState::Running)),
            probe: Some(&probe),
            slurm: None,
            failing: None,
        };
        let verdict = judge(&evidence(Role::Submitter));
        assert_eq!((verdict.systemd, verdict.daemon, verdict.slurm), (SystemdState::Running, None, None));
        assert!(verdict.troubles.is_empty());
        assert_eq!(judge(&evidence(Role::Worker)).slurm.as_deref(), Some(UNKNOWN));
        assert_eq!(judge(&evidence(Role::Controller)).troubles, ["slurmctld is down"]);
    }

    #[test]
    fn a_node_that_ends_again_and_again_is_told_as_failing() {
        let failing = Failing {
            ends: 4,
            exit_status: Some(7),
            out_of_memory: false,
            log: vec![],
            restart_in_ms: Some(40_000),
        };
        let verdict = judge(&Evidence {
            role: spec(Role::Submitter),
            container: Some(Some(ContainerState::Exited)),
            probe: None,
            slurm: None,
            failing: Some(&failing),
        });
        let told = "failing: ended 4 times in a row, last with exit status 7; next restart in 40s";
        assert_eq!((verdict.container, verdict.troubles), (Shown::Exited, vec![told.to_owned()]));
    }
}
