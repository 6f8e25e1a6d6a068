//! Why the reconciler refuses a command, or cannot carry it out.

use shoal_types::{InstallationId, NetworkId, Revision};

use crate::{dns::DnsError, firewall::FirewallError, mesh::MeshError, network::LinkName, state::StateError};

/// A command that was refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    /// A newer state is kept: the sender's time is over.
    #[error("revision {offered} of network {network} is older than {kept}, which is kept")]
    Stale { network: NetworkId, offered: Revision, kept: Revision },
    /// The network was removed after this state was made: it comes from somebody whose time is over.
    #[error("network {network} was removed at revision {gone}; {offered} is not newer")]
    Gone { network: NetworkId, offered: Revision, gone: Revision },
    /// Two different states claim one revision.
    #[error("revision {revision} of network {network} is kept with another content")]
    Conflict { network: NetworkId, revision: Revision },
    /// Two networks claim one device, bridge or gateway.
    #[error("network {network} shares its {what} with network {other}")]
    Clash { network: NetworkId, other: NetworkId, what: &'static str },
    /// The network belongs to another installation.
    #[error("network {network} does not belong to installation {installation}")]
    Foreign { network: NetworkId, installation: InstallationId },
    /// A device that was taken for left behind belongs to a network that is kept.
    #[error("device {device} belongs to network {network}")]
    InUse { network: NetworkId, device: LinkName },
    /// Tunnel packets cannot be filtered, although the kernel can.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// The kernel's part failed.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The names cannot be served.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The disk failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The reconciler has ended.
    #[error("the agent is stopping")]
    Stopping,
}
