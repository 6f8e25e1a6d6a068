//! Does a step: runs the commands, lets happen to them what the step says, and holds how they ended against what is
//! documented. What the model should be afterwards is learnt here too.

use std::{
    ops::RangeInclusive,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::sys::signal::Signal;
use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use shoal_lab::{HostName, Lab};
use shoal_types::ClusterPhase;

use super::{
    model::{Away, Cluster, Fault, Model, Should},
    process::{Ended, Running},
    report::Report,
    rows::Rows,
    step::{Cut, Moment, Order, Step},
};
use crate::shoal::Shoal;

/// What a create is given.
const WAIT: &str = "3m";
/// How long any command may take: a create's wait, and its roll-back beside a host that does not answer.
const LIMIT: Duration = Duration::from_secs(360);
/// The longest pause between two lines of a command before a moment counts as missed.
const QUIET: Duration = Duration::from_secs(60);
/// Exit statuses there are; more is a crash.
const STATUSES: RangeInclusive<i32> = 0..=5;

/// Whoever does the steps.
pub(super) struct Actor<'a> {
    pub(super) shoal: &'a Shoal,
    pub(super) state: PathBuf,
    pub(super) lab: &'a Lab,
    pub(super) model: Model,
    pub(super) rng: ChaCha8Rng,
}

/// What was done in a step.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The commands, as they ended.
    pub(super) commands: Vec<Ended>,
    /// What else is worth a word on the step's line.
    pub(super) notes: Vec<String>,
    /// What was not as documented.
    pub(super) faults: Vec<String>,
}

impl Done {
    /// Keeps a command that ended; one that crashed, hung or failed without a word is a fault.
    fn take(&mut self, ended: Ended) -> Ended {
        self.notes.push(ended.status());
        let all = format!("{}\n{}", ended.stdout(), ended.stderr());
        if all.contains("panicked at") {
            self.faults.push(format!("`{}` panicked", ended.line));
        }
        if ended.hung {
            self.faults.push(format!("`{}` did not end within {} s", ended.line, LIMIT.as_secs()));
        }
        match ended.code {
            Some(code) if !STATUSES.contains(&code) && code != 130 => {
                self.faults.push(format!("`{}` ended with status {code}, which no page names", ended.line));
            }
            // A second Ctrl-C ends it at once: its first said what follows.
            Some(code) if code != 0 && !all.contains("error: ") && !all.contains("interrupted: ") => {
                self.faults.push(format!("`{}` ended with status {code} and no word why", ended.line));
            }
            Some(_) | None => {}
        }
        self.commands.push(ended.clone());
        ended
    }

    /// Holds a status against those that are documented here.
    fn expect(&mut self, ended: &Ended, statuses: &[i32]) {
        if !ended.hung && !ended.code.is_some_and(|code| statuses.contains(&code)) {
            let status = ended.status();
            self.faults.push(format!("`{}` ended with {status}, expected one of {statuses:?}", ended.line));
        }
    }

    /// Holds its last words against a word that must be in them.
    fn names(&mut self, ended: &Ended, word: &str) {
        if !ended.stderr().contains(word) {
            self.faults.push(format!("`{}` failed without naming {word}", ended.line));
        }
    }
}

