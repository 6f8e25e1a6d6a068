//! How work that is under way is ended.
//!
//! ```text
//! ask    somebody no longer wants it, or the command ends: a create is rolled back
//! stop   the server ends: nothing further is begun, and the rest is left to the next process
//! ```

use tokio_util::sync::{CancellationToken, DropGuard};

/// An end that work heeds. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    undo: CancellationToken,
    stop: CancellationToken,
}

impl Interrupt {
    /// Ends when this one does, or before.
    pub(crate) fn child(&self) -> Self {
        Self { undo: self.undo.child_token(), stop: self.stop.child_token() }
    }

    /// Ends the work; what it has begun is rolled back.
    pub(crate) fn ask(&self) {
        // In this order: who sees the end knows whose it is.
        self.undo.cancel();
        self.stop.cancel();
    }

    /// Ends the work; what it has begun is left to the next process.
    pub(crate) fn leave(&self) {
        self.stop.cancel();
    }

    /// Asks when it is dropped.
    pub(crate) fn ask_on_drop(&self) -> (DropGuard, DropGuard) {
        // Dropped in this order.
        (self.undo.clone().drop_guard(), self.stop.clone().drop_guard())
    }

    /// Whether the work is to end.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Returns once the work is to end.
    pub(crate) async fn cancelled(&self) {
        self.stop.cancelled().await;
    }

    /// Whether the work is to end and what it has begun is to stay.
    pub(crate) fn leaves(&self) -> bool {
        self.stop.is_cancelled() && !self.undo.is_cancelled()
    }

    /// Cancelled when the work is to end, whatever becomes of it.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.stop
    }
}

/// Of work that is never rolled back.
impl From<&CancellationToken> for Interrupt {
    fn from(stop: &CancellationToken) -> Self {
        Self { undo: CancellationToken::new(), stop: stop.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_undone_and_what_is_left_is_not() {
        let all = Interrupt::default();
        let (asked, left, dropped) = (all.child(), all.child(), all.child());
        asked.ask();
        drop(dropped.ask_on_drop());
        assert!(!left.is_cancelled() && !all.is_cancelled());
        all.leave();
        for (interrupt, leaves) in [(&asked, false), (&dropped, false), (&left, true), (&all.child(), true)] {
            assert!(interrupt.is_cancelled());
            assert_eq!(interrupt.leaves(), leaves);
        }
        all.ask();
        assert!(!left.leaves(), "a command that ends rolls back what it has under way");
    }
}
