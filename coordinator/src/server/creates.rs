//! Creates that this process runs: begun by one call, followed and interrupted by others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use shoal_types::RealmName;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::{fleet::interrupt::Interrupt, words::fault::Fault};

/// Creates that have ended and are still remembered: whoever began one may ask for its end a little later.
const REMEMBERED: usize = 64;

/// How a create ended.
type Ended = Result<(), Status>;

/// A create that was begun.
#[derive(Debug)]
pub(super) struct Running {
    name: String,
    realm: RealmName,
    interrupt: Interrupt,
    ended: watch::Receiver<Option<Ended>>,
}

impl Running {
    /// What the client calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Rolls it back, unless it has ended.
    pub(super) fn interrupt(&self) {
        self.interrupt.ask();
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The status of what it failed with.
    pub(super) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let told = ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
        match told {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(_) => Err(Status::internal("the work ended unexpectedly")),
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.borrow().is_some() || self.ended.has_changed().is_err()
    }
}

/// All of them, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Creates(Mutex<Begun>);

#[derive(Debug, Default)]
struct Begun {
    count: u64,
    creates: VecDeque<Arc<Running>>,
}

impl Creates {
    /// Begins one: `work` goes on to its end, or until `interrupt` rolls it back.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        (process, realm): (&str, RealmName),
        tasks: &TaskTracker,
        interrupt: Interrupt,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Arc<Running> {
        let (tell, ended) = watch::channel(None);
        tasks.spawn(async move {
            let outcome = work.await.map(drop).map_err(Status::from);
            tell.send_replace(Some(outcome));
        });
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.count += 1;
        let running =
            Arc::new(Running { name: format!("{process}-{}", begun.count), realm, interrupt, ended });
        begun.creates.push_back(running.clone());
        let ended = begun.creates.iter().filter(|create| create.has_ended()).count();
        let mut forget = ended.saturating_sub(REMEMBERED);
        begun.creates.retain(|create| {
            let goes = forget > 0 && create.has_ended();
            forget -= usize::from(goes);
            !goes
        });
        running
    }

    /// The one of this name in this realm, if this process runs it.
    pub(super) fn find(&self, realm: &RealmName, name: &str) -> Option<Arc<Running>> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.creates.iter().find(|create| create.name == name && create.realm == *realm).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_is_told_to_whoever_asks_for_it() {
        let (creates, tasks, realm) = (Creates::default(), TaskTracker::new(), RealmName::default());
        let interrupt = Interrupt::default();
        let stop = interrupt.clone();
        let work = async move {
            stop.cancelled().await;
            Err::<(), _>(Fault::Stopped)
        };
        let begun = creates.begin(("p", RealmName::default()), &tasks, interrupt, work);
        assert!(creates.find(&"other".parse().unwrap(), begun.name()).is_none(), "of another realm");
        let found = creates.find(&realm, begun.name()).unwrap();
        assert!(!found.has_ended() && creates.find(&realm, "p-9").is_none());
        found.interrupt();
        for _ in 0..2 {
            assert_eq!(begun.ended().await.unwrap_err().code(), tonic::Code::Cancelled);
        }
    }

    #[tokio::test]
    async fn those_that_ended_long_ago_are_forgotten() {
        let (creates, tasks, realm) = (Creates::default(), TaskTracker::new(), RealmName::default());
        let never = creates.begin(
            ("p", RealmName::default()),
            &tasks,
            Interrupt::default(),
            std::future::pending::<Result<(), Fault>>(),
        );
        let mut names = Vec::new();
        for _ in 0..REMEMBERED + 3 {
            let create =
                creates.begin(("p", RealmName::default()), &tasks, Interrupt::default(), async { Ok(()) });
            create.ended().await.unwrap();
            names.push(create.name().to_owned());
        }
        assert!(creates.find(&realm, never.name()).is_some() && creates.find(&realm, &names[0]).is_none());
        assert!(creates.find(&realm, &names[REMEMBERED + 2]).is_some());
    }
}
