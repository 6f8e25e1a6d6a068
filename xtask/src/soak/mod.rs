//! `cargo xtask soak`: random creates, deletes, kills, cuts and mends on real engines, by seed, and after each a look from
//! outside at everything that must hold.
//!
//! ```text
//! model --draw--> step --act--> shoal, lab --learn--> model
//!                                  |                    |
//!                    look (engines, kernels, store) -> check -> violations
//! ```
//! One host at a time is not as it should be. While it is away the others are looked at; once it is back, all of them. What
//! needs a while (an agent that starts with its host) has a while: a violation is what stays.

mod act;
mod check;
mod look;
mod model;
mod process;
mod report;
mod rows;
mod step;
mod works;

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use clap::Args;
use rand::{Rng, SeedableRng, seq::IteratorRandom};
use rand_chacha::ChaCha8Rng;
use shoal_lab::{Engines, Lab, Options, install};
use shoal_tests::{Machine, STATE_DIR};
use shoal_types::{Clock, SystemClock, Timestamp};

use self::{act::Actor, check::Seen, process::Running, report::Report, rows::Rows, step::Step};
use crate::{
    cargo::Programs,
    image, machine,
    shoal::{Shoal, entries},
    workspace::Workspace,
};

/// The lab's name.
const LAB: &str = "soak";
/// How long hosts may take to be as they should be after a step: an agent looks at everything every 30 s.
const SETTLE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// How long what was left on a lost host may be left there: calls that were under way may still take effect.
const LEFT: Duration = Duration::from_secs(150);
/// How long `shoal get hosts` may take.
const ASK: Duration = Duration::from_secs(60);

/// Arguments of `soak`.
#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// How long; the step that runs then is the last
    #[arg(long, default_value = "15", value_name = "M")]
    minutes: u32,
    /// Hosts of the lab, with engines of both kinds
    #[arg(long, default_value = "3", value_name = "N", value_parser = clap::value_parser!(u8).range(2..=16))]
    hosts: u8,
    /// What is drawn from; the same seed draws the same while the same happens [default: a new one]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// An archive of the node image, instead of the one that is built here
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Profile that `shoal` is built with
    #[arg(long, value_name = "PROFILE", default_value = "quick")]
    profile: String,
    /// Leave lab and state as they are at the end
    #[arg(long)]
    keep: bool,
}

impl Soak {
    /// As `run` of the full tier: so long, on so many hosts, from this seed or a new one.
    pub(crate) fn of(minutes: u32, hosts: u8, seed: Option<u64>) -> Self {
        Self { minutes, hosts, seed, image: None, profile: "quick".to_owned(), keep: false }
    }

    /// Runs; fails if there was a violation.
    ///
    /// # Errors
    /// It cannot run here, or the lab does not obey.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        Ok(if self.violations()? == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Runs; how many violations there were.
    ///
    /// # Errors
    /// It cannot run here, or the lab does not obey.
    pub(crate) fn violations(self) -> anyhow::Result<usize> {
        machine::for_labs().map_err(|reason| anyhow!("the soak cannot run here: {reason}"))?;
        let workspace = Workspace::find()?;
        install::ensure_packages(image::PACKAGES)?;
        install::ensure_packages(&["openssh-client"])?;
        let programs = Programs::build_with(&workspace, &self.profile)?;
        let archive = match &self.image {
            Some(file) => file.clone(),
            None => image::ensure(&workspace, &programs.shoal)?,
        };
        let state = tempfile::Builder::new().prefix("shoal-soak-").tempdir()?;
        let shoal = Shoal::new(&programs.shoal, state.path());

        shoal_lab::down(&LAB.parse()?, None)?;
        let mut options = Options::named(LAB.parse()?);
        options.hosts = Some(self.hosts.into());
        options.engines = Some(Engines::Mixed);
        options.program = Some(programs.lab.clone());
        let lab = Lab::up(&options)?.guard();
        shoal.register(lab.hosts())?;
        shoal.run(&["load", "image", &archive.display().to_string()])?;

        let seed = self.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
        let path = workspace.target.join(format!("soak-{seed}.log"));
        let transcript = fs::File::create(&path).with_context(|| path.display().to_string())?;
        println!("\nsoak: {} minutes on {} hosts, --seed {seed}", self.minutes, self.hosts);
        println!("what every command said: {}", path.display());
        let actor = Actor::new(&shoal, state.path(), &lab, seed);
        let machines = lab.hosts().iter().map(Machine::new).collect();
        let (program, chance) = (programs.shoal.as_path(), ChaCha8Rng::seed_from_u64(seed));
        let watch = Watch { actor, machines, program, seed, chance, report: Report::default(), transcript };
        let result = watch.run(self.minutes);
        if self.keep {
            println!("left as it is: the lab {LAB}, {STATE_DIR}={}", state.keep().display());
            std::mem::forget(lab);
        } else {
            lab.down()?;
        }
        result
    }
}

