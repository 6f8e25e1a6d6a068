//! What a fault means for whoever is at work.

/// What a fault means for whoever is at work on a host or a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    /// Whether, and where, the same may succeed.
    pub(crate) retry: Retry,
    /// It counts against its host. User errors never do.
    pub(crate) blames: bool,
    /// The call may yet have an effect on its host, or had one that nobody saw.
    pub(crate) doubt: bool,
    /// The host said nothing at all: asking it for more only costs time.
    pub(crate) silent: bool,
}

/// Whether, and where, the same may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Here, a little later.
    Later,
    /// Not on this host; on another it may.
    Elsewhere,
    /// Nowhere.
    Never,
}

impl Class {
    /// Of a fault that says nothing of any host.
    pub(crate) const fn of(retry: Retry) -> Self {
        Self { retry, blames: false, doubt: false, silent: false }
    }

    /// Of one that counts against its host.
    pub(crate) const fn blaming(self) -> Self {
        Self { blames: true, ..self }
    }

    /// Of a host that does not answer: what it was asked for may still be done.
    pub(crate) const fn silence(retry: Retry) -> Self {
        Self { retry, blames: true, doubt: true, silent: true }
    }
}
