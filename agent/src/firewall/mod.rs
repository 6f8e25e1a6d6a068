//! The filter of tunnel packets: one nftables table per installation, so that no node and no stranger sends frames into a network.
//!
//! ```text
//!   networks that are kept --> rules (pure) --> batch: the table deleted and made again, in one step
//!   generation of the ruleset, rules and keys as they were then <--'
//!                    |
//!   somebody changed some table --> generation differs --> rules or keys differ --> batch
//! ```
//!
//! The kernel takes a tunnel packet from anybody: a VXLAN device that does not learn compares the sender with nothing. The table
//! belongs to nobody's socket and stays while the agent is away. Tables of others, Docker's among them, are not touched.

mod events;
mod leftover;
mod rules;
mod socket;
mod wire;

use std::{collections::HashMap, io, net::Ipv4Addr, sync::Arc};

use nix::errno::Errno;
use shoal_types::{InstallationId, chain};

pub(crate) use events::Changes;
use rules::{Ruleset, Set, Table};
use socket::Socket;
use wire::{Message, Told};

use crate::network::Network;

/// How often a write is tried while others change their tables at the same time.
const RACES: usize = 32;

/// Why tunnel packets are not filtered.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FirewallError {
    /// The kernel has no nf_tables, or lacks a part of it.
    #[error("the kernel cannot filter tunnel packets: cannot {action}")]
    Unsupported { action: &'static str, source: Arc<io::Error> },
    /// The kernel refused.
    #[error("cannot filter tunnel packets: cannot {action}")]
    Kernel { action: &'static str, source: Arc<io::Error> },
    /// The agent ends.
    #[error("cannot filter tunnel packets: the agent is stopping")]
    Stopping,
    /// The ruleset was changed while it was looked at.
    #[error("cannot filter tunnel packets: other programs change the ruleset all the time")]
    Raced,
}

impl FirewallError {
    /// The kernel's answer; messages are always the same, so that one it does not understand is beyond it.
    fn of(action: &'static str, error: io::Error) -> Self {
        const UNKNOWN: [Errno; 6] = [
            Errno::EPROTONOSUPPORT,
            Errno::EAFNOSUPPORT,
            Errno::ESOCKTNOSUPPORT,
            Errno::EOPNOTSUPP,
            Errno::EINVAL,
            Errno::ENOENT,
        ];
        let errno = error.raw_os_error().map(Errno::from_raw);
        let source = Arc::new(error);
        match errno {
            Some(Errno::ERESTART) => Self::Raced,
            Some(errno) if UNKNOWN.contains(&errno) => Self::Unsupported { action, source },
            Some(_) | None => Self::Kernel { action, source },
        }
    }
}

impl Message {
    /// Whether the kernel answers it by itself.
    fn is_acknowledged(&self) -> bool {
        self.flags() & netlink_packet_core::NLM_F_ACK != 0
    }

    /// Completes "cannot ...".
    fn action(&self) -> &'static str {
        match self {
            Self::Begin(_) | Self::End => "begin a change",
            Self::AddTable(_) => "make a table",
            Self::DeleteTable(_) => "delete a table",
            Self::AddChain(..) => "make a chain",
            Self::AddSet(..) => "make a set",
            Self::AddKeys(..) => "fill a set",
            Self::AddRule(..) => "make a rule",
            Self::GetGeneration => "read the ruleset's number",
            Self::GetRules(_) => "list rules",
            Self::GetKeys(..) => "list a set",
        }
    }
}

/// The tables of this host's installations, as they were written.
#[derive(Debug, Default)]
pub(crate) struct Firewall {
    written: HashMap<InstallationId, Written>,
}

/// A table that was written.
#[derive(Debug)]
struct Written {
    rules: Ruleset,
    /// Of the whole ruleset, when the table was last seen to be as it was written.
    generation: u32,
    /// What the kernel told of it then. A rule has a number that no rule of the table had before.
    image: Vec<Vec<u8>>,
}

impl Firewall {
    /// Makes the installation's table the one that protects `networks`, all that are kept of it; true if it was not.
    ///
    /// # Errors
    /// [`FirewallError`]; the table is as it was.
    pub(crate) fn keep<'a>(
        &mut self,
        installation: &InstallationId,
        networks: impl IntoIterator<Item = &'a Network>,
    ) -> Result<bool, FirewallError> {
        let (table, rules) = (Table::of(installation), Ruleset::of(installation, networks));
        let socket = Socket::open()?;
        let mut generation = socket.generation()?;
        if let Some(written) = self.written.get_mut(installation).filter(|w| w.rules == rules) {
            if written.generation == generation {
                return Ok(false);
            }
            if written.image == image(&socket, &table)? {
                written.generation = generation;
                return Ok(false);
            }
        }
        for _ in 0..RACES {
            match socket.transact(&batch(generation, rules.replace(&table))) {
                Err(FirewallError::Raced) => {}
                answer => answer?,
            }
            let image = image(&socket, &table)?;
            let after = socket.generation()?;
            // Nobody else's change is in what was seen.
            if after == next(generation) {
                tracing::info!(table = table.as_str(), "tunnel packets are filtered");
                self.written.insert(installation.clone(), Written { rules, generation: after, image });
                return Ok(true);
            }
            generation = after;
        }
        Err(FirewallError::Raced)
    }

    /// Deletes the installation's table, if it is there.
    ///
    /// # Errors
    /// [`FirewallError::Kernel`]. A kernel that has no tables has nothing to delete.
    pub(crate) fn remove(&mut self, installation: &InstallationId) -> Result<(), FirewallError> {
        self.written.remove(installation);
        let delete = || {
            let socket = Socket::open()?;
            socket.transact(&[Message::Begin(0), Message::DeleteTable(Table::of(installation)), Message::End])
        };
        match delete() {
            Ok(()) | Err(FirewallError::Unsupported { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Why this kernel cannot filter tunnel packets, if it cannot: a whole table is tried, in a batch that is never carried out.
pub(crate) fn fault() -> Option<String> {
    let trial = || {
        let mut batch = batch(0, Ruleset::sample().replace(&Table::trial()));
        batch.pop();
        Socket::open()?.transact(&batch)
    };
    trial().err().map(|error: FirewallError| chain(&error))
}

/// Address -> device of every rule of an engine that drops packets to the address unless they come by the device. A kernel without
/// tables has none, and what cannot be asked is not told.
pub(crate) fn guarded() -> Vec<(Ipv4Addr, String)> {
    leftover::guarded().unwrap_or_else(|error| {
        tracing::debug!(error = chain(&error), "rules of others are not known");
        vec![]
    })
}

fn batch(generation: u32, messages: Vec<Message>) -> Vec<Message> {
    [vec![Message::Begin(generation)], messages, vec![Message::End]].concat()
}

/// Rules in their order, then the elements of each set, which have none.
fn image(socket: &Socket, table: &Table) -> Result<Vec<Vec<u8>>, FirewallError> {
    let mut image: Vec<_> =
        socket.dump(Message::GetRules(table.clone()))?.into_iter().map(|told| told.0).collect();
    for set in Set::ALL {
        let told = socket.dump(Message::GetKeys(table.clone(), set))?;
        let mut elements: Vec<_> = told.iter().flat_map(Told::elements).collect();
        elements.sort_unstable();
        image.extend(elements);
    }
    Ok(image)
}

/// Zero is no generation.
fn next(generation: u32) -> u32 {
    generation.checked_add(1).unwrap_or(1)
}
