//! The outcome of a step: its commands, and every deviation from the documentation.

use std::ops::RangeInclusive;

use super::LIMIT;
use crate::soak::process::Ended;

/// Exit statuses there are; more is a crash.
const STATUSES: RangeInclusive<i32> = 0..=5;

/// The outcome of a step.
#[derive(Debug, Default)]
pub(in crate::soak) struct Outcome {
    /// The commands, as they ended.
    pub(in crate::soak) commands: Vec<Ended>,
    /// What else is worth a word on the step's line.
    pub(in crate::soak) notes: Vec<String>,
    /// Deviations from the documentation.
    pub(in crate::soak) faults: Vec<String>,
}

impl Outcome {
    /// Keeps a command that ended; one that crashed, hung or failed without a word is a fault.
    pub(super) fn take(&mut self, ended: Ended) -> Ended {
        self.notes.push(ended.status());
        let all = format!("{}\n{}", ended.stdout(), ended.stderr());
        if all.contains("panicked at") {
            self.faults.push(format!("`{}` panicked", ended.line));
        }
        if ended.hung {
            self.faults.push(format!("`{}` did not end within {} s", ended.line, LIMIT.as_secs()));
        }
        match ended.code {
            Some(code) if !STATUSES.contains(&code) && code != 130 => {
                self.faults.push(format!("`{}` ended with status {code}, which no page names", ended.line));
            }
            // A second Ctrl-C ends it at once: its first said what follows.
            Some(code) if code != 0 && !all.contains("error: ") && !all.contains("interrupted: ") => {
                self.faults.push(format!("`{}` ended with status {code} and no word why", ended.line));
            }
            Some(_) | None => {}
        }
        self.commands.push(ended.clone());
        ended
    }

    /// Holds a status against those that are documented here.
    pub(super) fn expect(&mut self, ended: &Ended, statuses: &[i32]) {
        if !ended.hung && !ended.code.is_some_and(|code| statuses.contains(&code)) {
            let status = ended.status();
            self.faults.push(format!("`{}` ended with {status}, expected one of {statuses:?}", ended.line));
        }
    }

    /// Holds its last words against a word that must be in them.
    pub(super) fn names(&mut self, ended: &Ended, word: &str) {
        if !ended.stderr().contains(word) {
            self.faults.push(format!("`{}` failed without naming {word}", ended.line));
        }
    }
}
