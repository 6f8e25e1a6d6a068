//! SSH for the user: the files and options of an OpenSSH client, and the user's public keys.
//!
//! ```text
//! client    the version of the user's client
//! files     known hosts and the cluster's key, below the state directory
//! options   the options that name these files: arguments of `shoal ssh`, lines of `shoal get ssh-config`
//! keys      public keys that `create` puts into the nodes
//! ```

pub(crate) mod client;
pub(crate) mod files;
pub(crate) mod keys;
pub(crate) mod options;
