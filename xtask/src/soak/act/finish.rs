//! After a step: what it left half done is brought to its end, as the next command must do.

use rand::{Rng, seq::IndexedRandom};
use shoal_types::ClusterPhase;

use super::{Actor, LIMIT, outcome::Outcome, word};
use crate::soak::{rows::Rows, step::Order};

/// The next command.
enum Next {
    /// One that is about something.
    Order(Order),
    /// `resume`, which is about just this.
    Resume,
}

impl Next {
    /// Does it create this cluster, and so many workers of it?
    fn creates(&self, cluster: &str) -> Option<u32> {
        match self {
            Self::Order(Order::Create { name, workers }) if name == cluster => Some(*workers),
            Self::Order(_) | Self::Resume => None,
        }
    }

    /// Does it delete this cluster?
    fn deletes(&self, cluster: &str) -> bool {
        match self {
            Self::Order(Order::Delete { name }) => name == cluster,
            Self::Order(Order::Create { .. }) | Self::Resume => false,
        }
    }
}

impl Actor<'_> {
    /// Brings what is half done to its end, by the next command that changes something, whichever that is: forward if it was
    /// being created, since there is time left, else backward. A host that is away keeps its clusters waiting.
    pub(super) fn finish(&mut self, done: &mut Outcome) -> anyhow::Result<()> {
        let open = self.model.open();
        if self.model.away.is_some() || open.is_empty() {
            return Ok(());
        }
        let (before, next) = (self.rows()?, self.next(&open));
        let (running, shown) = match &next {
            Next::Order(order) => (self.order(order)?, order.to_string()),
            Next::Resume => (self.begin(&["resume"])?, "resume".to_owned()),
        };
        let ended = done.take(running.end(LIMIT)?);
        if let Some(last) = done.notes.last_mut() {
            *last = format!("then {shown}: {last}");
        }
        // One that was brought to its end first has the name.
        let taken = open
            .iter()
            .any(|name| next.creates(name).is_some() && before.phase(name) == Some(ClusterPhase::Creating));
        done.expect(&ended, if taken { &[1] } else { &[0] });
        let after = self.rows()?;
        for name in &open {
            self.finished(name, &next, (&before, &after), done);
        }
        match &next {
            Next::Order(order) if !open.iter().any(|name| name == order.name()) => {
                self.learn_phase(order, after.phase(order.name()));
            }
            Next::Order(_) | Next::Resume => {}
        }
        Ok(())
    }

    /// Compares the outcome of a half-done cluster with the expected one.
    fn finished(&mut self, name: &str, next: &Next, (before, after): (&Rows, &Rows), done: &mut Outcome) {
        let (was, is) = (before.phase(name), after.phase(name));
        let anew = match was {
            None | Some(ClusterPhase::Deleting) => next.creates(name),
            Some(ClusterPhase::Creating | ClusterPhase::Ready | ClusterPhase::Failed) => None,
        };
        let expected = match was {
            _ if next.deletes(name) => None,
            _ if anew.is_some() => Some(ClusterPhase::Ready),
            Some(ClusterPhase::Creating | ClusterPhase::Ready) => Some(ClusterPhase::Ready),
            Some(ClusterPhase::Failed) => Some(ClusterPhase::Failed),
            Some(ClusterPhase::Deleting) | None => None,
        };
        if is != expected {
            let (was, is, expected) = (word(was), word(is), word(expected));
            done.faults.push(format!("{name} was {was} and is {is}, expected {expected}"));
        }
        let known = self.model.clusters.get(name).map_or(0, |cluster| cluster.workers);
        if anew.is_some() {
            // Another cluster of that name.
            self.model.clusters.remove(name);
        }
        self.set(name, anew.unwrap_or(known), is);
    }

    /// Another create, the same create once more, its delete, another's delete, or `resume`.
    fn next(&mut self, open: &[String]) -> Next {
        let whole: Vec<&str> = self.model.ready().map(|(name, _)| name).collect();
        let free = self.model.free().choose(&mut self.rng).map(|name| (*name).to_owned());
        let same = open.choose(&mut self.rng).cloned();
        let workers = self.rng.random_range(2..=4);
        let order = match (self.rng.random_range(0..5), same, whole.choose(&mut self.rng)) {
            (0, Some(name), _) => Order::Create { name, workers },
            (1, Some(name), _) => Order::Delete { name },
            (2, _, Some(name)) => Order::Delete { name: (*name).to_owned() },
            (3, ..) if self.model.resumes => return Next::Resume,
            _ => Order::Create { name: free.unwrap_or_else(|| "one-more".to_owned()), workers },
        };
        Next::Order(order)
    }
}
