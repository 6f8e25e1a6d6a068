//! The reconciler's front: commands to it, and the networks as it last published them.

use std::{collections::BTreeMap, sync::Arc};

use shoal_types::{InstallationId, NetworkId, Revision};
use tokio::sync::{mpsc, oneshot, watch};

use super::ReconcileError;
use crate::network::{LinkName, Network};

/// What identifies a network that is to go.
#[derive(Debug, Clone)]
pub(crate) struct Removal {
    pub(crate) installation: InstallationId,
    /// `None`: none that is kept; a device was left without its state.
    pub(crate) network: Option<NetworkId>,
    pub(crate) device: LinkName,
    pub(crate) bridge: LinkName,
    /// The last one the remover knows of; zero if none.
    pub(crate) revision: Revision,
}

/// What is kept, for a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Each with what is wrong, if something is.
    pub(crate) networks: Vec<(Arc<Network>, Option<String>)>,
    /// VXLAN devices with the installation's name that no kept network explains.
    pub(crate) strays: Vec<String>,
}

/// Where an answer goes.
type Reply<T> = oneshot::Sender<Result<T, ReconcileError>>;

/// What the reconciler is told; each is answered once.
pub(super) enum Command {
    Apply(Box<Network>, Reply<bool>),
    Remove(Removal, Reply<bool>),
    List(InstallationId, Reply<Listing>),
}

/// Networks by id, as they are now.
pub(crate) type Networks = Arc<BTreeMap<NetworkId, Arc<Network>>>;

/// How the rest of the agent speaks with the reconciler.
#[derive(Debug, Clone)]
pub(crate) struct ReconcilerHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) networks: watch::Receiver<Networks>,
}

impl ReconcilerHandle {
    /// Makes this host's part of a network so; true if something had to be changed. What was told is kept once it is not
    /// refused, also if kernel or names fail: the reconciler tries again by itself.
    ///
    /// # Errors
    /// Every one of [`ReconcileError`] but [`ReconcileError::Foreign`] and [`ReconcileError::InUse`].
    pub(crate) async fn apply(&self, network: Network) -> Result<bool, ReconcileError> {
        self.ask(|reply| Command::Apply(Box::new(network), reply)).await
    }

    /// Removes this host's part of a network; true if something was there.
    ///
    /// # Errors
    /// [`ReconcileError::Foreign`], [`ReconcileError::InUse`], [`ReconcileError::Mesh`], [`ReconcileError::State`], [`ReconcileError::Stopping`].
    pub(crate) async fn remove(&self, removal: Removal) -> Result<bool, ReconcileError> {
        self.ask(|reply| Command::Remove(removal, reply)).await
    }

    /// What is kept for an installation.
    ///
    /// # Errors
    /// [`ReconcileError::Mesh`]: the kernel cannot be read. [`ReconcileError::Stopping`].
    pub(crate) async fn list(&self, installation: InstallationId) -> Result<Listing, ReconcileError> {
        self.ask(|reply| Command::List(installation, reply)).await
    }

    /// The networks as they are now.
    pub(crate) fn networks(&self) -> Networks {
        self.networks.borrow().clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, ReconcileError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| ReconcileError::Stopping)?;
        answer.await.map_err(|_| ReconcileError::Stopping)?
    }
}
