//! nftables without a binary: which tables a namespace has, and somebody who deletes one.

use std::os::fd::AsRawFd;

use anyhow::{Context, ensure};
use netlink_packet_core::{NetlinkBuffer, NlasIterator};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use crate::lab::Namespace;

const NFTABLES: u16 = 10;
const IPV4: u8 = 2;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;

/// `nft list tables`: names, in order.
pub(crate) fn tables(namespace: &Namespace) -> anyhow::Result<Vec<String>> {
    let request = message(NFTABLES << 8 | 1, REQUEST | DUMP, [0; 4], None)?;
    let mut tables = Vec::new();
    ask(namespace, &request, |kind, payload| match kind {
        3 => Ok(true),
        2 => anyhow::bail!("the kernel refused"),
        _ => {
            let name = NlasIterator::new(&payload[4..]).flatten().find(|nla| nla.kind() == 1);
            let name = name.context("a table without a name")?.value().to_vec();
            tables.push(String::from_utf8(name)?.trim_end_matches('\0').to_owned());
            Ok(false)
        }
    })?;
    tables.sort_unstable();
    Ok(tables)
}

/// `nft delete table ip NAME`
pub(crate) fn delete(namespace: &Namespace, table: &str) -> anyhow::Result<()> {
    let bracket = |kind| message(kind, REQUEST, [0, 0, 0, 10], None);
    let delete = message(NFTABLES << 8 | 2, REQUEST | ACK, [IPV4, 0, 0, 0], Some(table))?;
    ask(namespace, &[bracket(0x10)?, delete, bracket(0x11)?].concat(), |_, payload| {
        ensure!(payload[..4] == [0; 4], "the kernel refused: {:?}", &payload[..4]);
        Ok(true)
    })
}

fn message(kind: u16, flags: u16, head: [u8; 4], name: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let mut payload = head.to_vec();
    if let Some(name) = name {
        let length = u16::try_from(4 + name.len() + 1)?;
        payload.extend(length.to_ne_bytes());
        payload.extend(1_u16.to_ne_bytes());
        payload.extend(name.bytes());
        payload.push(0);
        payload.resize(payload.len().next_multiple_of(4), 0);
    }
    let length = u32::try_from(16 + payload.len())?;
    let header = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8]].concat();
    Ok([header, payload].concat())
}

/// Gives every answer to `read` until it has enough.
fn ask(
    namespace: &Namespace,
    request: &[u8],
    mut read: impl FnMut(u16, &[u8]) -> anyhow::Result<bool> + Send,
) -> anyhow::Result<()> {
    namespace.enter(|| {
        let fd =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), SockProtocol::NetlinkNetFilter)?;
        send(fd.as_raw_fd(), request, MsgFlags::empty())?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut rest = &buffer[..length];
            while !rest.is_empty() {
                let message = NetlinkBuffer::new_checked(rest)?;
                if read(message.message_type(), message.payload())? {
                    return Ok(());
                }
                let length = usize::try_from(message.length())?.next_multiple_of(4);
                rest = rest.get(length..).unwrap_or_default();
            }
        }
    })
}
