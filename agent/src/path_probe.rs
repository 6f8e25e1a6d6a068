//! Whether tunnel packets arrive: one host tells which have come, others send.
//!
//! ```text
//! sender: UDP socket, DF set --(VXLAN header, VNI of the check; frame from 02:00:MARK)--> INPUT of the receiving host
//!         --> kernel's VXLAN port --> device, which learns: 02:00:MARK is one more row of its forwarding table
//! ```
//! The kernel's own receiver has the port wherever there is a cluster, and a packet socket would see what a firewall drops after
//! it. So the check is one more VXLAN device on the same port, with a VNI of its own: it shares the kernel's socket, and a
//! frame counts once it has come the whole way that frames of clusters come. Nothing is attached to the device, and its
//! frames are of a type that nobody listens for. Every packet has a source address of its own, so what the device has learned
//! is the list of packets that came, whoever sent them.

#![expect(clippy::wildcard_enum_match_arm, reason = "netlink attributes are an open set: only some are read")]

use std::{collections::BTreeSet, io, net::Ipv4Addr, num::NonZeroU16, pin::Pin, time::Duration};

use futures_util::{Stream, TryStreamExt};
use netlink_packet_route::link::LinkAttribute;
use rtnetlink::{Handle, LinkUnspec, LinkVxlan};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use shoal_proto::{FieldError, v1};
use shoal_types::{MacAddr, Vni, chain};
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::{
    mesh::{io_error, learned},
    network::{LinkName, parse},
};

/// How often the device is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often something is told though nothing has come: who hears it knows that nothing came until then.
const BEAT: Duration = Duration::from_millis(100);
/// Longest a device stays, whatever its caller does.
const LIFE: Duration = Duration::from_secs(120);
/// Most packets of one call, and most that a device remembers.
const MAX_PACKETS: usize = 4096;
/// Headers of IPv4, UDP and VXLAN.
const HEADERS: usize = 20 + 8 + 8;
/// An Ethernet header: what is the least inside a tunnel packet.
const FRAME: usize = 14;
/// "Local experimental EtherType 1" (IEEE 802): no host has a handler for it.
const ETHER_TYPE: [u8; 2] = [0x88, 0xb5];
/// Where frames are from, before the mark: an address that is locally administered.
const SOURCE: [u8; 2] = [0x02, 0];
/// Whom frames are to: nobody, by an address of another form than that of any source.
const NOBODY: [u8; 6] = [0x02, 0x01, 0, 0, 0, 1];
/// The flag that says a VNI is there (RFC 7348, section 5).
const VNI_FLAG: u8 = 0x08;

/// Packets as they come.
pub(crate) type Arrivals = Pin<Box<dyn Stream<Item = Result<v1::ReceiveProbesResponse, Status>> + Send>>;

