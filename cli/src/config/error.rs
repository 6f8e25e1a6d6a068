//! Why a configuration cannot be used, in words that lead to the place.

use std::io;

use shoal_slurm::Refusals;
use shoal_types::SpecError;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {name}")]
    Read {
        /// The file, as given.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is larger than any configuration.
    #[error("{name} is too large for a configuration: more than 1 MiB")]
    TooLarge {
        /// The file, as given.
        name: String,
    },
    /// There is nothing in it.
    #[error("{name}: the configuration is empty")]
    Empty {
        /// The file, as given.
        name: String,
    },
    /// A place in it is wrong.
    #[error("{name}:{line}:{column}: {message}")]
    At {
        /// The file, as given.
        name: String,
        /// Line, from 1.
        line: u64,
        /// Column in characters, from 1.
        column: u64,
        /// What is wrong there.
        message: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// It is wrong and no place can be named.
    #[error("{name}: {message}")]
    Nowhere {
        /// The file, as given.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// The cluster it describes, with what the command line says, cannot be.
    #[error("{name}")]
    Spec {
        /// The file, as given, or `command line`.
        name: String,
        /// Why not.
        source: SpecError,
    },
    /// Slurm is told what it cannot be.
    #[error(transparent)]
    Slurm(Refusals),
    /// `--workers` does not say which of several groups of workers it means.
    #[error("--workers needs exactly one group of workers, and {name} has {groups}")]
    Workers {
        /// The file, as given.
        name: String,
        /// How many groups there are.
        groups: usize,
    },
}

impl ConfigError {
    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::At { hint: Some(hint), .. } => hint.clone(),
            Self::At { hint: None, .. } => {
                "correct that line; `shoal validate FILE` checks it and creates nothing".into()
            }
            Self::Empty { .. } => "the least there can be is `kind: Cluster`".into(),
            Self::Slurm(_) => {
                "docs/slurm-keys.md says what each key is; `shoal validate FILE` checks a file and creates nothing".into()
            }
            Self::Workers { .. } => "set `count` of the groups in the configuration".into(),
            Self::Read { .. } => {
                "see that the file is there and may be read; `-` reads standard input".into()
            }
            Self::TooLarge { .. } => "see that it is the right file".into(),
            Self::Nowhere { .. } => "see that it is YAML, as in `kind: Cluster`".into(),
            Self::Spec { .. } => "change that in the configuration or on the command line".into(),
        }
    }
}
