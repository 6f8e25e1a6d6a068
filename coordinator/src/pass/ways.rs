//! The ways between the member hosts, tried before anything is made there: a cluster whose hosts do not get each other's packets
//! would wait for its workers until its deadline.
//!
//! A host that does not answer is no matter of this: the pass finds out what is wrong with it, and the next pass tries the
//! ways to it. Which of two hosts is at fault is not known, so neither is left for another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use shoal_api::{Pair, Verdict};
use shoal_storage::Host;
use shoal_types::{EventKind, EventLevel, HostId, VXLAN_OVERHEAD, natural};
use tokio::time::Instant;

use crate::{
    fleet::HostLink,
    observe::{
        intent::Intent,
        paths::{self, End, Way},
        survey::underlay,
    },
    pass::work::{Goal, Halt, Work},
    words::fault::{ClusterFault, Fault, LostWay, LostWays},
};

/// How long a host may take to answer a question of this. One that is busy is left out sooner than it is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ways on which some packets are lost that are told of.
const WARNED: usize = 4;

/// The hosts between which the ways were tried last, all of which answered.
#[derive(Debug, Default)]
pub(crate) struct Tried(Mutex<BTreeSet<HostId>>);

impl Tried {
    fn covers(&self, ends: &[End]) -> bool {
        let tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().all(|end| tried.contains(&end.id))
    }

    fn set(&self, hosts: BTreeSet<HostId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = hosts;
    }
}

impl Work {
    /// Tries the ways between these members of a cluster that is made, unless that was done.
    ///
    /// # Errors
    /// [`ClusterFault::Apart`]: packets do not arrive on some.
    pub(crate) async fn try_ways(
        &self,
        intent: &Intent,
        members: &BTreeMap<HostId, Host>,
        links: &BTreeMap<HostId, Arc<HostLink>>,
    ) -> Result<(), Halt> {
        match self.goal {
            Goal::Made => {}
            // Of a cluster that was ready some part is better than none.
            Goal::Kept => return Ok(()),
        }
        let network = &intent.network;
        let end = |host: &Host| {
            Some(End {
                id: host.id,
                name: host.name.clone(),
                address: underlay(host)?,
                mtu: u32::from(network.mtu) + u32::from(VXLAN_OVERHEAD),
                link: links.get(&host.id)?.clone(),
                vnis: host.facts.as_ref().map(|facts| facts.vnis.clone()).unwrap_or_default(),
            })
        };
        let ends: Vec<End> = members.values().filter_map(end).collect();
        if ends.len() < 2 || self.tried.covers(&ends) {
            return Ok(());
        }
        let began = Instant::now();
        let probed = tokio::select! {
            probed = paths::probe(&self.coordinator, &ends, network.udp_port, PATIENCE) => probed,
            () = self.stop.cancelled() => return Err(Halt::Stopped),
        };
        let silent: BTreeSet<usize> = probed.ways.iter().filter_map(Way::silent_end).collect();
        let heard = ends.iter().enumerate().filter(|(at, _)| !silent.contains(at));
        self.tried.set(heard.map(|(_, end)| end.id).collect());
        let ill = probed.ways.iter().filter(|way| !way.is_well() && way.silent_end().is_none());
        let mut pairs: Vec<Pair> = ill.map(|way| paths::verdict(&ends, network.udp_port, way)).collect();
        tracing::debug!(
            cluster.id = %self.cluster, ways = probed.ways.len(), ill = pairs.len(), silent = silent.len(),
            elapsed_ms = began.elapsed().as_millis(), "ways between hosts tried",
        );
        pairs.sort_by(|a, b| natural::cmp(&a.from, &b.from).then_with(|| natural::cmp(&a.to, &b.to)));
        let of = |verdict| pairs.iter().filter(move |pair| pair.verdict == verdict);
        for pair in of(Verdict::Warn).take(WARNED) {
            self.tell_way(intent, EventLevel::Warn, &lost(pair)).await;
        }
        let ways = LostWays::new(of(Verdict::Fail).map(lost).collect());
        if ways.shown.is_empty() {
            return Ok(());
        }
        for way in &ways.shown {
            self.tell_way(intent, EventLevel::Error, way).await;
        }
        Err(Halt::Fault(Fault::Cluster(ClusterFault::Apart { ways })))
    }

    async fn tell_way(&self, intent: &Intent, level: EventLevel, way: &LostWay) {
        let LostWay { from, to, message, fix } = way;
        let text = format!("{from} -> {to}: {message}; {fix}");
        self.recorder.event(self.event(intent, level, EventKind::Step, None, text)).await;
    }
}

fn lost(pair: &Pair) -> LostWay {
    let Pair { from, to, message, fix, .. } = pair.clone();
    LostWay { from, to, message, fix: fix.unwrap_or_default() }
}
