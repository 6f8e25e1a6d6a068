//! Whether tunnel packets arrive: one host counts, another sends.
//!
//! ```text
//! sender: UDP socket, DF set --(VXLAN header, VNI of the check)--> INPUT of the counting host --> kernel's VXLAN port --> device: rx + 1
//! ```
//! The kernel's own receiver has the port wherever there is a cluster, and a packet socket would see what a firewall drops after
//! it. So the check is one more VXLAN device on the same port, with a VNI of its own: it shares the kernel's socket, and a
//! frame counts once it has come the whole way that frames of clusters come. Nothing is attached to the device, and its
//! frames are of a type that nobody listens for.

#![expect(clippy::wildcard_enum_match_arm, reason = "netlink attributes are an open set: only some are read")]

use std::{io, net::Ipv4Addr, num::NonZeroU16, pin::Pin, time::Duration};

use futures_util::{Stream, TryStreamExt};
use netlink_packet_route::link::LinkAttribute;
use rtnetlink::{Handle, LinkUnspec, LinkVxlan};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use shoal_proto::v1;
use shoal_types::{Vni, chain};
use tokio::{net::UdpSocket, sync::mpsc, task::JoinSet, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::{
    mesh::io_error,
    network::{LinkName, parse},
};

/// How often the count is read.
const LOOK: Duration = Duration::from_millis(5);
/// Longest a device stays, whatever its caller does.
const LIFE: Duration = Duration::from_secs(120);
/// Most packets of one call.
const MAX_PACKETS: usize = 64;
/// Headers of IPv4, UDP and VXLAN.
const HEADERS: usize = 20 + 8 + 8;
/// An Ethernet header: what is the least inside a tunnel packet.
const FRAME: usize = 14;
/// "Local experimental EtherType 1" (IEEE 802): no host has a handler for it.
const ETHER_TYPE: [u8; 2] = [0x88, 0xb5];
/// The flag that says a VNI is there (RFC 7348, section 5).
const VNI_FLAG: u8 = 0x08;

/// Counts as they change.
pub(crate) type Counts = Pin<Box<dyn Stream<Item = Result<v1::CountProbesResponse, Status>> + Send>>;

/// Why a check cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    /// A field of the request.
    #[error(transparent)]
    Field(#[from] shoal_proto::FieldError),
    /// No netlink socket.
    #[error("cannot open a netlink socket")]
    Netlink(#[source] io::Error),
    /// The kernel refused the device.
    #[error("cannot {action} the check's device {device}")]
    Device { action: &'static str, device: String, source: io::Error },
    /// No socket to send from.
    #[error("cannot send from {local}")]
    Socket { local: Ipv4Addr, source: io::Error },
}

/// Makes the device and counts for as long as the stream is read.
pub(crate) async fn count(
    request: v1::CountProbesRequest,
    tasks: &TaskTracker,
) -> Result<Counts, ReachError> {
    let device: LinkName = parse("device", &request.device)?;
    let vni = vni(request.vni)?;
    let local: Ipv4Addr = parse("local", &request.local)?;
    let port = udp_port(request.udp_port)?;
    let (connection, handle, _) = rtnetlink::new_connection().map_err(ReachError::Netlink)?;
    let mut reader = JoinSet::new();
    reader.spawn(connection);
    let index = create(&handle, device.as_str(), vni, local, port).await?;
    let (out, counts) = mpsc::channel(4);
    tasks.spawn(async move {
        let told = tokio::select! {
            told = tell(&handle, index, &out) => told,
            () = out.closed() => Ok(()),
            () = sleep(LIFE) => Err(Status::deadline_exceeded("the check takes too long")),
        };
        if let Err(error) = handle.link().del(index).execute().await {
            tracing::warn!(device = device.as_str(), error = %io_error(error), "a check's device stays");
        }
        if let Err(status) = told {
            drop(out.send(Err(status)).await);
        }
        drop(reader);
    });
    Ok(Box::pin(ReceiverStream::new(counts)))
}

async fn create(
    handle: &Handle,
    device: &str,
    vni: Vni,
    local: Ipv4Addr,
    port: NonZeroU16,
) -> Result<u32, ReachError> {
    let fault = |action| {
        move |error| ReachError::Device { action, device: device.to_owned(), source: io_error(error) }
    };
    let message = LinkVxlan::new(device, vni.get()).local(local).port(port.get()).learning(false).build();
    handle.link().add(message).execute().await.map_err(fault("make"))?;
    let row = handle
        .link()
        .get()
        .match_name(device.to_owned())
        .execute()
        .try_next()
        .await
        .map_err(fault("find"))?;
    let index = row.map(|r| r.header.index).ok_or_else(|| fault("find")(rtnetlink::Error::RequestFailed))?;
    // Opens the port too: fails if a process has it.
    let up = handle.link().change(LinkUnspec::new_with_index(index).up().build()).execute().await;
    if let Err(error) = up {
        drop(handle.link().del(index).execute().await);
        return Err(fault("set up")(error));
    }
    Ok(index)
}

/// Tells the count whenever it has changed, the first time at once.
async fn tell(
    handle: &Handle,
    index: u32,
    out: &mpsc::Sender<Result<v1::CountProbesResponse, Status>>,
) -> Result<(), Status> {
    let mut last = None;
    loop {
        let row = handle.link().get().match_index(index).execute().try_next().await;
        let row =
            row.map_err(|e| Status::internal(format!("cannot read the check's device: {}", io_error(e))))?;
        let attributes = row.map(|r| r.attributes).unwrap_or_default();
        let now = attributes.iter().find_map(|a| match a {
            LinkAttribute::Stats64(stats) => Some((stats.rx_packets, stats.rx_bytes)),
            _ => None,
        });
        let Some((frames, bytes)) = now else {
            return Err(Status::aborted("somebody removed the check's device"));
        };
        if last != now {
            last = now;
            if out.send(Ok(v1::CountProbesResponse { frames, bytes })).await.is_err() {
                return Ok(());
            }
        }
        sleep(LOOK).await;
    }
}

/// Sends one packet of each size; the kernel's first refusal ends it.
pub(crate) async fn send(request: v1::SendProbesRequest) -> Result<v1::SendProbesResponse, ReachError> {
    let local: Ipv4Addr = parse("local", &request.local)?;
    let remote: Ipv4Addr = parse("remote", &request.remote)?;
    let port = udp_port(request.udp_port)?;
    let vni = vni(request.vni)?;
    if request.sizes.len() > MAX_PACKETS {
        return Err(shoal_proto::FieldError::new("sizes", format!("more than {MAX_PACKETS} packets")).into());
    }
    let fault = |source| ReachError::Socket { local, source };
    let socket = UdpSocket::bind((local, 0)).await.map_err(fault)?;
    // Set, and never mind what an earlier packet has learned: this is to find out.
    set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE).map_err(|errno| fault(errno.into()))?;
    let mut sent = 0;
    for size in request.sizes {
        let payload = packet(vni, size);
        if let Err(error) = socket.send_to(&payload, (remote, port.get())).await {
            let error = format!("a packet of {size} bytes cannot be sent: {error}");
            return Ok(v1::SendProbesResponse { sent, error });
        }
        sent += 1;
    }
    Ok(v1::SendProbesResponse { sent, error: String::new() })
}

/// What follows the UDP header of an IP packet of this size: at least an Ethernet header in a VXLAN header.
fn packet(vni: Vni, size: u32) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or(usize::MAX).clamp(HEADERS + FRAME, 65_535);
    let [_, high, middle, low] = vni.get().to_be_bytes();
    let mut bytes = vec![VNI_FLAG, 0, 0, 0, high, middle, low, 0];
    // To nobody, from nobody: addresses that are locally administered.
    bytes.extend([0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2]);
    bytes.extend(ETHER_TYPE);
    bytes.resize(size - 20 - 8, 0);
    bytes
}

fn vni(number: u32) -> Result<Vni, shoal_proto::FieldError> {
    Vni::try_from(u64::from(number)).map_err(|e| shoal_proto::FieldError::new("vni", e))
}

fn udp_port(number: u32) -> Result<NonZeroU16, shoal_proto::FieldError> {
    let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
    port.ok_or_else(|| shoal_proto::FieldError::new("udp_port", format!("{number} is not a port")))
}

impl From<ReachError> for Status {
    fn from(error: ReachError) -> Self {
        let text = chain(&error);
        match error {
            ReachError::Field(_) => Self::invalid_argument(text),
            ReachError::Device { .. } | ReachError::Socket { .. } => Self::failed_precondition(text),
            ReachError::Netlink(_) => Self::internal(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_as_large_as_asked_and_carries_the_vni() {
        let vni = Vni::try_from(0x0a_0b_0c).unwrap();
        let full = packet(vni, 1500);
        assert_eq!(full.len(), 1500 - 28);
        assert_eq!(&full[..8], [8, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0]);
        assert_eq!(&full[20..22], ETHER_TYPE);
        assert_eq!(packet(vni, 0).len(), 8 + FRAME);
        assert!(packet(vni, u32::MAX).len() < 65_536);
    }
}
