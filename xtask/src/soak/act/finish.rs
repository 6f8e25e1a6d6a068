//! After a step: what it left half done is brought to its end, as the next command must do.

use rand::{Rng, seq::IndexedRandom};
use shoal_types::ClusterPhase;

use super::{Actor, LIMIT, done::Done, word};
use crate::soak::step::Order;

impl Actor<'_> {
    /// Brings what is half done to its end, by the next command that changes something, whichever that is: forward if it was
    /// being created, since there is time left, else backward. A host that is away keeps its clusters waiting.
    pub(super) fn finish(&mut self, done: &mut Done) -> anyhow::Result<()> {
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
}
