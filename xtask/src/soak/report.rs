//! What is told: a line per step, every violation, and a table at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// What became of a run.
#[derive(Debug, Default)]
pub(super) struct Report {
    steps: BTreeMap<&'static str, u32>,
    violations: BTreeSet<String>,
    times: BTreeMap<&'static str, Vec<Duration>>,
}

impl Report {
    /// Counts a step.
    pub(super) fn step(&mut self, kind: &'static str) {
        *self.steps.entry(kind).or_default() += 1;
    }

    /// Steps so far.
    pub(super) fn steps(&self) -> u32 {
        self.steps.values().sum()
    }

    /// Notes how long something took.
    pub(super) fn time(&mut self, what: &'static str, took: Duration) {
        self.times.entry(what).or_default().push(took);
    }

    /// The new ones of these violations: a lasting violation is reported once.
    pub(super) fn fresh(&mut self, found: Vec<String>) -> Vec<String> {
        found.into_iter().filter(|violation| self.violations.insert(violation.clone())).collect()
    }

    /// Violations so far.
    pub(super) fn violations(&self) -> usize {
        self.violations.len()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<36} {:>6}", "STEP", "TIMES")?;
        for (kind, times) in &self.steps {
            writeln!(f, "{kind:<36} {times:>6}")?;
        }
        writeln!(f, "{:<36} {:>6}", "all", self.steps())?;
        writeln!(f, "\n{:<36} {:>6} {:>8} {:>8}", "TIME", "OF", "P50", "MAX")?;
        for (what, times) in &self.times {
            let mut sorted = times.clone();
            sorted.sort();
            let seconds = |took: Option<&Duration>| took.map_or(0.0, Duration::as_secs_f64);
            let (p50, max) = (seconds(sorted.get(sorted.len() / 2)), seconds(sorted.last()));
            writeln!(f, "{what:<36} {:>6} {p50:>6.1} s {max:>6.1} s", sorted.len())?;
        }
        write!(f, "\n{} steps, {} violations", self.steps(), self.violations.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown() {
        let mut report = Report::default();
        for kind in ["create", "delete", "create"] {
            report.step(kind);
        }
        for seconds in [3, 1, 9] {
            report.time("create", Duration::from_secs(seconds));
        }
        assert_eq!(report.fresh(vec!["a".into(), "b".into(), "a".into()]), ["a", "b"]);
        assert_eq!(report.fresh(vec!["b".into(), "c".into()]), ["c"]);
        assert_eq!(report.violations(), 3);
        let expected = "\
STEP                                  TIMES
create                                    2
delete                                    1
all                                       3

TIME                                     OF      P50      MAX
create                                    3    3.0 s    9.0 s

3 steps, 3 violations";
        assert_eq!(report.to_string(), expected);
    }
}