/// A run under way.
struct Watch<'a> {
    actor: Actor<'a>,
    machines: Vec<Machine>,
    program: &'a Path,
    seed: u64,
    /// Draws the checks of a step, not the steps: a seed replays those.
    chance: ChaCha8Rng,
    report: Report,
    /// Every step with all that its commands said.
    transcript: fs::File,
}

impl Watch<'_> {
    fn run(mut self, minutes: u32) -> anyhow::Result<usize> {
        let began = Instant::now();
        let limit = Duration::from_secs(60 * u64::from(minutes));
        while began.elapsed() < limit {
            let step = Step::draw(&self.actor.model, &mut self.actor.rng);
            self.step(&step, began)?;
        }
        // What is there goes, and then nothing may be left.
        if self.actor.model.away.is_some() {
            self.step(&Step::Mend, began)?;
        }
        while let Some(name) = self.actor.model.clusters.keys().next().cloned() {
            let left = self.actor.model.clusters.len();
            self.step(&Step::Run(step::Order::Delete { name }), began)?;
            if self.actor.model.clusters.len() == left {
                break;
            }
        }
        self.wait_for_remnants(began)?;
        println!("\n{}", self.report);
        Ok(self.report.violations())
    }

    /// Age from which leftovers on lost hosts are cleared; the last step checks that they are.
    fn wait_for_remnants(&mut self, began: Instant) -> anyhow::Result<()> {
        let oldest = |rows: &Rows| rows.remnants.iter().map(|left| left.since.0 + millis(LEFT)).max();
        let Some(due) = oldest(&Rows::read(&self.actor.state)?) else { return Ok(()) };
        println!("     something was left on a host: waiting until it may go");
        while SystemClock.now().0 <= due {
            pause();
        }
        self.step(if self.actor.model.sweeps { &Step::Sweep } else { &Step::Mend }, began)
    }

    /// One step, one look, one line; more where something does not hold.
    fn step(&mut self, step: &Step, began: Instant) -> anyhow::Result<()> {
        self.report.step(step.kind());
        let (number, at) = (self.report.steps(), Instant::now());
        let calm = self.actor.away().is_none();
        let old = Timestamp(SystemClock.now().0.saturating_sub(millis(LEFT)));
        let done = self.actor.act(step, &mut self.report);
        let done = done.with_context(|| format!("step {number} of --seed {}: {step}", self.seed))?;
        let acted = at.elapsed();
        // A command that changes something clears what was left on hosts that are there.
        let changed = done.commands.last().is_some_and(|command| command.code == Some(0));
        let cleared = (calm && self.actor.away().is_none() && changed).then_some(old);
        let mut found = done.faults.clone();
        found.extend(self.look(step, cleared)?);
        let fresh = self.report.fresh(found);

        let since = began.elapsed().as_secs();
        let verdict = if fresh.is_empty() { "holds" } else { "VIOLATED" };
        let line = format!(
            "{number:>3}  {:02}:{:02}  {step}: {}  [{:.1} s, looked {:.1} s] {verdict}",
            since / 60,
            since % 60,
            if done.notes.is_empty() { "done".to_owned() } else { done.notes.join(", ") },
            acted.as_secs_f64(),
            at.elapsed().saturating_sub(acted).as_secs_f64(),
        );
        println!("{line}");
        let mut all = format!("{line}\n");
        if !fresh.is_empty() {
            println!("  step {number} of --seed {}", self.seed);
        }
        for violation in &fresh {
            let violation = format!("  VIOLATION {}\n", violation.replace('\n', "\n      "));
            print!("{violation}");
            all += &violation;
        }
        for command in &done.commands {
            let command = format!("    {}\n", command.to_string().replace('\n', "\n    "));
            if !fresh.is_empty() {
                print!("{command}");
            }
            all += &command;
        }
        self.transcript.write_all(all.as_bytes()).context("the transcript")
    }

    /// Looks until everything holds, or has had its time.
    fn look(&mut self, step: &Step, cleared: Option<Timestamp>) -> anyhow::Result<Vec<String>> {
        let began = Instant::now();
        let mut waited = Vec::new();
        let mut found = loop {
            let found = match self.seen(cleared) {
                Ok(seen) => check::violations(&seen, &self.actor.model, self.actor.away().as_deref()),
                Err(failed) => vec![format!("it cannot be looked at: {failed:#}")],
            };
            if found.is_empty() || began.elapsed() > SETTLE {
                break found;
            }
            waited = found;
            pause();
        };
        self.waited(began, &waited)?;
        let rows = Rows::read(&self.actor.state)?;
        for name in self.trials(&rows, step) {
            let began = Instant::now();
            let mut waited = None;
            let broken = loop {
                let broken = works::broken(self.actor.shoal, &rows, &name)?;
                if broken.is_none() || began.elapsed() > SETTLE {
                    break broken;
                }
                waited = broken;
                pause();
            };
            self.waited(began, waited.as_slice())?;
            found.extend(broken);
        }
        Ok(found)
    }

    /// Writes down what was waited for, and how long.
    fn waited(&mut self, began: Instant, what: &[String]) -> anyhow::Result<()> {
        let Some(last) = what.last() else { return Ok(()) };
        let (after, more) = (began.elapsed().as_secs_f64(), what.len() - 1);
        writeln!(self.transcript, "    waited {after:.1} s, last for: {last} (and {more} more)")
            .context("the transcript")
    }

    /// The clusters to try: all of them after what was done to all, else one.
    fn trials(&mut self, rows: &Rows, step: &Step) -> Vec<String> {
        let away = self.actor.away();
        let whole = |name: &str| away.as_ref().is_none_or(|away| !rows.is_member(away, name));
        let ready = self.actor.model.ready().filter(|(name, cluster)| !cluster.wounded && whole(name));
        let ready: Vec<String> = ready.map(|(name, _)| name.to_owned()).collect();
        match step {
            Step::Mend | Step::Drain { .. } | Step::Repair => ready,
            Step::Run(_)
            | Step::Late { .. }
            | Step::Cut { .. }
            | Step::Two { .. }
            | Step::HostFails { .. }
            | Step::Break { .. }
            | Step::Sweep => ready.into_iter().choose(&mut self.chance).into_iter().collect(),
        }
    }

    fn seen(&self, cleared: Option<Timestamp>) -> anyhow::Result<Seen> {
        let (rows, away) = (Rows::read(&self.actor.state)?, self.actor.away());
        let present = |machine: &&Machine| Some(machine.name()) != away;
        let machines: Vec<&Machine> = self.machines.iter().filter(present).collect();
        let hosts = look::look(&machines, &rows.installation)?;
        let addresses = self.machines.iter().map(|m| (m.name(), m.host().address)).collect();
        // A host that is away costs a listing its time limit.
        let told = if away.is_none() { Some(self.told()?) } else { None };
        Ok(Seen { rows, hosts, addresses, processes: self.processes()?, cleared, told })
    }

    /// Nodes and memory reserved, by host, as `shoal` tells.
    fn told(&self) -> anyhow::Result<BTreeMap<String, (u64, u64)>> {
        let words = ["get", "hosts", "-o", "json"];
        let ended = Running::begin(self.actor.shoal.command(&words))?.end(ASK)?;
        let hosts = serde_json::from_str(&ended.stdout()).with_context(|| ended.to_string())?;
        let told = entries(&hosts).map(|host| {
            let number = |value: &serde_json::Value| value.as_u64().context("no number");
            let name = host["name"].as_str().context("a host without a name")?;
            Ok((name.to_owned(), (number(&host["nodes"])?, number(&host["reserved"]["memory_bytes"])?)))
        });
        told.collect()
    }

    /// Processes of our program on our state directory: a name alone would be that of others, too.
    fn processes(&self) -> anyhow::Result<Vec<String>> {
        let program = fs::canonicalize(self.program).context("shoal")?;
        let ours = format!("{STATE_DIR}={}", self.actor.state.display());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("/proc")?.flatten() {
            let (path, pid) = (entry.path(), entry.file_name());
            if fs::read_link(path.join("exe")).is_ok_and(|exe| exe == program) {
                let environment = fs::read(path.join("environ")).unwrap_or_default();
                if environment.split(|byte| *byte == 0).any(|variable| variable == ours.as_bytes()) {
                    let line = fs::read(path.join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    found.push(format!("{} {line}", pid.to_string_lossy()));
                }
            }
        }
        Ok(found)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at hosts, which tell nobody what changes on them"
)]
fn pause() {
    std::thread::sleep(LOOK);
}
