//! Whole commands: passes again and again until a cluster is ready or gone, and what is done to hosts as a whole.
//!
//! ```text
//!            +------------------------ pass --------------------------+
//! intent --> | supply --> members at once: bring_up --> readiness     | --> ready
//!   ^        +---------------------------------------------------------+
//!   |  a host that fails: back off, read intent again; beyond patience: its nodes are rescheduled |
//!   `---------------------------------------------------------------------------------------------'
//!                                                        --> failed: deleting, passes down until gone
//! ```
//! Uses `pass/` and the floors below.

pub(crate) mod authority;
pub(crate) mod backward;
mod copy;
mod damage;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod forward;
mod heal;
pub(crate) mod healing;
pub(crate) mod hosts;
pub(crate) mod lifecycle;
pub(crate) mod load;
pub(crate) mod rebalance;
pub(crate) mod repair;
mod reschedule;
pub(crate) mod rotate;
pub(crate) mod sweep;
pub(crate) mod ttl;
pub(crate) mod unregister;
pub(crate) mod upkeep;
pub(crate) mod users;

use std::time::Duration;

/// First pause after a pass that met a transient fault; doubled each time.
const BACK_OFF: Duration = Duration::from_millis(250);
/// Longest such pause.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
