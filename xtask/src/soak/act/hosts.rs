//! Steps in which a host fails or is mended.

use std::time::{Duration, Instant};

use anyhow::Context;
use shoal_types::ClusterPhase;

use super::{Actor, LIMIT, outcome::Outcome, word};
use crate::soak::{
    model::{Away, Fault},
    report::Report,
    rows::Rows,
    step::{Moment, Order},
};

/// How long it may take until a create notices that a host failed, and turns back or elsewhere.
const NOTICE: Duration = Duration::from_secs(60);

impl Actor<'_> {
    pub(super) fn host_fails(
        &mut self,
        order: &Order,
        (host, fault): (usize, Fault),
        at: Moment,
        mended: Option<Duration>,
        report: &mut Report,
        done: &mut Outcome,
    ) -> anyhow::Result<()> {
        let mut running = self.order(order)?;
        self.moment(&mut running, at);
        let failed = Instant::now();
        self.break_host(host, fault)?;
        // One that goes on after the mend has seen what became of its nodes: if it says ready, they are.
        let mut knows = false;
        if let Some(after) = mended {
            running.during(after);
            self.mend()?;
            knows = running.during(Duration::ZERO);
        }
        let began = running.began();
        let ended = done.take(running.end(LIMIT)?);
        // Done without it, done before it failed, or not done for its sake.
        done.expect(&ended, &[0, 1, 5]);
        let name = self.host(host).to_string();
        if ended.code.is_some_and(|code| code != 0) {
            done.names(&ended, &name);
        }
        let (failed_at, ended_at) = (failed - began, ended.took);
        if mended.is_none() && ended_at > failed_at && matches!(order, Order::Create { .. }) {
            let what = if ended.code == Some(0) {
                "host fails until ready elsewhere"
            } else {
                "host fails until rolled back"
            };
            report.time(what, ended_at - failed_at);
            let turned =
                ended.said.iter().find(|said| said.at >= failed_at && said.text.contains("rolling back"));
            if let Some(turned) = turned {
                report.time("host fails until detected", turned.at - failed_at);
                report.time("detected until rolled back", ended_at.saturating_sub(turned.at));
            }
            let noticed = turned.map_or(ended_at, |turned| turned.at) - failed_at;
            if noticed > NOTICE {
                let took = noticed.as_secs();
                done.faults.push(format!("`{}` went on for {took} s after {name} failed", ended.line));
            }
        }
        let rows = self.rows()?;
        let phase = rows.phase(order.name());
        let open = matches!(phase, Some(ClusterPhase::Creating | ClusterPhase::Deleting));
        let as_said = match (order, ended.code) {
            (Order::Create { .. }, Some(0)) => phase == Some(ClusterPhase::Ready),
            (Order::Delete { .. }, Some(0)) => phase.is_none(),
            // Rolled back, all or all but what is on the host.
            (Order::Create { .. }, _) => phase.is_none() || phase == Some(ClusterPhase::Deleting),
            (Order::Delete { .. }, _) => phase == Some(ClusterPhase::Deleting),
        };
        if !as_said || (open && mended.is_none() && !rows.is_member(&name, order.name())) {
            done.faults.push(format!("{} is {} after {}", order.name(), word(phase), ended.status()));
        }
        self.learn_phase(order, phase);
        if mended.is_some() && fault.ends_nodes() && !(knows && ended.code == Some(0)) {
            self.wound(&rows, host);
        }
        Ok(())
    }

    pub(super) fn break_host(&mut self, host: usize, fault: Fault) -> anyhow::Result<()> {
        let name = self.host(host);
        match fault {
            Fault::Engine => self.lab.kill_engine(name),
            Fault::Hang => self.lab.hang_engine(name),
            Fault::Power => self.lab.cut_power(name),
            Fault::Cable => self.lab.partition(name),
        }?;
        self.model.away = Some(Away { host, fault, steps: 0 });
        Ok(())
    }

    pub(super) fn mend(&mut self) -> anyhow::Result<()> {
        let Some(away) = self.model.away.take() else { return Ok(()) };
        let name = self.host(away.host);
        match away.fault {
            Fault::Engine | Fault::Hang | Fault::Power => self.lab.restart(name),
            Fault::Cable => self.lab.mend(name),
        }
        .with_context(|| format!("{name} does not come back"))?;
        if away.fault.ends_nodes() {
            let rows = self.rows()?;
            self.wound(&rows, away.host);
        }
        Ok(())
    }

    /// The clusters with nodes on this host need not work any more.
    fn wound(&mut self, rows: &Rows, host: usize) {
        let host = self.host(host).to_string();
        for (name, cluster) in &mut self.model.clusters {
            cluster.wounded |= rows.is_member(&host, name);
        }
    }
}
