//! Flags on how a cluster heals by itself, of `create cluster` and `set cluster`.

use clap::Args;
use shoal_types::HealingPolicy;

use crate::{
    config::{HealAfter, HealingOverrides},
    parse::word,
};

/// How a cluster heals by itself.
#[derive(Debug, Default, Args)]
pub(super) struct HealingArgs {
    /// What upkeep that no person asks for does for nodes that are down: none leaves them alone, restart and reschedule mend them
    /// where they are; default is restart for the controller, whose state has no copy elsewhere, and reschedule for others
    #[arg(long, value_name = "POLICY", value_parser = word::<HealingPolicy>)]
    healing: Option<HealingPolicy>,
    /// How long a node may be down before more is done for it than mending it where it is, from 0s to 7d [a new cluster's: 2m]
    #[arg(long, value_name = "DURATION", value_parser = word::<HealAfter>)]
    heal_after: Option<HealAfter>,
}

impl HealingArgs {
    /// As a configuration is overridden by.
    pub(super) fn overrides(&self) -> HealingOverrides {
        HealingOverrides { policy: self.healing, after: self.heal_after }
    }
}
