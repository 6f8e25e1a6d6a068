//! Flags on how a cluster heals by itself, of `create cluster` and `set cluster`.

use clap::Args;
use shoal_types::{HealingChange, HealingPolicy};

use crate::{
    config::{Copies, HealAfter},
    parse::word,
};

/// How a cluster heals by itself.
#[derive(Debug, Default, Args)]
pub(super) struct HealingArgs {
    /// What upkeep that no person asks for does for nodes that are down: none leaves them alone, restart mends them where they are,
    /// reschedule also on other hosts; default is reschedule, but restart for a controller whose state has no copy elsewhere
    #[arg(long, value_name = "POLICY", value_parser = word::<HealingPolicy>)]
    healing: Option<HealingPolicy>,
    /// How long a node may be down before more is done for it than mending it where it is, from 0s to 7d [a new cluster's: 2m]
    #[arg(long, value_name = "DURATION", value_parser = word::<HealAfter>)]
    heal_after: Option<HealAfter>,
    /// How often a server copies the controller's state off its host, at least, from 10s to 1h, or none [a new cluster's: 60s]
    #[arg(long, value_name = "DURATION", value_parser = word::<Copies>)]
    state_copies: Option<Copies>,
}

impl HealingArgs {
    /// As a change of a configuration, or of a cluster.
    pub(super) fn change(&self) -> HealingChange {
        HealingChange {
            policy: self.healing,
            after_ms: self.heal_after.map(|after| after.0),
            copies_ms: self.state_copies.map(|copies| copies.0),
        }
    }
}
