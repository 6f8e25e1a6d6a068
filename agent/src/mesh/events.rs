//! Netlink events: another program changed a device, entry or neighbour of the agent's.
//!
//! An event says only "look again". Those of other devices, and those of neighbours that come and go by themselves, are
//! left out, so that a busy host does not keep the agent busy.

#![expect(clippy::wildcard_enum_match_arm, reason = "netlink attributes are an open set: only some are read")]

use std::{collections::BTreeSet, io};

use futures_util::{StreamExt, stream::BoxStream};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage},
    neighbour::{NeighbourMessage, NeighbourState},
};
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::task::AbortHandle;

/// What a pass looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    /// Names of bridges and devices.
    pub(crate) names: BTreeSet<String>,
    /// Their indexes, of those that exist.
    pub(crate) indexes: BTreeSet<u32>,
}

/// A subscription to the kernel's changes of links, neighbours and addresses. Ends when dropped.
pub(crate) struct Events {
    messages: BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>,
    reader: AbortHandle,
}

impl Events {
    /// Subscribes, in the namespace of the calling thread.
    ///
    /// # Errors
    /// The socket could not be opened.
    pub(crate) fn subscribe() -> io::Result<Self> {
        let groups = [MulticastGroup::Link, MulticastGroup::Neigh, MulticastGroup::Ipv4Ifaddr];
        let (connection, _, messages) = new_multicast_connection(&groups)?;
        let messages = messages.map(|(message, _)| message).boxed();
        Ok(Self { messages, reader: tokio::spawn(connection).abort_handle() })
    }

    /// Waits for a change of something in `interest`; events that were missed count as one. `None`: the socket is gone.
    pub(crate) async fn next(&mut self, interest: &Interest) -> Option<()> {
        loop {
            let message = self.messages.next().await?;
            if concerns(&message, interest) {
                return Some(());
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn concerns(message: &NetlinkMessage<RouteNetlinkMessage>, interest: &Interest) -> bool {
    use RouteNetlinkMessage as M;
    match &message.payload {
        NetlinkPayload::InnerMessage(inner) => match inner {
            M::NewLink(link) | M::DelLink(link) => concerns_link(link, interest),
            M::NewNeighbour(row) => {
                // One that was learned is none of ours.
                interest.indexes.contains(&row.header.ifindex) && is_fixed(row)
            }
            M::DelNeighbour(row) => interest.indexes.contains(&row.header.ifindex) && is_fixed_or_dead(row),
            M::NewAddress(_) | M::DelAddress(_) => true,
            _ => false,
        },
        NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

fn concerns_link(link: &LinkMessage, interest: &Interest) -> bool {
    interest.indexes.contains(&link.header.index)
        || link.attributes.iter().any(|a| matches!(a, LinkAttribute::IfName(n) if interest.names.contains(n)))
}

fn is_fixed(row: &NeighbourMessage) -> bool {
    let dynamic = [
        NeighbourState::Incomplete,
        NeighbourState::Reachable,
        NeighbourState::Stale,
        NeighbourState::Delay,
        NeighbourState::Probe,
        NeighbourState::Failed,
    ];
    row.header.family == AddressFamily::Bridge || !dynamic.contains(&row.header.state)
}

/// A permanent neighbour that is deleted is reported as failed.
fn is_fixed_or_dead(row: &NeighbourMessage) -> bool {
    is_fixed(row) || row.header.state == NeighbourState::Failed
}
