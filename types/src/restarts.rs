//! A node that ends and is restarted again and again: when the next restart is due, and when it counts as failing. Pure.
//!
//! ```text
//! it has ended --nothing known, or it had lasted--> restart now, the first in a row
//!              --restarted n times in a row-------> wait: 10 s after the first, twice as long after each, at most 15 min
//!              --and n is 3 or more---------------> it is failing
//! it is up for 2 minutes -------------------------> forgotten: it is well
//! ```
//! A container that is missing, or is not the node's as it is placed now, is not an end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The pause after the first restart; each further one doubles it.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How long a node must run to count as well.
const LASTS: Duration = Duration::from_secs(120);
/// Restarts in a row, none of which lasted, that make a node failing.
const FAILING: u32 = 3;

/// Restarts of a node in a row, none of which is known to have lasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarts {
    /// How many, from 1.
    pub count: u32,
    /// When the last one was.
    pub last: Timestamp,
    /// How it ended when it was last seen to be failing; `None`: it is not failing.
    pub failing: Option<NodeEnd>,
}

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEnd {
    /// When that was seen.
    pub seen: Timestamp,
    /// Exit status of its first process, if its engine told it.
    pub exit_status: Option<i64>,
    /// The kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Its last log lines, oldest first.
    pub log: Vec<String>,
}

/// What was seen of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It has been running for so long.
    Up(Duration),
    /// It ended, having run for so long; `None`: nobody knows for how long.
    Ended(Option<Duration>),
}

/// What follows for its restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Leave,
    /// It is well: what is known of its restarts is forgotten.
    Reset,
    /// It is restarted.
    Restart,
    /// It is restarted at this time, and not before.
    Wait(Timestamp),
}

/// What follows for a node of which this is known.
#[must_use]
pub fn next(known: Option<&Restarts>, seen: Seen, now: Timestamp) -> Next {
    match (in_a_row(known, seen), seen) {
        (Some(_), Seen::Up(_)) => Next::Leave,
        (None, Seen::Up(_)) if known.is_some() => Next::Reset,
        (None, Seen::Up(_)) => Next::Leave,
        (Some(restarts), Seen::Ended(_)) if restarts.is_due(now) => Next::Restart,
        (Some(restarts), Seen::Ended(_)) => Next::Wait(restarts.due()),
        (None, Seen::Ended(_)) => Next::Restart,
    }
}

/// The restarts that count, after what was seen: none, once it has lasted.
fn in_a_row(known: Option<&Restarts>, seen: Seen) -> Option<&Restarts> {
    let ran = match seen {
        Seen::Up(ran) => Some(ran),
        Seen::Ended(ran) => ran,
    };
    known.filter(|_| ran.is_none_or(|ran| ran < LASTS))
}

impl Restarts {
    /// After one more, now, of a node that ended so.
    #[must_use]
    pub fn one_more(known: Option<&Self>, ran: Option<Duration>, now: Timestamp) -> Self {
        let before = in_a_row(known, Seen::Ended(ran));
        Self {
            count: before.map_or(0, |before| before.count).saturating_add(1),
            last: now,
            failing: before.and_then(|before| before.failing.clone()),
        }
    }

    /// Whether a node that has ended after this run is failing.
    #[must_use]
    pub fn fails(&self, ran: Option<Duration>) -> bool {
        self.count >= FAILING && in_a_row(Some(self), Seen::Ended(ran)).is_some()
    }

    /// Whether its end after the last restart is told of already.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.failing.as_ref().is_some_and(|end| end.seen > self.last)
    }

    /// When the next one is due.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        let doubled = 1_u32.checked_shl(self.count.saturating_sub(1)).unwrap_or(u32::MAX);
        self.last.after(PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE))
    }

    /// A time further ahead than any pause is that of a clock which was set back since.
    fn is_due(&self, now: Timestamp) -> bool {
        now >= self.due() || self.last > now.after(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    fn known(count: u32) -> Restarts {
        Restarts { count, last: START, failing: None }
    }

    fn ended(seconds: u64) -> Seen {
        Seen::Ended(Some(Duration::from_secs(seconds)))
    }

    #[test]
    fn the_pause_doubles_up_to_a_quarter_of_an_hour() {
        let pauses = [1, 2, 3, 4, 5, 6, 7, 8, 9, 40, u32::MAX].map(|n| known(n).due().since(START).as_secs());
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 900, 900, 900, 900]);
    }

    #[test]
    fn what_was_seen_and_known_decides() {
        let up = |seconds| Seen::Up(Duration::from_secs(seconds));
        for (what, known, seen, now, expected) in [
            ("well all the time", None, up(1), at(0), Next::Leave),
            ("the first end", None, ended(1), at(0), Next::Restart),
            ("the first end, of unknown length", None, Seen::Ended(None), at(0), Next::Restart),
            ("up, and not yet well", Some(known(1)), up(119), at(119), Next::Leave),
            ("up long enough", Some(known(1)), up(120), at(120), Next::Reset),
            ("it ended at once", Some(known(1)), ended(1), at(1), Next::Wait(at(10))),
            ("nobody knows how long it ran", Some(known(1)), Seen::Ended(None), at(1), Next::Wait(at(10))),
            ("its pause is over", Some(known(1)), ended(1), at(10), Next::Restart),
            ("a longer pause", Some(known(3)), ended(1), at(39), Next::Wait(at(40))),
            ("it had lasted when it ended", Some(known(8)), ended(120), at(121), Next::Restart),
            (
                "the clock was set back a little",
                Some(known(1)),
                ended(1),
                START.before(LASTS),
                Next::Wait(at(10)),
            ),
            (
                "the clock was set back by more than any pause",
                Some(known(1)),
                ended(1),
                Timestamp(5),
                Next::Restart,
            ),
        ] {
            assert_eq!(next(known.as_ref(), seen, now), expected, "{what}");
        }
    }

    #[test]
    fn restarts_count_in_a_row() {
        let ran = |seconds| Some(Duration::from_secs(seconds));
        let first = Restarts::one_more(None, ran(1), at(0));
        assert_eq!(first, known(1));
        let second = Restarts::one_more(Some(&first), ran(5), at(10));
        assert_eq!((second.count, second.last), (2, at(10)));
        assert_eq!(Restarts::one_more(Some(&second), None, at(30)).count, 3);
        assert_eq!(Restarts::one_more(Some(&second), ran(120), at(300)).count, 1);
        assert_eq!(Restarts::one_more(Some(&known(u32::MAX)), None, at(0)).count, u32::MAX);
    }

    #[test]
    fn the_third_restart_that_does_not_last_makes_it_failing() {
        let ran = Some(Duration::from_secs(1));
        assert!(!known(2).fails(ran) && known(3).fails(ran) && known(3).fails(None));
        assert!(!known(3).fails(Some(LASTS)));
        let end = NodeEnd { seen: at(1), exit_status: Some(7), out_of_memory: false, log: vec![] };
        let failing = Restarts { failing: Some(end.clone()), ..known(3) };
        assert!(failing.is_told() && !known(3).is_told());
        let again = Restarts::one_more(Some(&failing), ran, at(40));
        assert_eq!(again.failing.clone(), Some(end), "it is not well yet");
        assert!(!again.is_told());
        // What was seen when it was restarted is an end before that.
        let told = NodeEnd { seen: at(40), ..again.failing.clone().unwrap() };
        assert!(!Restarts { failing: Some(told), ..again }.is_told());
        assert_eq!(Restarts::one_more(Some(&failing), Some(LASTS), at(300)).failing, None);
    }
}
