//! Does a step: runs the commands, lets happen to them what the step says, and holds how they ended against what is
//! documented. What the model should be afterwards is learnt here too.

mod commands;
mod finish;
mod hosts;
mod outcome;
mod sweep;
mod upkeep;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use shoal_lab::{HostName, Lab};
use shoal_types::ClusterPhase;

pub(super) use self::outcome::Outcome;
use super::{
    model::{Cluster, Model, Should},
    process::Running,
    report::Report,
    rows::Rows,
    step::{Moment, Order, Step},
};
use crate::shoal::Shoal;

/// What a create is given.
const WAIT: &str = "3m";
/// How long any command may take: a create's wait, and its roll-back beside a host that does not answer.
const LIMIT: Duration = Duration::from_secs(360);
/// The longest pause between two lines of a command before a moment counts as missed.
const QUIET: Duration = Duration::from_secs(60);

/// Whoever does the steps.
pub(super) struct Actor<'a> {
    pub(super) shoal: &'a Shoal,
    pub(super) state: PathBuf,
    pub(super) lab: &'a Lab,
    pub(super) model: Model,
    pub(super) rng: ChaCha8Rng,
}

impl<'a> Actor<'a> {
    /// With no cluster yet.
    pub(super) fn new(shoal: &'a Shoal, state: &Path, lab: &'a Lab, seed: u64) -> Self {
        let has = |verb| shoal.succeeds(&[verb, "--help"]);
        let (sweeps, resumes) = (has("sweep"), has("resume"));
        let model = Model { hosts: lab.hosts().len(), sweeps, resumes, ..Model::default() };
        Self { shoal, state: state.to_owned(), lab, model, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Does a step, and brings what it left half done to its end.
    ///
    /// # Errors
    /// The lab does not obey, or the store cannot be read: there is no use in going on.
    pub(super) fn act(&mut self, step: &Step, report: &mut Report) -> anyhow::Result<Outcome> {
        let mut done = Outcome::default();
        if let Some(away) = &mut self.model.away {
            away.steps += 1;
        }
        match step {
            Step::Run(order) => self.run(order, report, &mut done)?,
            Step::Late { name, workers, keep } => self.late(name, *workers, *keep, &mut done)?,
            Step::Cut { order, how, at } => self.cut(order, *how, *at, &mut done)?,
            Step::Two { one, other, at } => self.two(one, other, *at, &mut done)?,
            Step::HostFails { order, host, fault, at, mended_ms } => {
                let mended = mended_ms.map(Duration::from_millis);
                self.host_fails(order, (*host, *fault), *at, mended, report, &mut done)?;
            }
            Step::Break { host, fault } => self.break_host(*host, *fault)?,
            Step::Mend => self.mend()?,
            Step::Sweep => self.sweep(&mut done)?,
            Step::Drain { host, killed } => self.drain(*host, *killed, report, &mut done)?,
            Step::Repair => self.repair(report, &mut done)?,
        }
        self.finish(&mut done)?;
        Ok(done)
    }

    /// The host that is away, by name.
    pub(super) fn away(&self) -> Option<String> {
        self.model.away.as_ref().map(|away| self.host(away.host).to_string())
    }

    fn host(&self, number: usize) -> HostName {
        self.lab.hosts()[number].name
    }

    fn rows(&self) -> anyhow::Result<Rows> {
        Rows::read(&self.state)
    }

    fn begin(&self, words: &[&str]) -> anyhow::Result<Running> {
        Running::begin(self.shoal.command(words))
    }

    fn order(&self, order: &Order) -> anyhow::Result<Running> {
        match order {
            Order::Create { name, workers } => {
                self.begin(&["create", "cluster", name, "--workers", &workers.to_string(), "--wait", WAIT])
            }
            Order::Delete { name } => self.begin(&["delete", "cluster", name]),
        }
    }

    /// Does the host that is away have nodes of this cluster?
    fn waits(&self, rows: &Rows, name: &str) -> bool {
        self.away().is_some_and(|away| rows.is_member(&away, name))
    }

    fn moment(&self, running: &mut Running, at: Moment) {
        if running.after_lines(at.lines, QUIET) {
            running.during(Duration::from_millis(at.then_ms));
        }
    }

    fn learn_phase(&mut self, order: &Order, phase: Option<ClusterPhase>) {
        let known = self.model.clusters.get(order.name()).map_or(0, |cluster| cluster.workers);
        match order {
            Order::Create { name, workers } => self.set(name, *workers, phase),
            Order::Delete { name } => self.set(name, known, phase),
        }
    }

    fn set(&mut self, name: &str, workers: u32, phase: Option<ClusterPhase>) {
        let should = match phase {
            None => {
                self.model.clusters.remove(name);
                return;
            }
            Some(ClusterPhase::Ready) => Should::Ready,
            Some(ClusterPhase::Failed) => Should::Failed,
            Some(ClusterPhase::Creating | ClusterPhase::Deleting) => Should::Open,
        };
        let wounded = self.model.clusters.get(name).is_some_and(|cluster| cluster.wounded);
        self.model.clusters.insert(name.to_owned(), Cluster { workers, should, wounded });
    }
}

fn word(phase: Option<ClusterPhase>) -> String {
    phase.map_or_else(|| "gone".to_owned(), |phase| phase.to_string())
}