impl Actor<'_> {
    /// Does a step, and brings what it left half done to its end.
    ///
    /// # Errors
    /// The lab does not obey, or the store cannot be read: there is no use in going on.
    pub(super) fn act(&mut self, step: &Step, report: &mut Report) -> anyhow::Result<Done> {
        let mut done = Done::default();
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
            Step::Sweep => {
                let swept = self.begin(&["sweep", "--yes-really"])?.end(LIMIT)?;
                let swept = done.take(swept);
                done.expect(&swept, &[0]);
            }
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

    fn run(&mut self, order: &Order, report: &mut Report, done: &mut Done) -> anyhow::Result<()> {
        let waits = self.waits(&self.rows()?, order.name());
        let ended = done.take(self.order(order)?.end(LIMIT)?);
        match order {
            Order::Create { .. } => done.expect(&ended, &[0]),
            Order::Delete { .. } if waits => {
                done.expect(&ended, &[5]);
                done.names(&ended, &self.away().unwrap_or_default());
            }
            Order::Delete { .. } => done.expect(&ended, &[0]),
        }
        if ended.code == Some(0) {
            let kind = match (order, self.model.away.is_some()) {
                (Order::Create { .. }, false) => "create",
                (Order::Create { .. }, true) => "create beside a host that is away",
                (Order::Delete { .. }, false) => "delete",
                (Order::Delete { .. }, true) => "delete beside a host that is away",
            };
            report.time(kind, ended.took);
        }
        self.learn(order, &ended, done)
    }

    fn late(&mut self, name: &str, workers: u32, keep: bool, done: &mut Done) -> anyhow::Result<()> {
        let count = workers.to_string();
        let words = ["create", "cluster", name, "--workers", &count, "--wait", "1s", "--keep-on-failure"];
        let words = if keep { &words[..] } else { &words[..7] };
        let ended = done.take(self.begin(words)?.end(LIMIT)?);
        done.expect(&ended, &[0, 1]);
        if ended.code == Some(1) {
            done.names(&ended, "within 1 s");
        }
        let phase = self.rows()?.phase(name);
        let expected = match ended.code {
            Some(0) => Some(ClusterPhase::Ready),
            _ if keep => Some(ClusterPhase::Failed),
            _ => None,
        };
        if phase != expected {
            done.faults.push(format!("{name} is {}, expected {}", word(phase), word(expected)));
        }
        self.set(name, workers, phase);
        Ok(())
    }

    fn cut(&mut self, order: &Order, how: Cut, at: Moment, done: &mut Done) -> anyhow::Result<()> {
        let mut running = self.order(order)?;
        self.moment(&mut running, at);
        match how {
            Cut::Kill => running.signal(Signal::SIGKILL)?,
            Cut::Interrupt => running.signal(Signal::SIGINT)?,
            Cut::Twice { gap_ms } => {
                running.signal(Signal::SIGINT)?;
                if running.during(Duration::from_millis(gap_ms)) {
                    running.signal(Signal::SIGINT)?;
                }
            }
        }
        let ended = done.take(running.end(LIMIT)?);
        let rows = self.rows()?;
        let (phase, name) = (rows.phase(order.name()), order.name());
        // One that was not yet listening for it is ended by it, and has done nothing yet.
        let deaf = ended.signal == Some(Signal::SIGINT as i32) && ended.said.is_empty();
        match how {
            Cut::Kill if ended.signal.is_none() => done.expect(&ended, &[0]),
            Cut::Kill => {}
            Cut::Interrupt | Cut::Twice { .. } if !deaf => done.expect(&ended, &[0, 130]),
            Cut::Interrupt | Cut::Twice { .. } => {}
        }
        let whole = match (order, how, ended.code) {
            (Order::Create { .. }, _, Some(0)) => phase == Some(ClusterPhase::Ready),
            (Order::Create { .. }, Cut::Interrupt, _) | (Order::Delete { .. }, _, Some(0)) => phase.is_none(),
            (Order::Create { .. } | Order::Delete { .. }, ..) => true,
        };
        if !whole {
            done.faults.push(format!("{name} is {} after {}", word(phase), ended.status()));
        }
        self.learn_phase(order, phase);
        Ok(())
    }

    fn two(&mut self, one: &Order, other: &Order, at: Moment, done: &mut Done) -> anyhow::Result<()> {
        use Order::{Create, Delete};
        let mut first = self.order(one)?;
        self.moment(&mut first, at);
        let second = self.order(other)?;
        let (first, second) = (done.take(first.end(LIMIT)?), done.take(second.end(LIMIT)?));
        let codes = (first.code, second.code);
        match (one, other) {
            // One of them has it.
            (Create { .. }, Create { .. }) if one.name() == other.name() => {
                done.expect(&first, &[0, 1]);
                done.expect(&second, &[0, 1]);
                if !matches!(codes, (Some(0), Some(1)) | (Some(1), Some(0))) {
                    done.faults.push(format!("of two creates of {} not exactly one succeeded", one.name()));
                }
            }
            // It is not there yet, or is taken away from under the create, or is there and deleted.
            (Create { .. }, Delete { .. }) if one.name() == other.name() => {
                done.expect(&second, &[0, 3]);
                done.expect(&first, if second.code == Some(0) { &[0, 1, 130] } else { &[0] });
            }
            (Delete { .. }, Delete { .. }) => {
                done.expect(&first, &[0]);
                done.expect(&second, &[0, 3]);
            }
            (Create { .. } | Delete { .. }, Create { .. } | Delete { .. }) => {
                done.expect(&first, &[0]);
                done.expect(&second, &[0]);
            }
        }
        let rows = self.rows()?;
        let gone = |order: &Order| matches!(order, Delete { .. });
        for order in [one, other] {
            let phase = rows.phase(order.name());
            let deleted = [(one, &first), (other, &second)]
                .iter()
                .any(|(o, ended)| o.name() == order.name() && gone(o) && ended.code == Some(0));
            let expected = if deleted { None } else { Some(ClusterPhase::Ready) };
            if phase != expected {
                let name = order.name();
                done.faults.push(format!("{name} is {}, expected {}", word(phase), word(expected)));
            }
        }
        // The delete of one that is being created knows nothing of its size.
        self.learn_phase(other, rows.phase(other.name()));
        self.learn_phase(one, rows.phase(one.name()));
        Ok(())
    }

    fn host_fails(
        &mut self,
        order: &Order,
        (host, fault): (usize, Fault),
        at: Moment,
        mended: Option<Duration>,
        report: &mut Report,
        done: &mut Done,
    ) -> anyhow::Result<()> {
        let mut running = self.order(order)?;
        self.moment(&mut running, at);
        let failed = Instant::now();
        self.break_host(host, fault)?;
        if let Some(after) = mended {
            running.during(after);
            self.mend()?;
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
            report.time(what, ended_at.saturating_sub(failed_at));
            let turned =
                ended.said.iter().find(|said| said.at >= failed_at && said.text.contains("rolling back"));
            if let Some(turned) = turned {
                report.time("host fails until detected", turned.at.saturating_sub(failed_at));
                report.time("detected until rolled back", ended_at.saturating_sub(turned.at));
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
        if mended.is_some() && fault.ends_nodes() {
            self.wound(&rows, host);
        }
        Ok(())
    }

    fn break_host(&mut self, host: usize, fault: Fault) -> anyhow::Result<()> {
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

    fn mend(&mut self) -> anyhow::Result<()> {
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

    /// Brings what is half done to its end, by the next command that changes something, whichever that is: forward if it was
    /// being created, since there is time left, else backward. A host that is away keeps its clusters waiting.
    fn finish(&mut self, done: &mut Done) -> anyhow::Result<()> {
        let before = self.rows()?;
        let open = self.model.open();
        if self.model.away.is_some() || (open.is_empty() && before.remnants.is_empty()) {
            return Ok(());
        }
        let order = self.finisher(&open);
        let again = open.iter().any(|name| name == order.name());
        let phase = before.phase(order.name());
        let ended = done.take(self.order(&order)?.end(LIMIT)?);
        if let Some(last) = done.notes.last_mut() {
            *last = format!("then {order}: {last}");
        }
        match (&order, again, phase) {
            // It was brought to its end first, and so its name is taken.
            (Order::Create { .. }, true, Some(ClusterPhase::Creating)) => done.expect(&ended, &[1]),
            (Order::Create { .. } | Order::Delete { .. }, ..) => done.expect(&ended, &[0]),
        }
        let after = self.rows()?;
        for name in &open {
            let expected = match (before.phase(name), &order) {
                (_, Order::Delete { name: deleted }) if deleted == name => None,
                (_, Order::Create { name: created, .. }) if created == name => Some(ClusterPhase::Ready),
                (Some(ClusterPhase::Creating | ClusterPhase::Ready), _) => Some(ClusterPhase::Ready),
                (Some(ClusterPhase::Failed), _) => Some(ClusterPhase::Failed),
                (Some(ClusterPhase::Deleting) | None, _) => None,
            };
            let phase = after.phase(name);
            if phase != expected {
                let was = word(before.phase(name));
                done.faults.push(format!(
                    "{name} was {was} and is {}, expected {}",
                    word(phase),
                    word(expected)
                ));
            }
            let workers = self.model.clusters.get(name).map_or(0, |cluster| cluster.workers);
            match (&order, before.phase(name)) {
                // Another cluster of that name.
                (Order::Create { name: created, workers }, None | Some(ClusterPhase::Deleting))
                    if created == name =>
                {
                    self.set(name, 0, None);
                    self.set(name, *workers, phase);
                }
                _ => self.set(name, workers, phase),
            }
        }
        if !again {
            self.learn_phase(&order, after.phase(order.name()));
        }
        Ok(())
    }

    /// Another create, the same create once more, its delete, or another's delete.
    fn finisher(&mut self, open: &[String]) -> Order {
        let whole: Vec<&str> = self.model.ready().map(|(name, _)| name).collect();
        let free = self.model.free().choose(&mut self.rng).map(|name| (*name).to_owned());
        let same = open.choose(&mut self.rng).cloned();
        let workers = self.rng.random_range(2..=4);
        match (self.rng.random_range(0..4), same, whole.choose(&mut self.rng)) {
            (0, Some(name), _) => Order::Create { name, workers },
            (1, Some(name), _) => Order::Delete { name },
            (2, _, Some(name)) => Order::Delete { name: (*name).to_owned() },
            _ => Order::Create { name: free.unwrap_or_else(|| "one-more".to_owned()), workers },
        }
    }

    fn moment(&self, running: &mut Running, at: Moment) {
        if running.after_lines(at.lines, QUIET) {
            running.during(Duration::from_millis(at.then_ms));
        }
    }

    /// What a command that was left alone leaves: what its status says.
    fn learn(&mut self, order: &Order, ended: &Ended, done: &mut Done) -> anyhow::Result<()> {
        let phase = self.rows()?.phase(order.name());
        let as_said = match (order, ended.code) {
            (Order::Create { .. }, Some(0)) => phase == Some(ClusterPhase::Ready),
            (Order::Delete { .. }, Some(5)) => phase == Some(ClusterPhase::Deleting),
            (Order::Create { .. } | Order::Delete { .. }, _) => phase.is_none(),
        };
        if !as_said {
            done.faults.push(format!("{} is {} after {}", order.name(), word(phase), ended.status()));
        }
        self.learn_phase(order, phase);
        Ok(())
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
