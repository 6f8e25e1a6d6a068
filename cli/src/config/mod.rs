//! The configuration of a cluster: YAML with the keys of sind's, and a few of our own.
//!
//! ```text
//! text --document--> Document --spec (with the command line's overrides)--> ClusterSpec
//!          `--explain--> ConfigError: file, line, column, what to write instead
//! ```

mod document;
mod error;
mod explain;
mod healing;
mod node;
mod placing;
mod slurm;
mod source;
mod spec;
mod ttl;
mod value;

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use document::Document;
pub(crate) use error::ConfigError;
pub(crate) use healing::{Copies, HealAfter};
pub(crate) use placing::{Fallback, Limit, PlacingOverrides};
pub(crate) use source::Source;
pub(crate) use spec::{Overrides, cluster_spec};
pub(crate) use ttl::{Ttl, TtlSetting};
