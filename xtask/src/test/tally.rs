//! How many tests passed, failed and were skipped, read from what test programs print.

use std::{iter::Sum, ops::AddAssign};

/// Counts of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Passed.
    pub(crate) passed: u32,
    /// Failed.
    pub(crate) failed: u32,
    /// Not run.
    pub(crate) skipped: u32,
}

impl Tally {
    /// One that passed or failed.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u32::from(passed), failed: u32::from(!passed), skipped: 0 }
    }

    /// What a line of a test program adds, if it is one that counts: the summary of libtest and of harnesses that print
    /// as it does, or a behaviour of the suite that asks real engines.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        if let Some(rest) = line.strip_prefix("test result: ") {
            return Self::of_summary(rest);
        }
        let (_, outcome) = line.strip_prefix("behaviour ")?.rsplit_once(" ... ")?;
        Some(Self::one(outcome.starts_with("ok")))
    }

    /// `ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    fn of_summary(rest: &str) -> Option<Self> {
        let (_, counts) = rest.split_once(". ")?;
        let count = |word: &str| {
            counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim_end().parse::<u32>().ok())
        };
        Some(Self { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
    }
}

/// How many seconds a test took, and its name, if a line tells that: `took   12.3 s  module::name`.
pub(crate) fn seconds(line: &str) -> Option<(f32, String)> {
    let (seconds, name) = line.strip_prefix("took ")?.trim_start().split_once(" s  ")?;
    Some((seconds.parse().ok()?, name.to_owned()))
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_count() {
        let tally = |passed, failed, skipped| Some(Tally { passed, failed, skipped });
        for (line, counted) in [
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s",
                tally(12, 0, 1),
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9s",
                tally(3, 2, 0),
            ),
            ("behaviour an_image_has_an_id on unix:///run/a.sock ... ok (12 ms)", tally(1, 0, 0)),
            ("behaviour an_image_has_an_id on unix:///run/a.sock ... FAILED (12 ms)", tally(0, 1, 0)),
            ("test tally::tests::lines_that_count ... ok", None),
            ("test result: strange", None),
            ("", None),
        ] {
            assert_eq!(Tally::of_line(line), counted, "{line}");
        }
    }
}
