//! Looks for nodes that end while Slurm is waited for. One that ends is started again by the next pass, as its engine may have
//! been restarted; one that ends again will not run.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::ContainerState;
use shoal_types::HostId;

use crate::{
    fleet::{HostLink, liveness::limited},
    observe::{
        containers::{HostContainers, Scope},
        intent::Intent,
    },
    pass::{
        end::end_of,
        readiness::WaitOutcome,
        work::{Behalf, Work},
    },
    words::fault::Fault,
};

/// How often the hosts are asked for their containers, and how much longer that is for each of them: a thousand lists every two
/// seconds are work for the coordinator, too.
const LOOK: Duration = Duration::from_secs(2);
const LOOK_PER_HOST: Duration = Duration::from_millis(5);
/// How long a host may take; one that does not answer is for others to judge.
const LIMIT: Duration = Duration::from_secs(2);
/// Ends of a node before one is believed to go on so.
const ENDS: u32 = 2;

/// How long to wait between two looks at all of so many hosts.
pub(crate) fn pace(hosts: usize) -> Duration {
    LOOK.max(LOOK_PER_HOST.saturating_mul(u32::try_from(hosts).unwrap_or(u32::MAX)))
}

impl Work {
    /// Returns once a node has ended.
    pub(crate) async fn fallen(
        &self,
        intent: &Intent,
        links: &BTreeMap<HostId, Arc<HostLink>>,
    ) -> WaitOutcome {
        loop {
            tokio::time::sleep(pace(links.len())).await;
            if let Some(outcome) = self.look_for_fallen(intent, links).await {
                return outcome;
            }
        }
    }

    /// Counts the nodes that have ended; `None`: there are none.
    pub(crate) async fn look_for_fallen(
        &self,
        intent: &Intent,
        links: &BTreeMap<HostId, Arc<HostLink>>,
    ) -> Option<WaitOutcome> {
        let looks = links.values().map(|link| {
            let look = HostContainers::look(&self.coordinator.naming, link, Scope::Cluster(self.cluster))
                .map(|there| there.map_err(Fault::engine(&link.name)));
            async move { (link, limited(&link.name, LIMIT, look).await) }.boxed()
        });
        let mut observe_again = false;
        for (link, there) in join_all(looks).await {
            let Ok(there) = there else { continue };
            for node in intent.on(link.id) {
                let ended = |state| matches!(state, ContainerState::Exited | ContainerState::Dead);
                let Some(container) = there.of(node.id).filter(|c| ended(c.state)) else { continue };
                observe_again = true;
                // Upkeep lets it wait for its next restart.
                if self.effects.ended(node.id) >= ENDS && self.behalf == Behalf::Person {
                    let how = end_of(link, &container.id).await.ok().flatten();
                    return Some(WaitOutcome::Ended {
                        node: node.name.clone(),
                        host: link.name.clone(),
                        how: how.map_or_else(|| "exited".into(), |end| end.to_string()),
                    });
                }
            }
        }
        observe_again.then_some(WaitOutcome::Stalled)
    }
}
