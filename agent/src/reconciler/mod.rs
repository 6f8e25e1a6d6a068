//! The reconciler: one task that owns every network of this host and makes kernel and names follow what was told last.
//!
//! ```text
//! ApplyNetwork --> revision newer? --> disk --> filter --> kernel --> names --> answer
//! RemoveNetwork -> names --> kernel --> filter --> disk --> answer
//! netlink event (after 100 ms), every 30 s, start --> pass: look at all, repair what differs
//! nftables event (after 100 ms) --> look at the filter alone
//! ```
//!
//! Commands and passes take turns, so no two changes of the kernel overlap and no lock is needed. What a pass cannot repair
//! it records as trouble and tries again.

mod error;
mod handle;

pub(crate) use error::ReconcileError;
use handle::Command;
pub(crate) use handle::{Listing, Networks, ReconcilerHandle, Removal};

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use rtnetlink::Handle;
use shoal_types::{InstallationId, NetworkId, Revision, chain};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    dns,
    firewall::{Changes, Firewall, FirewallError},
    mesh::{self, Events, Interest, Kind, Snapshot, links},
    network::{Network, carries},
    state::{Graves, StateDir, StateError},
};

/// Between two looks at everything: what no event tells is repaired after this at the latest.
const PERIOD: Duration = Duration::from_secs(30);
/// From an event to the look: changes come in bursts.
const SETTLE: Duration = Duration::from_millis(100);
/// Commands that may wait; a coordinator's calls are bounded per host.
const QUEUE: usize = 64;
/// Networks remembered as removed; ids begin with their time, so that the oldest are forgotten first. A call that comes
/// later than that many removals is none of this world.
const GRAVES: usize = 1000;

/// The owner of all networks of this host.
pub(crate) struct Reconciler {
    handle: Handle,
    state: StateDir,
    names: dns::Servers,
    firewall: Firewall,
    /// The kernel has no filter, and that was said.
    unfiltered: bool,
    kept: BTreeMap<NetworkId, Kept>,
    gone: Graves,
    commands: mpsc::Receiver<Command>,
    published: watch::Sender<Networks>,
}

struct Kept {
    network: Arc<Network>,
    /// What the last pass could not repair.
    trouble: Option<String>,
}

impl Reconciler {
    /// Loads what is kept. A file that cannot be read is reported and left: its coordinator will tell the network again.
    ///
    /// # Errors
    /// [`StateError::Io`]: the directory cannot be listed.
    pub(crate) fn load(
        handle: Handle,
        state: StateDir,
        names: dns::Servers,
    ) -> Result<(Self, ReconcilerHandle), StateError> {
        let mut kept = BTreeMap::new();
        for network in state.load()? {
            match network {
                Ok(network) => {
                    kept.insert(network.id, Kept { network: Arc::new(network), trouble: None });
                }
                Err(error) => tracing::error!(error = chain(&error), "cannot restore a network"),
            }
        }
        let gone = state.graves()?;
        let (sender, commands) = mpsc::channel(QUEUE);
        let (published, networks) = watch::channel(Networks::default());
        let firewall = Firewall::default();
        let unfiltered = false;
        let reconciler = Self { handle, state, names, firewall, unfiltered, kept, gone, commands, published };
        reconciler.publish();
        Ok((reconciler, ReconcilerHandle { commands: sender, networks }))
    }

