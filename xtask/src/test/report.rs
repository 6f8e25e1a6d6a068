//! What became of the tiers: collected while they run, shown at the end.

use std::{
    fmt,
    process::Command,
    time::{Duration, Instant},
};

use super::tally::Tally;
use crate::{machine::Reason, shell};

/// All tiers that ran.
#[derive(Debug, Default)]
pub(crate) struct Report {
    tiers: Vec<Results>,
}

/// What became of one tier.
#[derive(Debug, Default)]
pub(crate) struct Results {
    name: &'static str,
    took: Duration,
    tally: Tally,
    failures: Vec<String>,
    skipped: Vec<(String, Reason)>,
}

impl Report {
    /// Runs a tier. An error of it is a failure of it.
    pub(crate) fn tier(&mut self, name: &'static str, run: impl FnOnce(&mut Results) -> anyhow::Result<()>) {
        println!("\n== {name} ==");
        let began = Instant::now();
        let mut results = Results { name, ..Results::default() };
        if let Err(failed) = run(&mut results) {
            results.fail(format!("{failed:#}"));
        }
        results.took = began.elapsed();
        self.tiers.push(results);
    }

    /// Did nothing fail?
    pub(crate) fn passed(&self) -> bool {
        self.tiers.iter().all(|tier| tier.tally.failed == 0)
    }
}

impl Results {
    /// Runs a command that either passes or fails, as one test.
    pub(crate) fn check(&mut self, command: &mut Command) -> anyhow::Result<()> {
        let passed = shell::status(command)?.success();
        self.record(passed, || shell::line(command));
        Ok(())
    }

    /// Records one test.
    pub(crate) fn record(&mut self, passed: bool, what: impl FnOnce() -> String) {
        match passed {
            true => self.tally += Tally::one(true),
            false => self.fail(what()),
        }
    }

    /// Runs a command that runs tests, and counts them.
    pub(crate) fn tests(&mut self, command: &mut Command) -> anyhow::Result<()> {
        let mut tally = Tally::default();
        let status = shell::follow(command, |line| {
            if let Some(counted) = Tally::of_line(line) {
                tally += counted;
            }
        })?;
        self.tally += tally;
        match (status.success(), tally.failed) {
            (true, 0) if tally.passed > 0 => {}
            (true, 0) => self.fail(format!("no test passed in {}", shell::line(command))),
            // It did not even come to the tests: that counts as well.
            (_, 0) => self.fail(shell::line(command)),
            (_, failed) => self.failures.push(format!("{failed} of {}", shell::line(command))),
        }
        Ok(())
    }

    /// Lists something that cannot run here.
    pub(crate) fn skip(&mut self, what: &str, reason: Reason) {
        println!("skipped: {what}: {reason}");
        self.tally += Tally { skipped: 1, ..Tally::default() };
        self.skipped.push((what.to_owned(), reason));
    }

    fn fail(&mut self, what: String) {
        eprintln!("failed: {what}");
        self.tally += Tally::one(false);
        self.failures.push(what);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiers = || self.tiers.iter();
        for (tier, what) in tiers().flat_map(|tier| tier.failures.iter().map(move |what| (tier, what))) {
            writeln!(f, "failed in {}: {what}", tier.name)?;
        }
        for (tier, (what, reason)) in tiers().flat_map(|t| t.skipped.iter().map(move |skip| (t, skip))) {
            writeln!(f, "skipped in {}: {what}: {reason}", tier.name)?;
        }
        writeln!(f, "{:<8} {:>8} {:>8} {:>8} {:>8}", "TIER", "MINUTES", "PASSED", "FAILED", "SKIPPED")?;
        let mut row = |name: &str, took: Duration, t: Tally| {
            let minutes = took.as_secs_f64() / 60.0;
            writeln!(f, "{name:<8} {minutes:>8.1} {:>8} {:>8} {:>8}", t.passed, t.failed, t.skipped)
        };
        let mut all = Tally::default();
        for tier in tiers() {
            row(tier.name, tier.took, tier.tally)?;
            all += tier.tally;
        }
        row("all", tiers().map(|tier| tier.took).sum(), all)?;
        writeln!(f, "{} passed, {} failed, {} skipped", all.passed, all.failed, all.skipped)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn print(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn what_is_shown() {
        let mut report = Report::default();
        report.tier("unit", |results| {
            results.tests(&mut print("echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured'"))
        });
        report.tier("netns", |results| {
            results.skip("network namespaces", "not root".into());
            Ok(())
        });
        assert!(report.passed());
        report.tier("gate", |results| {
            results.tests(&mut print("exit 101"))?;
            results.tests(&mut print("echo 'test result: FAILED. 0 passed; 3 failed; 0 ignored'; exit 1"))?;
            bail!("no cargo")
        });
        assert!(!report.passed());
        for tier in &mut report.tiers {
            tier.took = Duration::from_secs(90);
        }
        let shown = report.to_string();
        let expected = "\
failed in gate: sh -c 'exit 101'
failed in gate: 3 of sh -c 'echo '\\''test result: FAILED. 0 passed; 3 failed; 0 ignored'\\''; exit 1'
failed in gate: no cargo
skipped in netns: network namespaces: not root
TIER      MINUTES   PASSED   FAILED  SKIPPED
unit          1.5        2        0        1
netns         1.5        0        0        1
gate          1.5        0        5        0
all           4.5        2        5        2
2 passed, 5 failed, 2 skipped
";
        assert_eq!(shown, expected);
    }
}
