//! What happens next, drawn by seed from what is possible now. Pure.

use std::fmt;

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::model::{ALIVE_MAX, Fault, Model, Should};

/// Steps a host may be away.
const AWAY_STEPS: u32 = 2;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A command, left alone.
    Run(Order),
    /// A create that cannot be ready in time.
    Late { name: String, workers: u32, keep: bool },
    /// A command, and a signal to it.
    Cut { order: Order, how: Cut, at: Moment },
    /// Two commands at the same time, the second begun at a moment of the first.
    Two { one: Order, other: Order, at: Moment },
    /// A command, and a host that fails meanwhile; it is mended while the command runs, or stays away.
    HostFails { order: Order, host: usize, fault: Fault, at: Moment, mended_ms: Option<u64> },
    /// A host fails between commands.
    Break { host: usize, fault: Fault },
    /// The host that is away is mended.
    Mend,
    /// `shoal sweep`.
    Sweep,
    /// A host is drained, and gets nodes again afterwards; `shoal` may be killed in between.
    Drain { host: usize, killed: Option<Moment> },
    /// `shoal repair`.
    Repair,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// `create cluster`.
    Create { name: String, workers: u32 },
    /// `delete cluster`.
    Delete { name: String },
}

/// A signal to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// SIGKILL.
    Kill,
    /// SIGINT.
    Interrupt,
    /// SIGINT, and another one so much later.
    Twice { gap_ms: u64 },
}

/// A moment of a command: so long after its line of that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Lines it has written.
    pub(super) lines: usize,
    /// Milliseconds after that.
    pub(super) then_ms: u64,
}

impl Order {
    /// The cluster it is about.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Create { name, .. } | Self::Delete { name } => name,
        }
    }
}

impl Step {
    /// Its kind, as the summary counts it.
    pub(super) fn kind(&self) -> &'static str {
        use Order::{Create, Delete};
        match self {
            Self::Run(Create { .. }) => "create",
            Self::Run(Delete { .. }) => "delete",
            Self::Late { .. } => "create that is late",
            Self::Cut { order: Create { .. }, how: Cut::Kill, .. } => "create, shoal killed",
            Self::Cut { order: Delete { .. }, how: Cut::Kill, .. } => "delete, shoal killed",
            Self::Cut { order: Create { .. }, .. } => "create, Ctrl-C",
            Self::Cut { order: Delete { .. }, .. } => "delete, Ctrl-C",
            Self::Two { .. } => "two commands at once",
            Self::HostFails { order: Create { .. }, .. } => "create, host fails",
            Self::HostFails { order: Delete { .. }, .. } => "delete, host fails",
            Self::Break { .. } => "host fails",
            Self::Mend => "host mended",
            Self::Sweep => "sweep",
            Self::Drain { killed: None, .. } => "drain",
            Self::Drain { killed: Some(_), .. } => "drain, shoal killed",
            Self::Repair => "repair",
        }
    }

    /// Draws the next one.
    pub(super) fn draw(model: &Model, rng: &mut ChaCha8Rng) -> Self {
        Draw { model, rng }.step()
    }
}

/// One drawing.
struct Draw<'a> {
    model: &'a Model,
    rng: &'a mut ChaCha8Rng,
}

