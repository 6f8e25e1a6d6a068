//! When each cluster is looked at next. Pure.
//!
//! ```text
//! woken --GATHER--> due --> looked at --well--> waits to be woken
//!                    ^          |-------failed--> due after a pause, doubled each time
//!                    |          `-------owned---> due when the owner's lease ends, unless it is renewed
//!                    `--- woken meanwhile
//! ```
//! What woke a cluster is not kept: a look finds out what differs. Whatever wakes it during the pause after a failure waits for that
//! pause to end, so that events of its own failed attempts do not make it try at once.

use std::{collections::BTreeMap, time::Duration};

use shoal_types::ClusterId;
use tokio::time::Instant;

/// How long further wakes are gathered: what happens to one node comes as several events.
const GATHER: Duration = Duration::from_millis(200);
/// The pause after a look that failed; doubled each time.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How a look at a cluster ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// There is nothing to be done, or it was done.
    Well,
    /// Something could not be done.
    Failed,
    /// Somebody else works on it, for so long at most unless they say that they go on.
    Owned(Duration),
}

#[derive(Debug, Default)]
struct Turn {
    due: Option<Instant>,
    is_looked_at: bool,
    /// Looks in a row that failed.
    failed: u32,
    /// Before, it is not looked at.
    not_before: Option<Instant>,
}

/// The clusters that are waited for or looked at, and those that failed.
#[derive(Debug, Default)]
pub(super) struct Turns(BTreeMap<ClusterId, Turn>);

impl Turns {
    /// Something may have happened to a cluster.
    pub(super) fn wake(&mut self, cluster: ClusterId, now: Instant) {
        let turn = self.0.entry(cluster).or_default();
        let at = turn.not_before.map_or(now + GATHER, |earliest| earliest.max(now + GATHER));
        turn.due = Some(turn.due.map_or(at, |due| due.min(at)));
    }

    /// When the next cluster is due that is not looked at.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().filter(|turn| !turn.is_looked_at).filter_map(|turn| turn.due).min()
    }

    /// Those that are due, at most so many, the one that waited longest first. From now on they are looked at.
    pub(super) fn take(&mut self, now: Instant, most: usize) -> Vec<ClusterId> {
        let mut due: Vec<(Instant, ClusterId)> = self
            .0
            .iter()
            .filter(|(_, turn)| !turn.is_looked_at)
            .filter_map(|(id, turn)| Some((turn.due.filter(|due| *due <= now)?, *id)))
            .collect();
        due.sort_unstable();
        due.truncate(most);
        for (_, id) in &due {
            if let Some(turn) = self.0.get_mut(id) {
                (turn.due, turn.is_looked_at) = (None, true);
            }
        }
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// A look has ended.
    pub(super) fn ended(&mut self, cluster: ClusterId, how: Ended, now: Instant) {
        let Some(turn) = self.0.get_mut(&cluster) else { return };
        turn.is_looked_at = false;
        match how {
            Ended::Well if turn.due.is_none() => drop(self.0.remove(&cluster)),
            Ended::Well => (turn.failed, turn.not_before) = (0, None),
            Ended::Failed => {
                let pause = PAUSE.saturating_mul(2_u32.saturating_pow(turn.failed)).min(LONGEST_PAUSE);
                turn.failed = turn.failed.saturating_add(1);
                turn.not_before = Some(now + pause);
                turn.due = turn.not_before;
            }
            Ended::Owned(until) => {
                let free = now + until;
                turn.due = Some(turn.due.map_or(free, |due| due.min(free)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn cluster(n: u8) -> ClusterId {
        ClusterId::new(1, [n; 10])
    }

    #[test]
    fn wakes_are_gathered_and_one_look_is_made_at_a_time() {
        let (mut turns, now, a) = (Turns::default(), Instant::now(), cluster(1));
        turns.wake(a, now);
        turns.wake(a, now + GATHER / 2);
        assert_eq!(turns.take(now + GATHER / 2, 8), []);
        assert_eq!(turns.next(), Some(now + GATHER), "the first wake counts");
        let now = now + GATHER;
        assert_eq!(turns.take(now, 8), [a]);
        assert_eq!((turns.take(now + SECOND, 8), turns.next()), (vec![], None));
        // Woken while it is looked at, by its own actions or not: looked at once more, and no oftener.
        turns.wake(a, now);
        turns.wake(a, now + SECOND);
        assert_eq!(turns.take(now + 2 * SECOND, 8), []);
        turns.ended(a, Ended::Well, now + 2 * SECOND);
        assert_eq!(turns.take(now + 2 * SECOND, 8), [a]);
        turns.ended(a, Ended::Well, now + 3 * SECOND);
        assert_eq!((turns.next(), turns.0.len()), (None, 0), "nothing is kept of a cluster that is well");
    }

    #[test]
    fn who_waited_longest_is_first_and_no_more_than_asked_for_begin() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        for n in [3, 1, 2] {
            turns.wake(cluster(n), now + SECOND * u32::from(4 - n));
        }
        let now = now + 10 * SECOND;
        assert_eq!(turns.take(now, 2), [cluster(3), cluster(2)]);
        assert_eq!(turns.take(now, 0), []);
        assert_eq!(turns.take(now, 2), [cluster(1)]);
    }

    #[test]
    fn what_somebody_else_works_on_is_looked_at_when_their_lease_ends() {
        let (mut turns, now, a) = (Turns::default(), Instant::now(), cluster(1));
        turns.wake(a, now);
        let now = now + GATHER;
        assert_eq!(turns.take(now, 1), [a]);
        turns.ended(a, Ended::Owned(90 * SECOND), now);
        assert_eq!((turns.take(now + 89 * SECOND, 1), turns.next()), (vec![], Some(now + 90 * SECOND)));
        // What it is woken by meanwhile counts, too.
        turns.wake(a, now + SECOND);
        let now = now + SECOND + GATHER;
        assert_eq!(turns.take(now, 1), [a]);
        turns.wake(a, now);
        turns.ended(a, Ended::Owned(90 * SECOND), now);
        assert_eq!(turns.next(), Some(now + GATHER));
    }

    #[test]
    fn failures_are_repeated_ever_more_seldom_whatever_wakes_the_cluster() {
        let (mut turns, mut now, a) = (Turns::default(), Instant::now(), cluster(1));
        turns.wake(a, now);
        now += GATHER;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert_eq!(turns.take(now, 1), [a]);
            turns.wake(a, now);
            turns.ended(a, Ended::Failed, now);
            turns.wake(a, now);
            let next = turns.next().unwrap();
            assert_eq!(turns.take(next - Duration::from_millis(1), 1), []);
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        // One that went well begins anew.
        assert_eq!(turns.take(now, 1), [a]);
        turns.ended(a, Ended::Well, now);
        turns.wake(a, now);
        assert_eq!(turns.take(now + GATHER, 1), [a]);
        turns.ended(a, Ended::Failed, now);
        assert_eq!(turns.next(), Some(now + PAUSE));
    }
}
