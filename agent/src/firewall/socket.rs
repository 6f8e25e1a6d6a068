//! A netlink socket to nf_tables: batches that are carried out whole or not at all, and dumps.
//!
//! The kernel works within `send`: when it returns, every answer waits on the socket, so nothing here waits.

#![expect(clippy::wildcard_enum_match_arm, reason = "kinds of netlink messages are an open set")]

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
        socket, sockopt::SndBufForce,
    },
};

use super::{
    FirewallError,
    wire::{Message, Told},
};

/// Larger than any message of the kernel's (NLMSG_GOODSIZE, and 32 KiB of a dump).
const BUFFER: usize = 1 << 16;
/// A batch of this size passes with the buffer a socket has by default.
const SMALL: usize = 1 << 16;

/// What the kernel answers to one message.
type Heard = NetlinkMessage<Told>;

/// A socket, for one exchange after the other.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// # Errors
    /// [`FirewallError::Unsupported`]: the kernel knows no such family.
    pub(super) fn open() -> Result<Self, FirewallError> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let refused = |errno| failure("open a netlink socket", errno);
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)
            .map_err(refused)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(refused)?;
        Ok(Self(fd))
    }

    /// The number of the ruleset as it is now.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub(super) fn generation(&self) -> Result<u32, FirewallError> {
        self.send(&[Message::GetGeneration])?;
        let told = self.receive()?.into_iter().next().map(|heard| heard.payload);
        let silent = || failure("read the ruleset's number", Errno::EPROTO);
        match told {
            Some(NetlinkPayload::InnerMessage(told)) => told.generation().ok_or_else(silent),
            Some(NetlinkPayload::Error(error)) => {
                Err(FirewallError::of("read the ruleset's number", error.to_io()))
            }
            Some(_) | None => Err(silent()),
        }
    }

    /// Carries out a batch: all of it, or nothing if one message is refused. Without [`Message::End`] nothing in any case.
    ///
    /// # Errors
    /// [`FirewallError::Raced`]: the ruleset is of another generation than the batch. [`FirewallError`]: the first refusal.
    pub(super) fn transact(&self, batch: &[Message]) -> Result<(), FirewallError> {
        self.send(batch)?;
        let mut missing = batch.iter().filter(|m| m.is_acknowledged()).count();
        while missing > 0 {
            for heard in self.receive()? {
                let NetlinkPayload::Error(answer) = heard.payload else { continue };
                if answer.code.is_none() {
                    missing = missing.saturating_sub(1);
                    continue;
                }
                let place = usize::try_from(heard.header.sequence_number).unwrap_or(usize::MAX);
                let action = batch.get(place).map_or("begin a change", Message::action);
                return Err(FirewallError::of(action, answer.to_io()));
            }
        }
        Ok(())
    }

    /// Everything the kernel tells in answer; nothing of a table that is not there.
    ///
    /// # Errors
    /// [`FirewallError`].
    pub(super) fn dump(&self, message: Message) -> Result<Vec<Told>, FirewallError> {
        let action = message.action();
        self.send(&[message])?;
        let mut all = Vec::new();
        loop {
            for heard in self.receive()? {
                match heard.payload {
                    NetlinkPayload::InnerMessage(told) => all.push(told),
                    NetlinkPayload::Done(_) => return Ok(all),
                    NetlinkPayload::Error(error) if error.to_io().kind() == io::ErrorKind::NotFound => {
                        return Ok(all);
                    }
                    NetlinkPayload::Error(error) => return Err(FirewallError::of(action, error.to_io())),
                    _ => {}
                }
            }
        }
    }

    /// Each message has its place as its number.
    fn send(&self, messages: &[Message]) -> Result<(), FirewallError> {
        let mut bytes = Vec::new();
        for (place, message) in (0..).zip(messages) {
            let mut header = NetlinkHeader::default();
            (header.flags, header.sequence_number) = (message.flags(), place);
            let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message.clone()));
            message.finalize();
            let begin = bytes.len();
            bytes.resize(begin + message.buffer_len(), 0);
            message.serialize(&mut bytes[begin..]);
        }
        let refused = |errno| failure("send a change", errno);
        if bytes.len() > SMALL {
            setsockopt(&self.0, SndBufForce, &(2 * bytes.len())).map_err(refused)?;
        }
        send(self.0.as_raw_fd(), &bytes, MsgFlags::empty()).map(drop).map_err(refused)
    }

    /// The messages of one datagram.
    fn receive(&self) -> Result<Vec<Heard>, FirewallError> {
        let mut buffer = vec![0; BUFFER];
        let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty());
        buffer.truncate(length.map_err(|errno| failure("read an answer", errno))?);
        let mut messages = Vec::new();
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let unreadable = |_| failure("read an answer", Errno::EBADMSG);
            let heard = Heard::deserialize(rest).map_err(unreadable)?;
            let length = usize::try_from(heard.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
            messages.push(heard);
        }
        Ok(messages)
    }
}

fn failure(action: &'static str, errno: Errno) -> FirewallError {
    FirewallError::of(action, errno.into())
}
