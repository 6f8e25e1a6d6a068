//! What became of the tiers: collected while they run, shown at the end.

use std::{
    fmt,
    process::{Command, ExitStatus},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;

use super::tally::{self, Tally};
use crate::{machine::Reason, shell};

/// How many test programs run at the same time: each fills more than one core for most of its time, and the rest of another's.
const BESIDE: usize = 2;
/// How many of the slowest tests are shown.
const SLOWEST: usize = 10;

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
    /// Seconds and names of tests that tell theirs.
    seconds: Vec<(f32, String)>,
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
        let (mut tally, mut took) = (Tally::default(), Vec::new());
        let status = shell::follow(command, |line| {
            tally += Tally::of_line(line).unwrap_or_default();
            took.extend(tally::seconds(line));
        })?;
        self.seconds.extend(took);
        if status.success() && tally.failed == 0 && tally.passed == 0 {
            self.fail(format!("no test passed in {}", shell::line(command)));
        }
        self.count(&shell::line(command), status, tally);
        Ok(())
    }

    /// Runs commands that run tests, [`BESIDE`] each other, and counts the tests. What one prints is shown when it has ended.
    ///
    /// # Errors
    /// One cannot be run.
    pub(crate) fn beside(&mut self, commands: Vec<Command>) -> anyhow::Result<()> {
        let waiting = Mutex::new(commands.into_iter());
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let ended = Mutex::new(Vec::new());
        let work = || {
            while let Some(mut command) = next() {
                let (line, output) = (shell::line(&command), command.output());
                let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                println!("$ {line}");
                let output = output.map(|output| {
                    let text = String::from_utf8_lossy(&output.stdout).into_owned();
                    print!("{text}{}", String::from_utf8_lossy(&output.stderr));
                    (output.status, text.lines().filter_map(Tally::of_line).sum::<Tally>())
                });
                ended.push((line, output));
            }
        };
        thread::scope(|scope| (0..BESIDE).for_each(|_| drop(scope.spawn(work))));
        let mut passed = 0;
        for (line, output) in ended.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let (status, tally) = output.map_err(|failed| anyhow!("cannot run {line}: {failed}"))?;
            passed += tally.passed;
            self.count(&line, status, tally);
        }
        if passed == 0 {
            self.fail("no test passed in any program".into());
        }
        Ok(())
    }

    fn count(&mut self, line: &str, status: ExitStatus, tally: Tally) {
        self.tally += tally;
        match (status.success(), tally.failed) {
            (true, 0) => {}
            // It did not even come to the tests: that counts as well.
            (_, 0) => self.fail(line.to_owned()),
            (_, failed) => self.failures.push(format!("{failed} of {line}")),
        }
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
        let mut took: Vec<_> = tiers().flat_map(|tier| &tier.seconds).collect();
        took.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (seconds, name) in took.into_iter().take(SLOWEST) {
            writeln!(f, "slow: {seconds:>6.1} s  {name}")?;
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
            let (one, two) = ("2 passed; 0 failed; 1 ignored", "0 passed; 0 failed; 0 ignored");
            results.beside([one, two].map(|text| print(&format!("echo 'test result: ok. {text}'"))).into())
        });
        report.tier("e2e", |results| {
            let names = (1..=11).map(|n| format!("took {n:>6}.5 s  a::test_{n}\\n")).collect::<String>();
            let text = "test result: ok. 1 passed; 0 failed; 0 ignored";
            results.tests(&mut print(&format!("printf '{names}{text}\\n'")))
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
failed in gate: 3 of sh -c \"echo 'test result: FAILED. 0 passed; 3 failed; 0 ignored'; exit 1\"
failed in gate: no cargo
skipped in netns: network namespaces: not root
slow:   11.5 s  a::test_11
slow:   10.5 s  a::test_10
slow:    9.5 s  a::test_9
slow:    8.5 s  a::test_8
slow:    7.5 s  a::test_7
slow:    6.5 s  a::test_6
slow:    5.5 s  a::test_5
slow:    4.5 s  a::test_4
slow:    3.5 s  a::test_3
slow:    2.5 s  a::test_2
TIER      MINUTES   PASSED   FAILED  SKIPPED
unit          1.5        2        0        1
e2e           1.5        1        0        0
netns         1.5        0        0        1
gate          1.5        0        5        0
all           6.0        3        5        2
3 passed, 5 failed, 2 skipped
";
        assert_eq!(shown, expected);
    }
}
