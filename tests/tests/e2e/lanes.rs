//! Lanes: tests that run one after the other on a lab of their own, beside those of other lanes.
//!
//! ```text
//! e2e -- this program for each lane, SHOAL_E2E_LANE=lab --> its tests, in order --> lines --> printed as they come
//!                                                                                    `-- seconds of each test --> slowest first
//! ```
//! A process each, so that lines of two tests that run at the same time stay whole and apart.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

use anyhow::{Context, anyhow};
use libtest_mimic::{Arguments, Trial};
use shoal_tests::{Means, Stage};

use crate::Test;

/// Names the only lane to run, by its lab.
pub(crate) const ONLY: &str = "SHOAL_E2E_LANE";
/// What begins a line that tells how long a test took: `took   12.3 s  name`. `cargo xtask test` reads them, too.
const TOOK: &str = "took ";
/// What stands above those lines; of all lanes, once.
const HEADER: &str = "seconds of every test, the slowest first:";
/// What begins a line that counts tests: `cargo xtask test` reads it.
const SUMMARY: &str = "test result: ";

/// Tests that share a lab.
pub(crate) struct Lane {
    /// The lab's name: the same for every run, so that what a killed one left is found and removed.
    pub(crate) lab: &'static str,
    /// In the order they run.
    pub(crate) tests: &'static [Test],
}

impl Lane {
    /// Do the arguments select some of its tests?
    pub(crate) fn has_some(&self, args: &Arguments) -> bool {
        self.tests.iter().any(|(name, _)| !args.is_filtered_out(&Trial::test(*name, || Ok(()))))
    }

    /// Runs its tests here.
    pub(crate) fn run(&self, mut args: Arguments, means: Means) -> ExitCode {
        args.test_threads = Some(1);
        let stage = Arc::new(Stage::new(means, self.lab));
        let took: Arc<Mutex<Vec<(f32, &str)>>> = Arc::default();
        let trials = self.tests.iter().map(|(name, test)| {
            let (stage, took) = (Arc::clone(&stage), Arc::clone(&took));
            let run = move || {
                let began = Instant::now();
                let outcome = test(&stage).map_err(|failed| format!("{failed:#}").into());
                let seconds = began.elapsed().as_secs_f32();
                took.lock().unwrap_or_else(PoisonError::into_inner).push((seconds, *name));
                outcome
            };
            Trial::test(*name, run)
        });
        let conclusion = libtest_mimic::run(&args, trials.collect());
        let took = took.lock().unwrap_or_else(PoisonError::into_inner);
        slowest_first(took.iter().map(|(seconds, name)| (*seconds, (*name).to_owned())).collect());
        let cleared = Arc::into_inner(stage).map_or(Ok(()), Stage::clear);
        if let Err(failed) = &cleared {
            println!("the lab {} was not taken down: {failed:#}", self.lab);
        }
        if conclusion.has_failed() || cleared.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Runs lanes beside each other, each in a process of its own.
pub(crate) fn beside(lanes: &[&Lane]) -> ExitCode {
    let ended: Vec<anyhow::Result<Ended>> = thread::scope(|scope| {
        let running: Vec<_> = lanes.iter().map(|lane| scope.spawn(|| follow(lane))).collect();
        running.into_iter().map(|lane| lane.join().unwrap_or_else(|_| Err(anyhow!("a panic")))).collect()
    });
    let mut took = Vec::new();
    let mut passed = true;
    for (lane, ended) in lanes.iter().zip(ended) {
        match ended {
            Ok(ended) => {
                passed &= ended.passed;
                took.extend(ended.took);
            }
            Err(failed) => {
                passed = false;
                println!("the lane {} did not run: {failed:#}", lane.lab);
            }
        }
    }
    println!();
    slowest_first(took);
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How a lane ended.
struct Ended {
    passed: bool,
    took: Vec<(f32, String)>,
}

/// Runs a lane and prints its lines as they come.
fn follow(lane: &Lane) -> anyhow::Result<Ended> {
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).env(ONLY, lane.lab).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut took = Vec::new();
    for line in BufReader::new(child.stdout.take().context("no output")?).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        match seconds(&line) {
            Some(of_a_test) => took.push(of_a_test),
            None if line.starts_with(SUMMARY) => println!("{line}"),
            None if line.is_empty() || line == HEADER => {}
            None => println!("{}: {line}", lane.lab),
        }
    }
    Ok(Ended { passed: child.wait()?.success(), took })
}

/// What a line tells of a test's time.
fn seconds(line: &str) -> Option<(f32, String)> {
    let (seconds, name) = line.strip_prefix(TOOK)?.trim_start().split_once(" s  ")?;
    Some((seconds.parse().ok()?, name.to_owned()))
}

fn slowest_first(mut took: Vec<(f32, String)>) {
    took.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{HEADER}");
    for (seconds, name) in took {
        println!("{TOOK}{seconds:>6.1} s  {name}");
    }
}