/// Makes one kind of step.
type Maker = fn(&mut Draw<'_>) -> Step;

impl<'a> Draw<'a> {
    fn step(&mut self) -> Step {
        if let Some(away) = &self.model.away
            && (away.steps >= AWAY_STEPS || self.rng.random_bool(0.4))
        {
            return Step::Mend;
        }
        let kinds = self.kinds();
        match kinds.choose_weighted(self.rng, |(weight, _)| *weight) {
            Ok((_, make)) => make(self),
            // Nothing else is possible.
            Err(_) => Step::Mend,
        }
    }

    /// What is possible now, with weights.
    fn kinds(&self) -> Vec<(u32, Maker)> {
        let alive = self.model.clusters.len();
        let (room, some) = (alive < ALIVE_MAX, !self.targets().is_empty());
        let calm = self.model.away.is_none();
        let kinds: [(bool, u32, Maker); 14] = [
            (room, 10, |d| Step::Run(d.create())),
            (some, 7, |d| Step::Run(d.delete())),
            (room && calm, 3, |d| {
                let Order::Create { name, workers } = d.create() else { return Step::Mend };
                Step::Late { name, workers, keep: d.rng.random_bool(0.3) }
            }),
            (room && calm, 10, |d| Step::Cut { order: d.create(), how: Cut::Kill, at: d.moment(30) }),
            (some && calm, 6, |d| Step::Cut { order: d.delete(), how: Cut::Kill, at: d.moment(12) }),
            (room && calm, 6, |d| Step::Cut { order: d.create(), how: d.interrupt(), at: d.moment(30) }),
            (some && calm, 3, |d| Step::Cut { order: d.delete(), how: d.interrupt(), at: d.moment(8) }),
            (alive + 1 < ALIVE_MAX && calm, 3, |d| {
                let one = d.create();
                let mut other = d.create();
                while other.name() == one.name() {
                    other = d.create();
                }
                Step::Two { one, other, at: d.moment(4) }
            }),
            (room && calm, 2, |d| {
                let one = d.create();
                Step::Two { other: one.clone(), one, at: d.moment(10) }
            }),
            (room && calm, 4, |d| {
                let one = d.create();
                let other = Order::Delete { name: one.name().to_owned() };
                Step::Two { one, other, at: d.moment(30) }
            }),
            (some && calm, 3, |d| {
                let one = d.delete();
                let other = if d.rng.random_bool(0.5) { one.clone() } else { d.create() };
                Step::Two { one, other, at: d.moment(4) }
            }),
            (room && calm, 9, |d| d.host_fails(Draw::create, 30)),
            (some && calm, 4, |d| d.host_fails(Draw::delete, 8)),
            (some && calm, 5, |d| {
                let (host, fault) = d.fault();
                Step::Break { host, fault }
            }),
        ];
        let whole = self.model.clusters.values().all(|c| c.should == Should::Ready && !c.wounded);
        let wounded = self.model.ready().any(|(_, cluster)| cluster.wounded);
        let upkeep: [(bool, u32, Maker); 4] = [
            (self.model.sweeps && calm, 4, |_| Step::Sweep),
            (alive > 0 && whole && calm, 5, |d| d.drain(false)),
            (alive > 0 && whole && calm, 4, |d| d.drain(true)),
            (wounded && calm, 8, |_| Step::Repair),
        ];
        let all = kinds.into_iter().chain(upkeep);
        all.filter(|(possible, ..)| *possible).map(|(_, weight, make)| (weight, make)).collect()
    }

    fn create(&mut self) -> Order {
        let name = self.model.free().choose(self.rng).copied().unwrap_or("one-more");
        Order::Create { name: name.to_owned(), workers: self.rng.random_range(2..=12) }
    }

    /// One that cannot work any more goes first, as a rule.
    fn delete(&mut self) -> Order {
        let targets = self.targets();
        let wounded = targets.iter().filter(|name| self.model.clusters[**name].wounded).copied();
        let wounded: Vec<&'a str> = wounded.collect();
        let prefer = !wounded.is_empty() && self.rng.random_bool(0.7);
        let from = if prefer { &wounded } else { &targets };
        Order::Delete { name: (*from.choose(self.rng).unwrap_or(&"one-less")).to_owned() }
    }

    /// Whole clusters: only these can be deleted.
    fn targets(&self) -> Vec<&'a str> {
        let model: &'a Model = self.model;
        let whole = model.clusters.iter().filter(|(_, cluster)| cluster.should != Should::Open);
        whole.map(|(name, _)| name.as_str()).collect()
    }

    fn moment(&mut self, lines: usize) -> Moment {
        Moment { lines: self.rng.random_range(0..=lines), then_ms: self.rng.random_range(0..400) }
    }

    fn interrupt(&mut self) -> Cut {
        match self.rng.random_bool(0.4) {
            true => Cut::Twice { gap_ms: self.rng.random_range(0..600) },
            false => Cut::Interrupt,
        }
    }

    fn drain(&mut self, is_killed: bool) -> Step {
        let host = self.rng.random_range(0..self.model.hosts);
        Step::Drain { host, killed: is_killed.then(|| self.moment(12)) }
    }

    fn fault(&mut self) -> (usize, Fault) {
        let fault = [Fault::Engine, Fault::Hang, Fault::Power, Fault::Cable].choose(self.rng).copied();
        (self.rng.random_range(0..self.model.hosts), fault.unwrap_or(Fault::Cable))
    }

    fn host_fails(&mut self, order: fn(&mut Self) -> Order, lines: usize) -> Step {
        let (host, fault) = self.fault();
        let mended_ms = self.rng.random_bool(0.35).then(|| self.rng.random_range(0..6000));
        Step::HostFails { order: order(self), host, fault, at: self.moment(lines), mended_ms }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, workers } => write!(f, "create {name} ({workers} workers)"),
            Self::Delete { name } => write!(f, "delete {name}"),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms after line {}", self.then_ms, self.lines)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("SIGKILL"),
            Self::Interrupt => f.write_str("Ctrl-C"),
            Self::Twice { gap_ms } => write!(f, "Ctrl-C twice within {gap_ms} ms"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(order) => write!(f, "{order}"),
            Self::Late { name, workers, keep } => {
                let kept = if *keep { ", kept" } else { "" };
                write!(f, "create {name} ({workers} workers) within 1 s{kept}")
            }
            Self::Cut { order, how, at } => write!(f, "{order}, {how} {at}"),
            Self::Two { one, other, at } => write!(f, "{one}, and {other} {at}"),
            Self::HostFails { order, host, fault, at, mended_ms } => {
                write!(f, "{order}, host{} {fault} {at}", host + 1)?;
                mended_ms.map_or(Ok(()), |ms| write!(f, ", mended after {ms} ms"))
            }
            Self::Break { host, fault } => write!(f, "host{} {fault}", host + 1),
            Self::Mend => f.write_str("mend"),
            Self::Sweep => f.write_str("sweep"),
            Self::Drain { host, killed: None } => write!(f, "drain host{}", host + 1),
            Self::Drain { host, killed: Some(at) } => write!(f, "drain host{}, SIGKILL {at}", host + 1),
            Self::Repair => f.write_str("repair"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;
    use crate::soak::model::{Away, Cluster};

    /// Steps from a seed, with commands that always succeed.
    fn steps(seed: u64, count: usize) -> Vec<Step> {
        let mut model = Model { hosts: 3, sweeps: true, ..Model::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut steps = Vec::new();
        for _ in 0..count {
            let step = Step::draw(&model, &mut rng);
            if let Some(away) = &mut model.away {
                away.steps += 1;
            }
            let orders: Vec<&Order> = match &step {
                Step::Run(order) | Step::Cut { order, .. } => vec![order],
                Step::Two { one, other, .. } => vec![one, other],
                Step::HostFails { order, host, fault, mended_ms, .. } => {
                    let away = Away { host: *host, fault: *fault, steps: 0 };
                    model.away = mended_ms.is_none().then_some(away);
                    vec![order]
                }
                Step::Break { host, fault } => {
                    model.away = Some(Away { host: *host, fault: *fault, steps: 0 });
                    vec![]
                }
                Step::Mend => {
                    assert!(model.away.take().is_some(), "nothing was to be mended");
                    vec![]
                }
                Step::Repair => {
                    model.clusters.values_mut().for_each(|cluster| cluster.wounded = false);
                    vec![]
                }
                Step::Late { .. } | Step::Sweep | Step::Drain { .. } => vec![],
            };
            for order in orders {
                match order {
                    Order::Create { name, workers } => {
                        let cluster = Cluster { workers: *workers, should: Should::Ready, wounded: false };
                        model.clusters.insert(name.clone(), cluster);
                    }
                    Order::Delete { name } => drop(model.clusters.remove(name)),
                }
            }
            assert!(model.clusters.len() <= ALIVE_MAX, "{:?} after {step}", model.clusters);
            steps.push(step);
        }
        steps
    }

    #[test]
    fn a_seed_draws_the_same_again_and_another_something_else() {
        assert_eq!(steps(7, 200), steps(7, 200));
        assert_ne!(steps(7, 200), steps(8, 200));
    }

    #[test]
    fn everything_is_drawn_sooner_or_later() {
        let drawn = steps(1, 2000);
        let kinds: BTreeSet<&str> = drawn.iter().map(Step::kind).collect();
        assert_eq!(kinds.len(), 15, "{kinds:?}");
        assert!(drawn.iter().any(|step| matches!(step, Step::Cut { how: Cut::Twice { .. }, .. })));
        assert!(drawn.iter().any(|step| matches!(step, Step::Late { keep: true, .. })));
    }
}
