//! What the table of an installation holds: pure.
//!
//! ```text
//! chain input    not to the tunnel port: accept
//!                from a bridge of ours, to the tunnel port: drop
//!                to the tunnel port, VNI of ours, not from a host that shares that network: drop
//! chain forward  not to the tunnel port: accept
//!                from a bridge of ours to a bridge of ours: accept
//!                from a bridge of ours, to the tunnel port: drop
//!                to the tunnel port, VNI of ours, not from a host that shares that network: drop
//! chain output   from a process that is not root's, to the tunnel port, VNI of ours: drop
//! ```
//!
//! A node reaches the port of its own host by its gateway and by every other address of the host (input), and the port of other
//! hosts through its host, which gives the packet the host's own address on the way (forward). What another bridge of the host
//! forwards, such as `docker0`, is no tunnel packet either: it has the address of a container as long as it is in that chain.
//! Tunnel packets of the kernel itself leave by the output chain and belong to no process.
//!
//! A VNI of others is left to others: two installations share a host and the port, and each knows its own members only.

use std::{collections::BTreeSet, net::Ipv4Addr, num::NonZeroU16};

use shoal_types::{InstallationId, Vni};

use super::wire::{KEYS, Message};
use crate::network::{Network, Place};

/// Protocol number of UDP (RFC 768).
const UDP: u8 = 17;

/// Name of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table(String);

impl Table {
    /// The table of this installation.
    pub(super) fn of(installation: &InstallationId) -> Self {
        Self(format!("shoal_{installation}"))
    }

    /// The table that is tried and never made.
    pub(super) fn trial() -> Self {
        Self("shoal_trial".into())
    }

    /// The one that iptables calls `raw`.
    pub(super) fn raw() -> Self {
        Self("raw".into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A chain at a hook of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// Packets for this host.
    Input,
    /// Packets that pass through.
    Forward,
    /// Packets of this host.
    Output,
}

impl Chain {
    pub(super) const ALL: [Self; 3] = [Self::Input, Self::Forward, Self::Output];
    /// `NF_IP_PRI_RAW`: before the chains of others. A packet that is dropped here is seen by nobody else.
    pub(super) const PRIORITY: i32 = -300;

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
        }
    }

    /// `enum nf_inet_hooks`.
    pub(super) fn hook(self) -> u32 {
        match self {
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
        }
    }
}

/// A set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    /// VNIs of the installation's networks on this host.
    Vnis,
    /// Underlay addresses of hosts, each with the VNI of a network that the host is a member of.
    Peers,
}

impl Set {
    pub(super) const ALL: [Self; 2] = [Self::Vnis, Self::Peers];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Vnis => "vnis",
            Self::Peers => "peers",
        }
    }

    /// Its number within a batch.
    pub(super) fn id(self) -> u32 {
        match self {
            Self::Vnis => 1,
            Self::Peers => 2,
        }
    }

    /// How `nft` shows keys: a mark, and an address with a mark (six bits for each type but the first).
    pub(super) fn key_type(self) -> u32 {
        const ADDRESS: u32 = 7;
        const MARK: u32 = 19;
        match self {
            Self::Vnis => MARK,
            Self::Peers => ADDRESS << 6 | MARK,
        }
    }

    /// In bytes.
    pub(super) fn key_length(self) -> u32 {
        match self {
            Self::Vnis => 4,
            Self::Peers => 8,
        }
    }
}

/// What is read of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Name of the device it came in by.
    InputName,
    /// Name of the device it leaves by.
    OutputName,
    Protocol,
    /// User of the socket it is from. A packet without one ends the rule.
    User,
    Source,
    /// Destination port.
    UdpPort,
    Vni,
    /// With the reserved byte behind it, which is 0 in what our devices send: the kernel reads four bytes faster than three.
    PaddedVni,
}

/// A step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Load(Field),
    /// Behind the last one, for a key of two parts.
    LoadNext(Field),
    /// What was loaded begins with this; the rule ends otherwise.
    Is(Vec<u8>),
    IsNot(Vec<u8>),
    In(Set),
    End(Verdict),
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Of these chains; others may still drop it.
    Accept,
    Drop,
}

/// The content of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ruleset {
    /// What names of bridges begin with.
    bridges: BTreeSet<String>,
    ports: BTreeSet<NonZeroU16>,
    vnis: BTreeSet<Vni>,
    peers: BTreeSet<(Ipv4Addr, Vni)>,
}

