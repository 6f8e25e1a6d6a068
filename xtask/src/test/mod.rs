//! `cargo xtask test`: the tiers, what became of each, and how long it took.
//!
//! | tier | what | needs |
//! |---|---|---|
//! | `gate` | formatting, lints, docs, dependencies, file headers | |
//! | `unit` | tests beside the code, in the documentation, and all test programs that need nothing | OpenSSH |
//! | `storage` | the store's conformance suite on SQLite and PostgreSQL | `postgresql` |
//! | `netns` | the agent in network namespaces | root |
//! | `e2e` | labs, real engines, real Slurm | root, Debian |
//! | `full` | the release binary and the benches; only if asked for | root, Debian |
//!
//! Every tier runs whatever became of the one before. What cannot run here is listed with the reason.

mod e2e;
mod floors;
mod full;
mod gate;
mod messages;
mod netns;
mod report;
mod storage;
mod tally;
mod unit;

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use self::report::Report;
use crate::workspace::Workspace;

/// Arguments of `test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Only this tier; may be repeated [default: all but full]
    #[arg(long = "tier", value_name = "TIER", value_enum)]
    tiers: Vec<Tier>,
}

/// A set of tests with the same needs, in the order they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Tier {
    /// Formatting, lints, docs, dependencies, file headers
    Gate,
    /// Tests that need nothing but this program
    Unit,
    /// The store on both databases
    Storage,
    /// The agent in network namespaces
    Netns,
    /// Labs, real engines, real Slurm
    E2e,
    /// All of the above, the release binary and the benches
    Full,
}

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Unit => "unit",
            Self::Storage => "storage",
            Self::Netns => "netns",
            Self::E2e => "e2e",
            Self::Full => "full",
        }
    }
}

impl Test {
    /// The gate alone.
    pub(crate) fn gate() -> Self {
        Self { tiers: vec![Tier::Gate] }
    }

    /// Runs the tiers and tells what became of them; the last line is `N passed, N failed, N skipped`.
    ///
    /// # Errors
    /// Cargo cannot read the workspace.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let workspace = Workspace::find()?;
        let mut report = Report::default();
        for tier in self.selected() {
            report.tier(tier.name(), |results| match tier {
                Tier::Gate => gate::run(&workspace, results),
                Tier::Unit => unit::run(&workspace, results),
                Tier::Storage => storage::run(&workspace, results),
                Tier::Netns => netns::run(&workspace, results),
                Tier::E2e => e2e::run(&workspace, results),
                Tier::Full => full::run(&workspace, results),
            });
        }
        print!("\n{report}");
        Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The tiers asked for, each once, in their order.
    fn selected(&self) -> Vec<Tier> {
        let all = Tier::value_variants().iter().copied();
        match self.tiers.as_slice() {
            [] => all.filter(|tier| *tier != Tier::Full).collect(),
            asked if asked.contains(&Tier::Full) => all.collect(),
            asked => all.filter(|tier| asked.contains(tier)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_tiers_run() {
        use Tier::{E2e, Full, Gate, Netns, Storage, Unit};
        for (asked, run) in [
            (vec![], vec![Gate, Unit, Storage, Netns, E2e]),
            (vec![Unit, Gate, Unit], vec![Gate, Unit]),
            (vec![Full], vec![Gate, Unit, Storage, Netns, E2e, Full]),
        ] {
            assert_eq!(Test { tiers: asked }.selected(), run);
        }
    }
}
