//! `bench create`: rounds of bare containers and of `shoal create cluster`, in turn, in one run.
//!
//! The base is the floor any tool has that makes a node of a container: `create` and `start` of as many containers, nothing
//! configured, nothing waited for. The cluster is timed as a user sees it: from the command to its end, all workers IDLE.

use std::{
    num::NonZeroUsize,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{anyhow, ensure};
use clap::Args;
use jiff::Timestamp;
use shoal_lab::{Engines, Lab, Options};

use super::{base::Base, median, phases, rounded};
use crate::{cargo::Programs, image, machine, shoal::Shoal, workspace::Workspace};

/// The most a creation may take, in times of the base.
const TARGET: f64 = 2.6;
/// The lab's name, and the cluster's.
const NAME: &str = "bench";
/// Reference of the node image, as `shoal build image` makes it.
const IMAGE: &str = "shoal-node:bookworm";

/// Arguments of `bench create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Workers of the cluster; with its controller, that many containers and one more
    #[arg(long, default_value = "32", value_name = "N")]
    workers: NonZeroUsize,
    /// Hosts of the lab
    #[arg(long, default_value = "1", value_name = "N")]
    hosts: NonZeroUsize,
    /// Their engines
    #[arg(long, default_value = "28")]
    engine: Engines,
    /// Rounds of each, at least 3
    #[arg(long, default_value = "3", value_name = "N")]
    rounds: NonZeroUsize,
}

impl Create {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        machine::for_labs().map_err(|reason| anyhow!("this bench cannot run here: {reason}"))?;
        ensure!(self.rounds.get() >= 3, "a median needs at least 3 rounds");
        let workspace = Workspace::find()?;
        shoal_lab::install::ensure_packages(image::PACKAGES)?;
        let programs = Programs::build(&workspace)?;
        let archive = image::ensure(&workspace, &programs.shoal)?;
        let state = tempfile::tempdir()?;
        let shoal = Shoal::new(&programs.shoal, state.path());

        let mut options = Options::named(NAME.parse()?);
        options.hosts = Some(self.hosts.get());
        options.engines = Some(self.engine);
        options.program = Some(programs.lab);
        let lab = Lab::up(&options)?.guard();
        shoal.register(lab.hosts())?;
        shoal.run(&["load", "image", &archive.display().to_string()])?;
        let result = self.measure(&shoal, &lab);
        lab.down()?;
        result
    }

    fn measure(&self, shoal: &Shoal, lab: &Lab) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let base = runtime.block_on(Base::connect(lab.hosts(), IMAGE))?;
        // Once per host the agent is brought there and the image unpacked: not what a creation costs. Both sides begin warm.
        runtime.block_on(base.round(1))?;
        Self::cluster(shoal, 1)?;

        let (mut bases, mut creations, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=self.rounds.get() {
            let bare = runtime.block_on(base.round(self.workers.get() + 1))?.as_secs_f64();
            let (took, phases) = Self::cluster(shoal, self.workers.get())?;
            let took = took.as_secs_f64();
            println!("round {round}: base {bare:.2} s, create {took:.2} s, ratio {:.2}", took / bare);
            bases.push(bare);
            creations.push(took);
            ends.push(phases);
        }
        let (base_s, create_s) = (median(bases), median(creations));
        let ratio = create_s / base_s;
        println!("\n{:<10} {:>10}", "PHASE", "ENDS AT");
        let mut phases = serde_json::Map::new();
        for (phase, _) in ends.first().into_iter().flatten() {
            let of = |ends: &Vec<(&str, f64)>| ends.iter().find(|(name, _)| name == phase).map(|(_, at)| *at);
            let at = median(ends.iter().filter_map(of));
            println!("{phase:<10} {at:>8.2} s");
            phases.insert(format!("{phase}_s"), rounded(at));
        }
        println!(
            "medians of {} rounds, phases counted from the command; target: ratio at most {TARGET}",
            self.rounds
        );
        let result = serde_json::json!({
            "ratio": rounded(ratio), "base_s": rounded(base_s), "create_s": rounded(create_s),
            "rounds": self.rounds, "workers": self.workers, "hosts": self.hosts, "phases": phases,
        });
        println!("{result}");
        Ok(if ratio <= TARGET { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Creates and deletes a cluster: how long the creation took, and its phases.
    fn cluster(shoal: &Shoal, workers: usize) -> anyhow::Result<(Duration, Vec<(&'static str, f64)>)> {
        let workers = workers.to_string();
        let mut create = shoal.command(&["create", "cluster", NAME, "--workers", &workers]);
        // Events carry the machine's own clock, in milliseconds.
        let begin = Timestamp::from_millisecond(Timestamp::now().as_millisecond())?;
        let began = Instant::now();
        crate::shell::output(&mut create)?;
        let took = began.elapsed();
        let phases = phases::ends(&shoal.json(&["get", "events", NAME])?, begin)?;
        crate::shell::output(&mut shoal.command(&["delete", "cluster", NAME]))?;
        Ok((took, phases))
    }
}
