//! How long calls may take, by class. Every call to an engine has a limit, so that a host that accepts and never
//! answers costs one limit and no more; and a coordinator starts no call its lease would not outlive.

use std::time::Duration;

/// Kinds of calls, by how long a healthy but busy engine takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallClass {
    /// Reading: ping, facts, list, inspect, logs.
    Read,
    /// Changing: create, archive, kill, remove, networks, volumes, tags.
    Write,
    /// Starting a container, and stopping one beyond its grace.
    Start,
    /// Running a command to its end.
    Exec,
    /// Moving an image: load, save, pull.
    Transfer,
}

/// The limit of each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// Of [`CallClass::Read`].
    pub read: Duration,
    /// Of [`CallClass::Write`].
    pub write: Duration,
    /// Of [`CallClass::Start`].
    pub start: Duration,
    /// Of [`CallClass::Exec`].
    pub exec: Duration,
    /// Of [`CallClass::Transfer`].
    pub transfer: Duration,
}

impl Default for Timeouts {
    /// Starting took 3 s at the 95th percentile with 16 in flight on a two-core engine (measured 2026-11-21): twenty
    /// times that. An image of 200 MB over 10 Mbit/s takes 160 s: ten minutes.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(15),
            write: Duration::from_secs(30),
            start: Duration::from_secs(60),
            exec: Duration::from_secs(60),
            transfer: Duration::from_secs(600),
        }
    }
}

impl Timeouts {
    /// The limit of a class.
    #[must_use]
    pub fn limit(&self, class: CallClass) -> Duration {
        match class {
            CallClass::Read => self.read,
            CallClass::Write => self.write,
            CallClass::Start => self.start,
            CallClass::Exec => self.exec,
            CallClass::Transfer => self.transfer,
        }
    }
}
