//! Steps of maintenance: a host is drained and filled again, and what hosts have done to clusters is repaired.

use nix::sys::signal::Signal;

use super::{Actor, LIMIT, outcome::Outcome};
use crate::soak::{model::Should, report::Report, step::Moment};

impl Actor<'_> {
    /// Drains a host; one that is killed meanwhile is drained once more. Then the host gets nodes again.
    pub(super) fn drain(
        &mut self,
        host: usize,
        killed: Option<Moment>,
        report: &mut Report,
        done: &mut Outcome,
    ) -> anyhow::Result<()> {
        let name = self.host(host).to_string();
        let mut ended = None;
        if let Some(at) = killed {
            let mut running = self.begin(&["drain", &name])?;
            self.moment(&mut running, at);
            running.signal(Signal::SIGKILL)?;
            let first = done.take(running.end(LIMIT)?);
            if first.signal.is_none() {
                done.expect(&first, &[0]);
                ended = Some(first);
            }
        }
        if ended.is_none() {
            let drained = done.take(self.begin(&["drain", &name])?.end(LIMIT)?);
            // The one that was killed may have been through, and a drained host is not drained again.
            done.expect(&drained, if killed.is_some() { &[0, 1] } else { &[0] });
            if killed.is_none() {
                report.time("drain", drained.took);
            }
        }
        let rows = self.rows()?;
        for cluster in self.model.clusters.keys().filter(|cluster| rows.is_member(&name, cluster)) {
            done.faults.push(format!("{cluster} has nodes on {name}, which was drained"));
        }
        let filled = done.take(self.begin(&["uncordon", &name])?.end(LIMIT)?);
        done.expect(&filled, &[0]);
        Ok(())
    }

    /// Repairs all clusters: afterwards they work, whatever hosts have done to them.
    pub(super) fn repair(&mut self, report: &mut Report, done: &mut Outcome) -> anyhow::Result<()> {
        let repaired = done.take(self.begin(&["repair"])?.end(LIMIT)?);
        done.expect(&repaired, &[0]);
        report.time("repair", repaired.took);
        for cluster in self.model.clusters.values_mut().filter(|cluster| cluster.should == Should::Ready) {
            cluster.wounded = false;
        }
        Ok(())
    }
}
