//! Steps of commands alone: left to themselves, late, cut by a signal, two at a time.

use std::time::Duration;

use nix::sys::signal::Signal;
use shoal_types::ClusterPhase;

use super::{Actor, LIMIT, outcome::Outcome, word};
use crate::soak::{
    process::Ended,
    report::Report,
    step::{Cut, Moment, Order},
};

impl Actor<'_> {
    pub(super) fn run(
        &mut self,
        order: &Order,
        report: &mut Report,
        done: &mut Outcome,
    ) -> anyhow::Result<()> {
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
        let kind = match (order, self.model.away.is_some()) {
            (Order::Create { .. }, false) => "create",
            (Order::Create { .. }, true) => "create beside a host that is away",
            (Order::Delete { .. }, false) => "delete",
            (Order::Delete { .. }, true) if waits => "delete but for a host that is away",
            (Order::Delete { .. }, true) => "delete beside a host that is away",
        };
        report.time(kind, ended.took);
        self.learn(order, &ended, done)
    }

    pub(super) fn late(
        &mut self,
        name: &str,
        workers: u32,
        keep: bool,
        done: &mut Outcome,
    ) -> anyhow::Result<()> {
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

    pub(super) fn cut(
        &mut self,
        order: &Order,
        how: Cut,
        at: Moment,
        done: &mut Outcome,
    ) -> anyhow::Result<()> {
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
        // A command without its signal handler dies of the signal, and has done nothing yet.
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

    pub(super) fn two(
        &mut self,
        one: &Order,
        other: &Order,
        at: Moment,
        done: &mut Outcome,
    ) -> anyhow::Result<()> {
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

    /// The state after an undisturbed command: its exit status tells.
    fn learn(&mut self, order: &Order, ended: &Ended, done: &mut Outcome) -> anyhow::Result<()> {
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
}
