//! Ends a build from another thread: stops mmdebstrap and its children, and lets it remove its files.

use std::sync::{Arc, Mutex, PoisonError};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// Whether a build is to end; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    asked: bool,
    /// The process group at work.
    group: Option<Pid>,
}

impl Stop {
    /// Ends what is under way: its processes get SIGTERM, and nothing further is begun.
    pub fn ask(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked = true;
        if let Some(group) = state.group {
            terminate(group);
        }
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).asked
    }

    /// A process group that is to end when somebody asks, until [`Stop::ended`].
    pub(crate) fn began(&self, leader: u32) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.group = i32::try_from(leader).ok().map(Pid::from_raw);
        if let (true, Some(group)) = (state.asked, state.group) {
            terminate(group);
        }
    }

    /// It has ended by itself, and its number may come to belong to others.
    pub(crate) fn ended(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).group = None;
    }
}

fn terminate(group: Pid) {
    // It may have ended this moment.
    let _ = killpg(group, Signal::SIGTERM);
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::{CommandExt as _, ExitStatusExt as _},
        process::Command,
    };

    use super::*;

    #[test]
    fn ends_a_group_asked_before_or_after_it_began() {
        for before in [true, false] {
            let stop = Stop::default();
            let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
            if before {
                stop.ask();
            }
            stop.began(child.id());
            if !before {
                stop.ask();
            }
            assert_eq!(child.wait().unwrap().signal(), Some(15));
            stop.ended();
            assert!(stop.is_asked());
        }
    }
}
