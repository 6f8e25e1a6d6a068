//! Flags of `create cluster` on where nodes go.

use std::num::NonZeroU32;

use clap::Args;
use shoal_types::{LabelKey, Pin, Role};

use crate::{
    config::{Fallback, Limit, PlacingOverrides},
    parse::{count, word},
};

/// Rules on where nodes go.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Placement")]
pub(super) struct PlacingArgs {
    /// Keep nodes of this role off hosts that have nodes of the role for other clusters: controller, submitter, api or worker; may
    /// be repeated. The rule binds later clusters too: none of them places the role on the same host
    #[arg(long, value_name = "ROLE", value_parser = word::<Role>)]
    apart: Vec<Role>,
    /// The same as a preference: such hosts are used when no other host has room; may be repeated
    #[arg(long, value_name = "ROLE", value_parser = word::<Role>)]
    prefer_apart: Vec<Role>,
    /// Most nodes of the cluster on one host
    #[arg(long, value_name = "N", value_parser = count)]
    max_per_host: Option<NonZeroU32>,
    /// Balance nodes over the values of this host label, as far as there is room; the strategy chooses among the hosts of a
    /// value, and hosts without the label get no node
    #[arg(long, value_name = "LABEL", value_parser = word::<LabelKey>)]
    spread_over: Option<LabelKey>,
    /// Put these nodes on this host, such as controller=host1 or 'worker-[0-3]=host2'; may be repeated
    #[arg(long = "pin", value_name = "NODES=HOST", value_parser = word::<Pin>)]
    pins: Vec<Pin>,
    /// Time limit for a scheduler of your own, from 1ms to 5m [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = word::<Limit>)]
    scheduler_timeout: Option<Limit>,
    /// Fallback for a scheduler of your own that gives no answer or an invalid one: fail, or the strategy that places instead,
    /// with a warning [default: fail]
    #[arg(long, value_name = "NAME", value_parser = word::<Fallback>)]
    scheduler_fallback: Option<Fallback>,
}

impl PlacingArgs {
    /// As a configuration is overridden by.
    pub(super) fn overrides(&self) -> PlacingOverrides {
        PlacingOverrides {
            apart: self.apart.clone(),
            prefer_apart: self.prefer_apart.clone(),
            max_per_host: self.max_per_host,
            spread_over: self.spread_over.clone(),
            pins: self.pins.clone(),
            scheduler_timeout: self.scheduler_timeout,
            scheduler_fallback: self.scheduler_fallback,
        }
    }
}