    /// Runs until `shutdown`, or until the event socket is gone.
    pub(crate) async fn run(mut self, mut events: Events, shutdown: CancellationToken) {
        let changes = Changes::subscribe();
        let mut changes =
            changes.inspect_err(|error| tracing::warn!(%error, "changes of nftables are not heard of")).ok();
        let mut interest = self.pass().await;
        let mut next = Instant::now() + PERIOD;
        let mut filter = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                command = self.commands.recv() => {
                    let Some(command) = command else { break };
                    if self.obey(command).await {
                        // Looked at once more, and with it what is of interest now.
                        next = next.min(Instant::now() + SETTLE);
                    }
                }
                event = events.next(&interest) => {
                    let Some(()) = event else { break };
                    next = next.min(Instant::now() + SETTLE);
                }
                () = change(&mut changes) => {
                    filter = filter.or(Some(Instant::now() + SETTLE));
                }
                () = sleep_until(filter.unwrap_or(next)), if filter.is_some() => {
                    filter = None;
                    self.filter_all().await;
                }
                () = sleep_until(next) => {
                    interest = self.pass().await;
                    next = Instant::now() + PERIOD;
                }
            }
        }
        self.names.stop_all().await;
    }

    /// True if the command may have changed something. An asker that is gone needs no answer; the work is done all the same.
    async fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Apply(network, reply) => drop(reply.send(self.apply(*network).await)),
            Command::Remove(removal, reply) => drop(reply.send(self.remove(removal).await)),
            Command::List(installation, reply) => {
                drop(reply.send(self.list(&installation).await));
                return false;
            }
        }
        true
    }

    #[tracing::instrument(skip_all, fields(network = %network.id, revision = %network.revision))]
    async fn apply(&mut self, network: Network) -> Result<bool, ReconcileError> {
        let id = network.id;
        let new = self.is_new(&network)?;
        if new {
            let network = Arc::new(network);
            let (state, copy) = (self.state.clone(), network.clone());
            on_disk(move || state.save(&copy)).await?;
            self.kept.insert(id, Kept { network, trouble: None });
            self.publish();
        }
        let installation = self.kept.get(&id).map(|k| k.network.installation.clone());
        let filtered = match installation {
            Some(installation) => self.filter(&installation).await,
            None => Ok(false),
        };
        let names = self.kept.get(&id).map(|k| names_of(&k.network)).into_iter().flatten().collect();
        let seen = Snapshot::take(&self.handle, &names).await?;
        let answer = self.realise(id, &seen, filtered).await;
        Ok(answer? | new)
    }

    /// False if exactly this is kept.
    fn is_new(&self, offered: &Network) -> Result<bool, ReconcileError> {
        let (network, revision) = (offered.id, offered.revision);
        if let Some(kept) = self.kept.get(&network).map(|k| &k.network) {
            if revision < kept.revision {
                return Err(ReconcileError::Stale { network, offered: revision, kept: kept.revision });
            }
            if revision == kept.revision {
                return if **kept == *offered {
                    Ok(false)
                } else {
                    Err(ReconcileError::Conflict { network, revision })
                };
            }
        }
        if let Some(&gone) = self.gone.get(&network).filter(|gone| revision <= **gone) {
            return Err(ReconcileError::Gone { network, offered: revision, gone });
        }
        for other in self.kept.values().map(|k| &k.network).filter(|o| o.id != network) {
            let claims = [
                ("device", other.device == offered.device),
                ("bridge", other.bridge == offered.bridge),
                ("gateway", other.gateway == offered.gateway),
            ];
            if let Some((what, _)) = claims.into_iter().find(|(_, same)| *same) {
                return Err(ReconcileError::Clash { network, other: other.id, what });
            }
        }
        Ok(true)
    }

    #[tracing::instrument(skip_all, fields(network = ?removal.network, device = %removal.device))]
    async fn remove(&mut self, removal: Removal) -> Result<bool, ReconcileError> {
        let Removal { installation, network, device, bridge, revision } = removal;
        let Some(id) = network else {
            if let Some(kept) = self.kept.values().find(|k| k.network.device == device) {
                return Err(ReconcileError::InUse { network: kept.network.id, device });
            }
            let removed = mesh::remove(&self.handle, &installation, &device, &bridge, None).await?;
            self.filter(&installation).await?;
            return Ok(removed);
        };
        let kept = self.kept.get(&id).map(|k| k.network.clone());
        if kept.as_ref().is_some_and(|k| k.installation != installation) {
            return Err(ReconcileError::Foreign { network: id, installation });
        }
        self.names.stop(id).await;
        let (device, bridge) = kept.as_ref().map_or((&device, &bridge), |k| (&k.device, &k.bridge));
        let removed = mesh::remove(&self.handle, &installation, device, bridge, kept.as_deref()).await?;
        let last = kept.as_ref().map_or(revision, |k| k.revision.max(revision));
        if last > Revision(0) {
            self.gone.insert(id, last);
            while self.gone.len() > GRAVES {
                self.gone.pop_first();
            }
        }
        self.filter_without(&installation, Some(id)).await?;
        let (state, gone) = (self.state.clone(), self.gone.clone());
        on_disk(move || state.bury(&gone).and_then(|()| state.forget(id))).await?;
        self.kept.remove(&id);
        self.publish();
        Ok(removed || kept.is_some())
    }

    async fn list(&self, installation: &InstallationId) -> Result<Listing, ReconcileError> {
        let seen = links(&self.handle).await?;
        let ours = |k: &&Kept| k.network.installation == *installation;
        let explained = |name: &str| self.kept.values().any(|k| k.network.device.as_str() == name);
        let strays = seen.iter().filter(|l| {
            matches!(l.kind, Kind::Vxlan(_)) && carries(&l.name, installation) && !explained(&l.name)
        });
        Ok(Listing {
            strays: strays.map(|l| l.name.clone()).collect(),
            networks: self
                .kept
                .values()
                .filter(ours)
                .map(|k| (k.network.clone(), k.trouble.clone()))
                .collect(),
        })
    }

    /// Compares every network with the kernel and repairs the differences; returns the networks.
    #[tracing::instrument(skip_all)]
    async fn pass(&mut self) -> Interest {
        let seen = match Snapshot::take(&self.handle, &self.names_of_links()).await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::error!(error = chain(&error), "cannot look at the kernel");
                return self.interest(&Snapshot::default());
            }
        };
        let filtered = self.filter_all().await;
        for (id, installation) in self.installations() {
            let filtered = filtered.get(&installation).cloned().unwrap_or(Ok(false));
            // The failure is recorded as the network's trouble.
            let _ = self.realise(id, &seen, filtered).await;
        }
        self.interest(&seen)
    }

    fn installations(&self) -> Vec<(NetworkId, InstallationId)> {
        self.kept.iter().map(|(id, kept)| (*id, kept.network.installation.clone())).collect()
    }

    /// Sees to the filter of every installation.
    async fn filter_all(&mut self) -> HashMap<InstallationId, Result<bool, FirewallError>> {
        let installations: HashSet<_> = self.installations().into_iter().map(|(_, of)| of).collect();
        let mut filtered = HashMap::new();
        for of in installations {
            let answer = self.filter(&of).await;
            filtered.insert(of, answer);
        }
        filtered
    }

    /// Sees to the filter of an installation; true if it was not right.
    async fn filter(&mut self, installation: &InstallationId) -> Result<bool, FirewallError> {
        self.filter_without(installation, None).await
    }

    /// The filter without the network that goes: none after the last one. A kernel that has no filter is told of once, and
    /// by the host's facts: its networks are made all the same. The kernel waits until no packet is in the rules before, so this
    /// is work for a thread of its own.
    async fn filter_without(
        &mut self,
        installation: &InstallationId,
        going: Option<NetworkId>,
    ) -> Result<bool, FirewallError> {
        let networks = self.kept.values().map(|k| k.network.clone());
        let networks: Vec<_> =
            networks.filter(|n| n.installation == *installation && Some(n.id) != going).collect();
        let (mut firewall, installation) = (std::mem::take(&mut self.firewall), installation.clone());
        let written = tokio::task::spawn_blocking(move || {
            let answer = if networks.is_empty() {
                firewall.remove(&installation).map(|()| false)
            } else {
                firewall.keep(&installation, networks.iter().map(|network| &**network))
            };
            (firewall, answer)
        });
        // Cancelled with its runtime, or it panicked: what was written is looked at anew.
        let (firewall, answer) = written.await.map_err(|_| FirewallError::Stopping)?;
        self.firewall = firewall;
        match answer {
            Err(error @ FirewallError::Unsupported { .. }) => {
                if !std::mem::replace(&mut self.unfiltered, true) {
                    tracing::warn!(
                        error = chain(&error),
                        "every host may send into the networks of this one"
                    );
                }
                Ok(false)
            }
            answer => answer,
        }
    }

    /// Makes kernel and names follow the kept state, and records what is wrong. What could not be filtered is not made.
    async fn realise(
        &mut self,
        id: NetworkId,
        seen: &Snapshot,
        filtered: Result<bool, FirewallError>,
    ) -> Result<bool, ReconcileError> {
        let Some(kept) = self.kept.get_mut(&id) else { return Ok(false) };
        let mesh = match filtered {
            Ok(new) => {
                let made = mesh::converge(&self.handle, &kept.network, seen).await;
                made.map(|made| made | new).map_err(ReconcileError::Mesh)
            }
            Err(error) => Err(error.into()),
        };
        let names = self.names.keep(&kept.network).await;
        let answer = match (mesh, names) {
            (Ok(a), Ok(b)) => Ok(a | b),
            (Err(error), _) => Err(error),
            (Ok(_), Err(error)) => Err(ReconcileError::Dns(error)),
        };
        let trouble = answer.as_ref().err().map(|error| chain(error));
        if trouble != kept.trouble {
            match &trouble {
                Some(trouble) => tracing::warn!(network = %id, trouble, "network is not as it should be"),
                None => tracing::info!(network = %id, "network is as it should be"),
            }
            kept.trouble = trouble;
        }
        answer
    }

    /// Names of every network's bridge and device.
    fn names_of_links(&self) -> BTreeSet<String> {
        self.kept.values().flat_map(|k| names_of(&k.network)).collect()
    }

    fn interest(&self, seen: &Snapshot) -> Interest {
        let mut interest = Interest { names: self.names_of_links(), ..Interest::default() };
        let links = seen.links.iter().filter(|l| interest.names.contains(&l.name));
        interest.indexes = links.map(|l| l.index).collect();
        interest
    }

    fn publish(&self) {
        let networks = self.kept.iter().map(|(id, kept)| (*id, kept.network.clone())).collect();
        self.published.send_replace(Arc::new(networks));
    }
}

fn names_of(network: &Network) -> [String; 2] {
    [network.bridge.to_string(), network.device.to_string()]
}

/// Waits for a change of nftables; for ever if there is none to come.
async fn change(changes: &mut Option<Changes>) {
    if let Some(listener) = changes {
        match listener.next().await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(%error, "changes of nftables are not heard of any more");
                *changes = None;
            }
        }
    }
    std::future::pending().await
}

/// Runs a write that waits for the disk where it blocks nobody.
async fn on_disk(
    write: impl FnOnce() -> Result<(), StateError> + Send + 'static,
) -> Result<(), ReconcileError> {
    match tokio::task::spawn_blocking(write).await {
        Ok(answer) => Ok(answer?),
        // Cancelled with its runtime.
        Err(_) => Err(ReconcileError::Stopping),
    }
}
