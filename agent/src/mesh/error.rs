//! Why the kernel's part of a network cannot be what it should be.

use std::{io, net::Ipv4Addr};

use shoal_types::Vni;

use crate::network::LinkName;

/// A network that cannot be realised on this host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeshError {
    /// Docker has not made the bridge (yet): after a host's boot it comes with the engine.
    #[error("bridge {bridge} does not exist")]
    BridgeMissing { bridge: LinkName },
    /// Something else has the bridge's name.
    #[error("{bridge} is not a bridge but of kind {kind}")]
    NotABridge { bridge: LinkName, kind: String },
    /// Something else has the device's name.
    #[error("{device} is not a VXLAN device but of kind {kind}")]
    DeviceTaken { device: LinkName, kind: String },
    /// Another VXLAN device has the VNI on the same UDP port; the kernel allows one.
    #[error("VNI {vni} on UDP port {udp_port} is in use by device {holder}")]
    VniTaken { vni: Vni, udp_port: u16, holder: String },
    /// Tunnel packets would leave with an address that is not this host's.
    #[error("underlay address {address} is not on this host")]
    UnderlayMissing { address: Ipv4Addr },
    /// A removal names a device that is not the installation's.
    #[error("device {device} does not carry the name of installation {installation}")]
    Foreign { device: LinkName, installation: String },
    /// The kernel refused.
    #[error("cannot {action}")]
    Kernel { action: String, source: io::Error },
}

/// What came of a request that may find its work done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// The kernel did it.
    Now,
    /// It was so before.
    Before,
}

/// The kernel's answer as an error of ours; `action` completes "cannot ...".
pub(crate) fn kernel(action: impl Into<String>, error: rtnetlink::Error) -> MeshError {
    MeshError::Kernel { action: action.into(), source: io_error(error) }
}

/// The error number in a netlink error, or its text.
pub(crate) fn io_error(error: rtnetlink::Error) -> io::Error {
    if let rtnetlink::Error::NetlinkError(message) = error {
        return message.to_io();
    }
    io::Error::other(error.to_string())
}

/// The answer to a deletion: that there is nothing to delete is success.
pub(crate) fn deletion(
    action: impl FnOnce() -> String,
    answer: Result<(), rtnetlink::Error>,
) -> Result<Done, MeshError> {
    match answer.map_err(io_error) {
        Ok(()) => Ok(Done::Now),
        Err(error) if is_absent(&error) => Ok(Done::Before),
        Err(source) => Err(MeshError::Kernel { action: action(), source }),
    }
}

/// `ENOENT` (an entry), `ESRCH` (a neighbour), `ENODEV` (a device).
fn is_absent(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let absent = [Errno::ENOENT, Errno::ESRCH, Errno::ENODEV];
    error.raw_os_error().is_some_and(|code| absent.contains(&Errno::from_raw(code)))
}
