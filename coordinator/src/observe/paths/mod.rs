//! Whether tunnel packets arrive between hosts: small ones and of full size with "don't fragment", on every way at once.
//!
//! ```text
//! probe.rs  every host opens a device --> every host sends to the others --> every host tells what came
//! way.rs                                         ^                                |            '--> judge.rs: what it means
//!                                                '--- once more, with smaller ----' ways on which nothing came
//!                                                     sizes, too
//! ```
//! Every packet has a mark of its own, so a host need not know who sent it (the agent's `path_probe.rs`). A packet is lost if its
//! receiver has spoken again after half a second without naming it: a host that says nothing has lost nothing. Hosts send to
//! their neighbours in turn, so that no host is sent to by all others at the same moment. More than 32 hosts
//! are tried in groups, each host in one of them.

mod judge;
mod probe;
mod way;

use std::{net::Ipv4Addr, sync::Arc};

use shoal_types::{HostId, HostName, Vni};

use crate::fleet::HostLink;

pub(crate) use self::{
    judge::verdict,
    probe::{Sampled, probe},
    way::Way,
};

/// One end of the ways that are tried.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) id: HostId,
    pub(crate) name: HostName,
    /// Underlay address.
    pub(crate) address: Ipv4Addr,
    /// Largest IP packet it is to carry, in bytes.
    pub(crate) mtu: u32,
    pub(crate) link: Arc<HostLink>,
    /// Those in use there.
    pub(crate) vnis: Vec<Vni>,
}
