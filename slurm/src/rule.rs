//! What each key of slurm.conf is to Shoal: one row of a table, read where a cluster is admitted, where slurm.conf is rendered and
//! by the published reference.
//!
//! ```text
//! rule/table.rs   the rows                                 rule/reference.rs   the rows as a page
//! rule/check.rs   a specification against them             rule/layout.rs      ports and paths that follow the user's
//! conf.rs         which of our settings give way           rule/need.rs        what a host must be able to do
//! rule/secret.rs  files that not every user of a node may read
//! ```
//! A key without a row is free: it is Slurm's own matter.

mod check;
mod layout;
mod need;
mod reference;
mod secret;
mod table;

pub use check::{Refusal, Refusals, check};
pub use layout::Layout;
pub use need::{Ability, Need, needs};
pub use reference::reference;
pub(crate) use secret::secret_files;
pub(crate) use table::gives_way;
#[cfg(test)]
pub(crate) use table::is_known;

/// A row: keys that are treated alike.
#[derive(Debug)]
struct Row {
    keys: &'static [&'static str],
    rule: Rule,
}

/// What a key is.
#[derive(Debug)]
enum Rule {
    /// The user's value is taken, and what of ours depends on it follows.
    Honoured {
        value: Value,
        /// What follows.
        follows: &'static str,
    },
    /// The user's value is taken instead of ours, and the others of ours that it displaces go with it.
    Default {
        /// Keys of ours that make no sense beside it.
        with: &'static [&'static str],
        /// Why.
        why: &'static str,
    },
    /// A list, to which a word that Shoal cannot do without is added.
    List { word: &'static str, why: &'static str },
    /// Its value names files that must be among `slurm.files`.
    Files(Named),
    /// Some of its values need something of the hosts.
    Hosts { values: &'static [&'static str], ability: Ability },
    /// Shoal's own.
    Ours {
        /// A value that is as good as ours.
        same: Option<&'static str>,
        because: &'static str,
        instead: &'static str,
    },
    /// It describes nodes: what Shoal says of them is said elsewhere.
    Nodes,
}

/// What a value that everything follows may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// A TCP port.
    Port,
    /// A directory of its own on the node's disk.
    Directory,
    /// A file on the node's disk.
    File,
    /// What `JobCompType` makes of it.
    JobCompletions,
}

/// How a value names files.
#[derive(Debug)]
enum Named {
    /// It is a path, of a program or a file.
    Path,
    /// A plug-in among its words reads a file beside slurm.conf: word -> any of these.
    Beside(&'static [(&'static str, &'static [&'static str])]),
}
