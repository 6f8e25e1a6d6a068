//! What end-to-end tests stand on: a lab, `shoal` with a state of its own, and ways to look at hosts that do not go
//! through Shoal.
//!
//! ```text
//! Stage --- lab: three hosts, both kinds of engine          Machine: one of them, asked through docker(1), ip(8), bridge(8)
//!   |
//!   +------ Installation: SHOAL_BIN + state directory + store  --call--> Ended: status, output, errors
//!               |
//!               +-- Cluster: its nodes as Shoal tells, commands in them as Docker runs them
//! ```
//! What the tests assert about hosts is read from engines and kernels, never from Shoal's own answers alone.

mod call;
mod cluster;
mod installation;
mod json;
mod log;
mod machine;
mod page;
mod proxy;
mod registry;
pub mod sim;
mod stage;
mod terminal;
mod traces;

pub use call::{Call, Ended};
pub use cluster::{Cluster, Node};
pub use installation::{Installation, STATE_DIR, shoal};
pub use json::{list, text};
pub use log::Log;
pub use machine::{Machine, allocated_kib};
pub use page::{ANY, Command, Page, Step};
pub use proxy::{Action, Mode, Proxy, Rule, When};
pub use registry::Registry;
pub use stage::{Means, Stage, USER_KEY};
pub use terminal::{OnTerminal, Terminal, eventually, tell};
pub use traces::Traces;
