//! Daemons that give up whenever they are started: one that is missing where all it needs runs is asked for its reason as soon as
//! that can be told, because a configuration that it refuses stays refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use shoal_docker::{CallClass, ContainerState, ExecSpec};
use shoal_slurm::{Complaint, RoleSpec, Stage, given_up, log_command, once_more_command, state_command};
use shoal_types::{HostId, NodeName};

use crate::{
    fleet::HostLink,
    observe::{containers::container_of, intent::Intent},
    pass::{
        diagnose::TEXT_LIMIT,
        readiness::WaitOutcome,
        work::{Halt, Work, on},
    },
};

/// How long a daemon may be missing where everything else runs before it is asked for its reason, and how long until it is asked
/// again.
pub(super) const MISSED: Duration = Duration::from_secs(1);
/// How long munged or sshd may be missing where systemd takes commands before that is asked whether it has given them up.
const BOOT: Duration = Duration::from_secs(3);
/// Starts that ended for one reason before a daemon is believed to go on so: systemd tries up to three times a second.
const STARTS: usize = 5;
/// Lines of its log that are read for its words.
const LOG_LINES: u32 = 200;

/// A daemon that does not listen.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// When its node was last asked about.
    asked: Option<tokio::time::Instant>,
    /// Its node was seen with everything else up.
    seen: bool,
    /// Since when what it needs has been missing, or when that was last asked for.
    booting: Option<tokio::time::Instant>,
    /// It was run by hand, and went on: only time tells.
    works: bool,
}

impl Missing {
    /// Whether its node may be asked again: ports are looked at more often, and asking costs a list and a look at `/proc`.
    pub(super) fn is_due(&mut self) -> bool {
        if self.works || self.asked.is_some_and(|at| at.elapsed() < MISSED) {
            return false;
        }
        self.asked = Some(tokio::time::Instant::now());
        true
    }
}

impl Work {
    /// Whether the daemon of the first node that is waited for gives up whenever it is started: the others have its configuration.
    /// A halt is of that node's host.
    pub(super) async fn worker_refuses(
        &self,
        intent: &Intent,
        waiting: &BTreeSet<NodeName>,
        links: &BTreeMap<HostId, Arc<HostLink>>,
        missing: &mut Missing,
    ) -> Result<Option<WaitOutcome>, (HostId, Halt)> {
        let first = intent.nodes.iter().find(|node| waiting.contains(&node.name));
        let found = first.and_then(|node| Some((node, links.get(&node.host)?)));
        let Some((node, link)) = found else { return Ok(None) };
        let there = container_of(&self.coordinator.naming, link, node.id).await;
        let there = there.map_err(on(link)).map_err(|halt| (link.id, halt))?;
        let Some(container) = there.filter(|c| c.state == ContainerState::Running) else { return Ok(None) };
        let refusal = self.refusal(intent, intent.role(node), (link, &container.id), missing).await;
        let refusal = refusal.map_err(|halt| (link.id, halt))?;
        Ok(refusal.map(|(daemon, reason)| WaitOutcome::Refused { daemon, reason }))
    }

    /// Which daemon that is missing will never come up, and why, if its log says so.
    pub(super) async fn refusal(
        &self,
        intent: &Intent,
        role: &RoleSpec,
        (link, container): (&HostLink, &str),
        missing: &mut Missing,
    ) -> Result<Option<(Stage, String)>, Halt> {
        self.may(link, CallClass::Read).await?;
        let said = link.agent().await?.probe_nodes(vec![container.to_owned()]).await?;
        let Some(probe) = said.probes.into_values().find(|probe| probe.manager) else { return Ok(None) };
        let needed = [(Stage::Munge, probe.munge), (Stage::Sshd, probe.sshd)];
        if let Some((stage, _)) = needed.into_iter().find(|(_, up)| !up) {
            let now = tokio::time::Instant::now();
            if missing.booting.get_or_insert(now).elapsed() < BOOT {
                return Ok(None);
            }
            missing.booting = Some(now);
            return self.given_up(stage, link, container).await;
        }
        let daemon = role.last_service();
        if daemon.unit().is_none_or(|unit| probe.units.contains(unit)) {
            return Ok(None);
        }
        // The first look only begins the time in which a daemon comes up.
        if !std::mem::replace(&mut missing.seen, true) {
            return Ok(None);
        }
        let slurm = &intent.cluster.spec.slurm;
        let (_, log) = self.ask(link, container, log_command(daemon, LOG_LINES)).await?;
        let Some(complaint) = Complaint::read(&log, slurm) else { return Ok(None) };
        let restarts = match state_command(daemon, "NRestarts") {
            Some(command) => self.ask(link, container, command).await?.1.trim().parse().unwrap_or(0),
            None => 0,
        };
        if complaint.starts(restarts) < STARTS {
            return Ok(None);
        }
        let complaint = match once_more_command(daemon) {
            Some(command) => {
                let (status, output) = self.ask(link, container, command).await?;
                complaint.with(status, &output, slurm)
            }
            None => Some(complaint),
        };
        missing.works = complaint.is_none();
        Ok(complaint.map(|complaint| (daemon, complaint.to_string())))
    }

    /// Whether systemd has given up a service that every node needs, and its last words.
    async fn given_up(
        &self,
        stage: Stage,
        link: &HostLink,
        container: &str,
    ) -> Result<Option<(Stage, String)>, Halt> {
        let Some(command) = state_command(stage, "ActiveState") else { return Ok(None) };
        let (_, state) = self.ask(link, container, command).await?;
        if state.trim() != "failed" {
            return Ok(None);
        }
        let (_, log) = self.ask(link, container, log_command(stage, LOG_LINES)).await?;
        Ok(Some((stage, given_up(&log))))
    }

    /// Runs a command in a node: its status and output.
    async fn ask(
        &self,
        link: &HostLink,
        container: &str,
        command: Vec<String>,
    ) -> Result<(i64, String), Halt> {
        self.may(link, CallClass::Exec).await?;
        let said = link.engine.exec(container, &ExecSpec::new(command), TEXT_LIMIT).await;
        let said = said.map_err(on(link))?;
        Ok((said.status, String::from_utf8_lossy(&said.stdout).into_owned()))
    }
}