/// Why a check cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    /// A field of the request.
    #[error(transparent)]
    Field(#[from] FieldError),
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

/// Makes the device and tells what reaches it for as long as the stream is read.
pub(crate) async fn receive(
    request: v1::ReceiveProbesRequest,
    tasks: &TaskTracker,
) -> Result<Arrivals, ReachError> {
    let device: LinkName = parse("device", &request.device)?;
    let vni = vni(request.vni)?;
    let local: Ipv4Addr = parse("local", &request.local)?;
    let port = udp_port(request.udp_port)?;
    let (connection, handle, _) = rtnetlink::new_connection().map_err(ReachError::Netlink)?;
    let mut reader = JoinSet::new();
    reader.spawn(connection);
    let index = create(&handle, device.as_str(), vni, local, port).await?;
    let (out, arrivals) = mpsc::channel(4);
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
    Ok(Box::pin(ReceiverStream::new(arrivals)))
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
    let message = LinkVxlan::new(device, vni.get())
        .local(local)
        .port(port.get())
        .learning(true)
        .limit(u32::try_from(MAX_PACKETS).unwrap_or(u32::MAX))
        .build();
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

/// Tells what has come: the first time at once, then whenever something has, and with every beat.
async fn tell(
    handle: &Handle,
    index: u32,
    out: &mpsc::Sender<Result<v1::ReceiveProbesResponse, Status>>,
) -> Result<(), Status> {
    let unread = |error: String| Status::internal(format!("cannot read the check's device: {error}"));
    let (mut counted, mut known, mut last) = (0, BTreeSet::new(), None::<Instant>);
    loop {
        let row = handle.link().get().match_index(index).execute().try_next().await;
        let row = row.map_err(|e| unread(io_error(e).to_string()))?;
        let attributes = row.map(|r| r.attributes).unwrap_or_default();
        let frames = attributes.iter().find_map(|a| match a {
            LinkAttribute::Stats64(stats) => Some(stats.rx_packets),
            _ => None,
        });
        let Some(frames) = frames else {
            return Err(Status::aborted("somebody removed the check's device"));
        };
        let mut marks = Vec::new();
        // A frame is learned before it is counted.
        if frames != counted {
            counted = frames;
            let rows = learned(handle, index).await;
            let rows = rows.map_err(|e| unread(chain(&e)))?;
            marks.extend(rows.into_iter().filter_map(mark).filter(|mark| known.insert(*mark)));
        }
        if !marks.is_empty() || last.is_none_or(|last| last.elapsed() >= BEAT) {
            last = Some(Instant::now());
            if out.send(Ok(v1::ReceiveProbesResponse { marks })).await.is_err() {
                return Ok(());
            }
        }
        sleep(LOOK).await;
    }
}

/// Sends what each target is to be sent; the kernel's first refusal ends it for that target.
pub(crate) async fn send(request: v1::SendProbesRequest) -> Result<v1::SendProbesResponse, ReachError> {
    let local: Ipv4Addr = parse("local", &request.local)?;
    let port = udp_port(request.udp_port)?;
    let vni = vni(request.vni)?;
    let remotes = request.targets.iter().map(|target| parse("targets.remote", &target.remote));
    let remotes: Vec<Ipv4Addr> = remotes.collect::<Result<_, _>>()?;
    let packets: usize = request.targets.iter().map(|target| target.packets.len()).sum();
    if packets > MAX_PACKETS {
        return Err(
            FieldError::new("targets.packets", format!("{packets} are more than {MAX_PACKETS}")).into()
        );
    }
    let fault = |source| ReachError::Socket { local, source };
    let socket = UdpSocket::bind((local, 0)).await.map_err(fault)?;
    // Set, and never mind what an earlier packet has learned: this is to find out.
    set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE).map_err(|errno| fault(errno.into()))?;
    let mut targets = Vec::with_capacity(remotes.len());
    for (remote, target) in remotes.into_iter().zip(request.targets) {
        let mut done = v1::ProbesSent::default();
        for v1::ProbePacket { mark, size } in target.packets {
            if let Err(error) = socket.send_to(&packet(vni, mark, size), (remote, port.get())).await {
                done.error = format!("a packet of {size} bytes cannot be sent: {error}");
                break;
            }
            done.sent += 1;
        }
        targets.push(done);
    }
    Ok(v1::SendProbesResponse { targets })
}

/// What follows the UDP header of an IP packet of this size: at least an Ethernet header in a VXLAN header.
fn packet(vni: Vni, mark: u32, size: u32) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or(usize::MAX).clamp(HEADERS + FRAME, 65_535);
    let [_, high, middle, low] = vni.get().to_be_bytes();
    let mut bytes = vec![VNI_FLAG, 0, 0, 0, high, middle, low, 0];
    bytes.extend(NOBODY);
    bytes.extend(SOURCE);
    bytes.extend(mark.to_be_bytes());
    bytes.extend(ETHER_TYPE);
    bytes.resize(size - 20 - 8, 0);
    bytes
}

/// The mark of a packet whose frame is from this address.
fn mark(source: MacAddr) -> Option<u32> {
    let MacAddr([high, low, mark @ ..]) = source;
    ([high, low] == SOURCE).then(|| u32::from_be_bytes(mark))
}

fn vni(number: u32) -> Result<Vni, FieldError> {
    Vni::try_from(u64::from(number)).map_err(|e| FieldError::new("vni", e))
}

fn udp_port(number: u32) -> Result<NonZeroU16, FieldError> {
    let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
    port.ok_or_else(|| FieldError::new("udp_port", format!("{number} is not a port")))
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
    fn a_packet_is_as_large_as_asked_and_carries_vni_and_mark() {
        let vni = Vni::try_from(0x0a_0b_0c).unwrap();
        let full = packet(vni, 0x01_02_03_04, 1500);
        assert_eq!(full.len(), 1500 - 28);
        assert_eq!(&full[..8], [8, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0]);
        assert_eq!(&full[20..22], ETHER_TYPE);
        assert_eq!(packet(vni, 0, 0).len(), 8 + FRAME);
        assert!(packet(vni, 0, u32::MAX).len() < 65_536);
        let source = MacAddr(full[14..20].try_into().unwrap());
        assert_eq!(mark(source), Some(0x01_02_03_04));
        // A node's, and the address that no packet is from.
        assert_eq!(mark(MacAddr::of(Ipv4Addr::new(10, 96, 0, 2))), None);
        assert_eq!(mark(MacAddr(NOBODY)), None);
    }
}
