//! The command as a shell sees it, as far as it gets without an engine: its output, and its exit status.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod elsewhere;
mod empty;
mod serve;
mod shoal;
mod terminal;
mod usage;
