//! Waiting for something outside this process to become true.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer or the time is over; the last refusal is returned then.
///
/// The kernel tells nobody when a mount namespace, a cgroup or a socket of another process changes in the
/// ways the lab waits for, so this looks at it every 20 ms.
///
/// # Errors
/// What `attempt` said last.
pub fn until<T, E>(limit: Duration, mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let begin = Instant::now();
    loop {
        match attempt() {
            Err(refused) if begin.elapsed() >= limit => return Err(refused),
            Err(_) => pause(),
            done => return done,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that polls, between two looks at a condition")]
fn pause() {
    std::thread::sleep(INTERVAL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_returns_the_first_success_and_the_last_refusal() {
        let mut looks = 0;
        let third = until(Duration::from_secs(60), || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(()) }
        });
        assert_eq!(third, Ok(3));
        let mut refusals = 0;
        let never: Result<(), u32> = until(Duration::ZERO, || {
            refusals += 1;
            Err(refusals)
        });
        assert_eq!(never, Err(1));
    }
}