impl Ruleset {
    /// What protects these networks, all of `installation`.
    pub(super) fn of<'a>(
        installation: &InstallationId,
        networks: impl IntoIterator<Item = &'a Network>,
    ) -> Self {
        let mut rules = Self::default();
        for network in networks {
            // Every bridge of the installation, also one whose network is not told yet.
            let bridge = network.bridge.as_str();
            let prefix = bridge.get(..2 + installation.as_str().len()).unwrap_or(bridge);
            rules.bridges.insert(prefix.to_owned());
            rules.ports.insert(network.udp_port);
            rules.vnis.insert(network.vni);
            rules.peers.extend(network.members.iter().filter_map(|member| match member.place {
                Place::Local(_) => None,
                Place::Remote(host) => Some((host, network.vni)),
            }));
        }
        rules
    }

    /// Everything a table can hold, for a trial.
    pub(super) fn sample() -> Self {
        let vni = Vni::try_from(1).into_iter();
        Self {
            bridges: ["sb000000".to_owned()].into(),
            ports: [NonZeroU16::MIN].into(),
            peers: vni.clone().map(|vni| (Ipv4Addr::LOCALHOST, vni)).collect(),
            vnis: vni.collect(),
        }
    }

    /// What makes the table this, whatever it was.
    pub(super) fn replace(&self, table: &Table) -> Vec<Message> {
        // To delete a table that is not there fails, to add one that is there does not.
        let mut messages = vec![
            Message::AddTable(table.clone()),
            Message::DeleteTable(table.clone()),
            Message::AddTable(table.clone()),
        ];
        for set in Set::ALL {
            let keys = self.keys(set);
            // A set of a known size is a table of buckets, and one without is a table that grows, which is slower to look into.
            let size = u32::try_from(keys.len()).unwrap_or(u32::MAX).max(1);
            messages.push(Message::AddSet(table.clone(), set, size));
            messages
                .extend(keys.chunks(KEYS).map(|keys| Message::AddKeys(table.clone(), set, keys.to_vec())));
        }
        messages.extend(Chain::ALL.map(|chain| Message::AddChain(table.clone(), chain)));
        messages.extend(
            self.rules().into_iter().map(|(chain, rule)| Message::AddRule(table.clone(), chain, rule)),
        );
        messages
    }

    fn keys(&self, set: Set) -> Vec<Vec<u8>> {
        match set {
            Set::Vnis => self.vnis.iter().map(|vni| key(*vni).to_vec()).collect(),
            Set::Peers => self.peers.iter().map(|(host, vni)| [host.octets(), key(*vni)].concat()).collect(),
        }
    }

    fn rules(&self) -> Vec<(Chain, Vec<Expression>)> {
        use Expression::{End, In, Is, IsNot, Load, LoadNext};
        let mut rules = Vec::new();
        // Most packets are no tunnel's, and those of nodes pass the forward chain in each bridge, too, on a host that has its
        // bridges' packets filtered: they end here, for one comparison that the kernel does in line.
        let mut ports = self.ports.iter();
        if let (Some(port), None) = (ports.next(), ports.next()) {
            let other =
                vec![Load(Field::UdpPort), IsNot(port.get().to_be_bytes().to_vec()), End(Verdict::Accept)];
            rules.extend([Chain::Input, Chain::Forward].map(|chain| (chain, other.clone())));
        }
        for bridge in &self.bridges {
            let ours = |name| [Load(name), Is(bridge.clone().into_bytes())];
            let between = [ours(Field::InputName), ours(Field::OutputName)].concat();
            rules.push((Chain::Forward, [between, vec![End(Verdict::Accept)]].concat()));
        }
        for port in &self.ports {
            let to_port = [
                Load(Field::Protocol),
                Is(vec![UDP]),
                Load(Field::UdpPort),
                Is(port.get().to_be_bytes().to_vec()),
            ];
            for chain in [Chain::Input, Chain::Forward] {
                for bridge in &self.bridges {
                    let mut rule = vec![Load(Field::InputName), Is(bridge.clone().into_bytes())];
                    rule.extend(to_port.clone());
                    rule.push(End(Verdict::Drop));
                    rules.push((chain, rule));
                }
                // Two rules: what is a tunnel's ends after one look into a set. To accept is to leave it to others, so any port may.
                let known = vec![
                    Load(Field::Source),
                    LoadNext(Field::PaddedVni),
                    In(Set::Peers),
                    End(Verdict::Accept),
                ];
                rules.push((chain, known));
                let ours = [Load(Field::Vni), In(Set::Vnis), End(Verdict::Drop)];
                rules.push((chain, [to_port.as_slice(), &ours].concat()));
            }
            // First who it is from: a tunnel's packets are nobody's, and the rule ends there.
            let of_users = [Load(Field::User), IsNot(0_u32.to_ne_bytes().to_vec())];
            let ours = [Load(Field::Vni), In(Set::Vnis), End(Verdict::Drop)];
            rules.push((Chain::Output, [of_users.as_slice(), &to_port, &ours].concat()));
        }
        rules
    }
}

/// A VNI as a packet has it, in a register of four bytes.
fn key(vni: Vni) -> [u8; 4] {
    let [_, high, middle, low] = vni.get().to_be_bytes();
    [high, middle, low, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Member, tests::network};

    #[test]
    fn hosts_are_known_by_network() {
        let mut other = network();
        other.vni = Vni::try_from(0x0a_0b_0c).unwrap();
        other.members =
            vec![Member { place: Place::Remote([10, 77, 0, 9].into()), ..other.members[0].clone() }];
        let first = network();
        let rules = Ruleset::of(&first.installation, [&first, &other]);
        assert_eq!(rules.keys(Set::Vnis), [key(first.vni).to_vec(), vec![0x0a, 0x0b, 0x0c, 0]]);
        let keys = rules.keys(Set::Peers);
        assert!(keys.contains(&vec![10, 77, 0, 9, 0x0a, 0x0b, 0x0c, 0]), "{keys:?}");
        // A host is no member of a network for being one of another.
        let elsewhere = keys.iter().filter(|k| k[..4] == [10, 77, 0, 9]).count();
        assert_eq!(elsewhere, 1, "{keys:?}");
        assert_eq!(rules.bridges.len(), 1, "one prefix for all bridges: {:?}", rules.bridges);
    }

    #[test]
    fn many_keys_go_in_several_messages() {
        let peers = |count: u32| (0..count).map(|n| (Ipv4Addr::from(n), Vni::try_from(7).unwrap())).collect();
        let messages = |count| {
            let rules = Ruleset { peers: peers(count), ..Ruleset::default() };
            let messages = rules.replace(&Table::trial());
            messages.into_iter().filter(|m| matches!(m, Message::AddKeys(..))).count()
        };
        assert_eq!((messages(0), messages(2000), messages(4001)), (0, 1, 3));
    }
}
