//! Where a test looks over the store's shoulder: every unit of work, and every commit before and after it. Without the feature
//! `failpoints` nothing of it is there.

#[cfg(feature = "failpoints")]
use std::{
    any::Any,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Before or after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "failpoints"), expect(unreachable_pub, reason = "reached with the feature"))]
pub enum Moment {
    /// Nothing is durable.
    Before,
    /// Everything is, and the caller has not been told.
    After,
}

/// What happens to a commit instead.
#[cfg(feature = "failpoints")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The connection breaks.
    Breaks,
    /// It takes this much longer.
    Stalls(Duration),
    /// It never ends: the process is about to be gone.
    Never,
}

/// Who looks.
#[cfg(feature = "failpoints")]
pub trait Probe: Send + Sync {
    /// A unit of work begins, and lasts as long as what is returned; `None`: the store cannot be reached.
    fn work(&self) -> Option<Box<dyn Any + Send + Sync>>;

    /// What becomes of a commit.
    fn commit(&self, moment: Moment) -> Option<Fate>;
}

/// The place of a probe.
#[derive(Default)]
pub(crate) struct Watch {
    #[cfg(feature = "failpoints")]
    probe: OnceLock<Arc<dyn Probe>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

/// A unit of work, for the probe.
#[derive(Default)]
pub(crate) struct Work {
    #[cfg(feature = "failpoints")]
    _held: Option<Box<dyn Any + Send + Sync>>,
}

#[cfg(not(feature = "failpoints"))]
impl Watch {
    pub(crate) fn work(&self) -> Result<Work, sqlx::Error> {
        Ok(Work::default())
    }

    pub(crate) async fn commit(&self, _: Moment, work: Work) -> Result<Work, sqlx::Error> {
        Ok(work)
    }
}

#[cfg(feature = "failpoints")]
impl Watch {
    /// The first probe stays.
    pub(crate) fn set(&self, probe: Arc<dyn Probe>) {
        drop(self.probe.set(probe));
    }

    pub(crate) fn work(&self) -> Result<Work, sqlx::Error> {
        match self.probe.get() {
            None => Ok(Work::default()),
            Some(probe) => probe.work().map(|held| Work { _held: Some(held) }).ok_or_else(broken),
        }
    }

    pub(crate) async fn commit(&self, moment: Moment, work: Work) -> Result<Work, sqlx::Error> {
        let fate = self.probe.get().and_then(|probe| probe.commit(moment));
        match fate {
            None => Ok(work),
            Some(Fate::Breaks) => Err(broken()),
            Some(Fate::Stalls(time)) => {
                drop(work);
                tokio::time::sleep(time).await;
                self.work()
            }
            Some(Fate::Never) => {
                drop(work);
                std::future::pending().await
            }
        }
    }
}

#[cfg(feature = "failpoints")]
fn broken() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::ConnectionReset.into())
}
