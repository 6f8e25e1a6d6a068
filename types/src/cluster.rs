//! The phases of a cluster's intent and the events that move it from one to the next.
//!
//! ```text
//! creating --settled--> ready
//!    |                    |
//!    +--failed (kept)--> failed
//!    |                    |
//!    +------ delete ------+--> deleting --> (row removed)
//! ```
//! A create that passes its deadline or meets a fatal error becomes `deleting`, unless it is to be kept for inspection.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a cluster is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterPhase {
    /// Admitted; hosts are being brought to what the store says.
    Creating,
    /// Every worker was seen IDLE in Slurm.
    Ready,
    /// It did not become ready and was kept for inspection.
    Failed,
    /// Everything of it is being removed; the row goes last.
    Deleting,
}

/// What moves a cluster from one phase to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseChange {
    /// All workers are IDLE.
    Settled,
    /// It failed and stays for inspection.
    Kept,
    /// It is to go: asked for, or a failed create rolls back.
    Delete,
}

impl fmt::Display for PhaseChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settled => "become ready",
            Self::Kept => "be kept as failed",
            Self::Delete => "be deleted",
        })
    }
}

/// A change that makes no sense in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cluster that is {from} cannot {event}")]
pub struct InvalidTransition {
    /// The phase it is in.
    pub from: ClusterPhase,
    /// The change refused.
    pub event: PhaseChange,
}

impl ClusterPhase {
    /// Every phase.
    pub const ALL: [Self; 4] = [Self::Creating, Self::Ready, Self::Failed, Self::Deleting];

    /// The phase after `event`.
    ///
    /// # Errors
    /// [`InvalidTransition`]: the drawing above has no such arrow.
    pub fn after(self, event: PhaseChange) -> Result<Self, InvalidTransition> {
        match (self, event) {
            (Self::Creating, PhaseChange::Settled) => Ok(Self::Ready),
            (Self::Creating, PhaseChange::Kept) => Ok(Self::Failed),
            (Self::Creating | Self::Ready | Self::Failed | Self::Deleting, PhaseChange::Delete) => {
                Ok(Self::Deleting)
            }
            (Self::Ready | Self::Failed | Self::Deleting, PhaseChange::Settled | PhaseChange::Kept) => {
                Err(InvalidTransition { from: self, event })
            }
        }
    }

    /// The word, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

impl fmt::Display for ClusterPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_deleting() {
        assert_eq!(ClusterPhase::Deleting.after(PhaseChange::Delete), Ok(ClusterPhase::Deleting));
        assert!(ClusterPhase::Deleting.after(PhaseChange::Settled).is_err());
        assert_eq!(ClusterPhase::Creating.after(PhaseChange::Settled), Ok(ClusterPhase::Ready));
    }
}
