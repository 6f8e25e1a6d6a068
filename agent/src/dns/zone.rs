//! The names of one network: pure.
//!
//! | asked | answer |
//! |---|---|
//! | `<node>.<cluster>.<realm>.shoal.internal` | A |
//! | `<node>`, `<node>.<cluster>` as they stand | A: what a search list would have made of them |
//! | `_<service>._<protocol>.<cluster>.<realm>.shoal.internal`, also `_<service>._<protocol>` | SRV, and A of the targets |
//! | `<reversed address>.in-addr.arpa` of the subnet | PTR to the full name |
//! | other names below `shoal.internal`, other names of one label, other addresses of the subnet | no such name |
//! | everything else | elsewhere |
//!
//! A cluster's network answers for its own cluster only: other clusters cannot be reached from it, so their names are no
//! use there. Names below `shoal.internal` and of one label never leave the host: nobody outside knows them, and a search list
//! would ask a dead resolver for each. A word of two labels that is not a node's is elsewhere, as a cluster may be
//! named like a top-level domain.

use std::{
    collections::{BTreeSet, HashMap},
    net::Ipv4Addr,
};

use hickory_proto::{
    ProtoError,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, PTR, SOA, SRV},
    },
};
use ipnet::Ipv4Net;

use crate::network::{Domain, Network};

/// How long an answer may be remembered: a name moves never, but comes and goes with its node.
const TTL_SECONDS: u32 = 5;
/// Refresh, retry and expiry of the SOA record in seconds; no secondary server exists to use them.
const SOA_TIMES: [i32; 3] = [3600, 600, 86_400];

/// The names of a network.
#[derive(Debug)]
pub(super) struct Zone {
    domain: Domain,
    /// `<cluster>.<realm>.shoal.internal.`
    origin: Name,
    /// `shoal.internal.`
    top: Name,
    subnet: Ipv4Net,
    serial: u32,
    nodes: HashMap<String, Host>,
    pointers: HashMap<Ipv4Addr, Name>,
    /// Service and protocol to targets, in order of preference.
    services: HashMap<[String; 2], Vec<(Host, u16)>>,
    /// The second label of services.
    protocols: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Host {
    name: Name,
    address: Ipv4Addr,
}

/// What the zone says to a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// The records asked for, and addresses of what they point to.
    Records { answers: Vec<Record>, additionals: Vec<Record> },
    /// The name exists, with no record of the type.
    NoData(Option<Record>),
    /// The name does not exist.
    NoName(Option<Record>),
    /// The network does not know; others may.
    Elsewhere,
}

/// What a name is.
enum Spot<'a> {
    Node(&'a Host),
    Service(&'a [(Host, u16)]),
    Pointer(&'a Name),
    Apex,
    /// A name without records that has names below it.
    Inner,
    Nobody,
    Elsewhere,
}

/// Whose SOA record goes with a negative answer (RFC 2308 section 3): that of a zone the name is in.
enum Authority {
    Cluster,
    Top,
    /// The /24 around an address.
    Reverse(Ipv4Addr),
    /// The name stands alone.
    None,
}

impl Zone {
    /// The zone of a network.
    ///
    /// # Errors
    /// A name does not fit the DNS; checked names do.
    pub(super) fn new(network: &Network) -> Result<Self, ProtoError> {
        let domain = network.domain.clone();
        let origin = Name::from_ascii(format!("{domain}."))?;
        let mut nodes = HashMap::new();
        for member in &network.members {
            let name = origin.clone().prepend_label(member.name.as_str())?;
            nodes.insert(member.name.to_string(), Host { name, address: member.address });
        }
        let mut services = HashMap::<_, Vec<_>>::new();
        for service in &network.services {
            if let Some(host) = nodes.get(service.target.as_str()) {
                let key = service.name.labels().map(str::to_owned);
                services.entry(key).or_default().push((host.clone(), service.port.get()));
            }
        }
        Ok(Self {
            top: origin.trim_to(2),
            subnet: network.subnet,
            serial: serial(network.revision.0),
            pointers: nodes.values().map(|h| (h.address, h.name.clone())).collect(),
            protocols: services.keys().map(|[_, protocol]| protocol.clone()).collect(),
            domain,
            origin,
            nodes,
            services,
        })
    }

    /// Answers a question of class IN; `name` in lower case.
    pub(super) fn lookup(&self, name: &Name, wanted: RecordType) -> Answer {
        let labels: Vec<&[u8]> = name.iter().collect();
        let (spot, authority) = self.find(&labels);
        let one = |data| vec![Record::from_rdata(name.clone(), TTL_SECONDS, data)];
        let (answers, additionals) = match (spot, wanted) {
            (Spot::Elsewhere, _) => return Answer::Elsewhere,
            (Spot::Nobody, _) => return Answer::NoName(self.soa(authority)),
            (Spot::Node(host), RecordType::A) => (one(RData::A(A(host.address))), Vec::new()),
            (Spot::Pointer(target), RecordType::PTR) => (one(RData::PTR(PTR(target.clone()))), Vec::new()),
            (Spot::Service(targets), RecordType::SRV) => service(name, targets),
            (Spot::Apex, RecordType::SOA) => (self.soa(Authority::Cluster).into_iter().collect(), Vec::new()),
            (Spot::Node(_) | Spot::Pointer(_) | Spot::Service(_) | Spot::Apex | Spot::Inner, _) => {
                return Answer::NoData(self.soa(authority));
            }
        };
        Answer::Records { answers, additionals }
    }

    fn find(&self, labels: &[&[u8]]) -> (Spot<'_>, Authority) {
        match labels {
            [] => (Spot::Elsewhere, Authority::None),
            [name] => (self.node(name), Authority::None),
            [below @ .., b"shoal", b"internal"] => self.find_below_top(below),
            [below @ .., b"in-addr", b"arpa"] => self.find_reverse(below),
            [name, cluster] => match self.known(name) {
                Some(host) if self.is_cluster(cluster) => (Spot::Node(host), Authority::None),
                Some(_) | None => match self.service(name, cluster) {
                    Some(targets) => (Spot::Service(targets), Authority::None),
                    None => (Spot::Elsewhere, Authority::None),
                },
            },
            [..] => (Spot::Elsewhere, Authority::None),
        }
    }

    fn find_below_top(&self, labels: &[&[u8]]) -> (Spot<'_>, Authority) {
        let Some((realm, labels)) = labels.split_last() else { return (Spot::Inner, Authority::Top) };
        if *realm != self.domain.realm.as_str().as_bytes() {
            return (Spot::Nobody, Authority::Top);
        }
        let Some((cluster, labels)) = labels.split_last() else { return (Spot::Inner, Authority::Top) };
        if !self.is_cluster(cluster) {
            return (Spot::Nobody, Authority::Top);
        }
        let spot = match labels {
            [] => Spot::Apex,
            [protocol] if text(protocol).is_some_and(|p| self.protocols.contains(p)) => Spot::Inner,
            [name] => self.node(name),
            [service, protocol] => self.service(service, protocol).map_or(Spot::Nobody, Spot::Service),
            [..] => Spot::Nobody,
        };
        (spot, Authority::Cluster)
    }

    /// `4.3.2.1.in-addr.arpa` is 1.2.3.4; fewer labels are a network of 8, 16 or 24 bits.
    fn find_reverse(&self, labels: &[&[u8]]) -> (Spot<'_>, Authority) {
        let elsewhere = (Spot::Elsewhere, Authority::None);
        let mut octets = [0; 4];
        if labels.is_empty() || labels.len() > octets.len() {
            return elsewhere;
        }
        for (octet, label) in octets.iter_mut().zip(labels.iter().rev()) {
            match text(label).and_then(decimal) {
                Some(number) => *octet = number,
                None => return elsewhere,
            }
        }
        let address = Ipv4Addr::from(octets);
        if labels.len() == octets.len() {
            let spot = self.pointers.get(&address).map_or(Spot::Nobody, Spot::Pointer);
            return if self.subnet.contains(&address) {
                (spot, Authority::Reverse(address))
            } else {
                elsewhere
            };
        }
        let bits = [8, 16, 24][labels.len() - 1];
        match Ipv4Net::new(address, bits) {
            Ok(inside) if self.subnet.contains(&inside) => (Spot::Inner, Authority::Reverse(address)),
            Ok(_) | Err(_) => elsewhere,
        }
    }

    fn known(&self, name: &[u8]) -> Option<&Host> {
        text(name).and_then(|name| self.nodes.get(name))
    }

    fn node(&self, name: &[u8]) -> Spot<'_> {
        self.known(name).map_or(Spot::Nobody, Spot::Node)
    }

    fn service(&self, service: &[u8], protocol: &[u8]) -> Option<&[(Host, u16)]> {
        let key = [text(service)?.to_owned(), text(protocol)?.to_owned()];
        self.services.get(&key).map(Vec::as_slice)
    }

    fn is_cluster(&self, label: &[u8]) -> bool {
        label == self.domain.cluster.as_str().as_bytes()
    }

    fn soa(&self, authority: Authority) -> Option<Record> {
        let owner = match authority {
            Authority::Cluster => self.origin.clone(),
            Authority::Top => self.top.clone(),
            Authority::Reverse(address) => {
                let [a, b, c, _] = address.octets();
                Name::from_ascii(format!("{c}.{b}.{a}.in-addr.arpa.")).ok()?
            }
            Authority::None => return None,
        };
        let mailbox = self.origin.clone().prepend_label("hostmaster").ok()?;
        let [refresh, retry, expire] = SOA_TIMES;
        let soa = SOA::new(self.origin.clone(), mailbox, self.serial, refresh, retry, expire, TTL_SECONDS);
        Some(Record::from_rdata(owner, TTL_SECONDS, RData::SOA(soa)))
    }
}

/// Targets in the order given: the first is asked first (RFC 2782: lower priority values come first).
fn service(name: &Name, targets: &[(Host, u16)]) -> (Vec<Record>, Vec<Record>) {
    let answers = targets.iter().zip(0..).map(|((host, port), priority)| {
        let data = RData::SRV(SRV::new(priority, 0, *port, host.name.clone()));
        Record::from_rdata(name.clone(), TTL_SECONDS, data)
    });
    let additionals = targets
        .iter()
        .map(|(host, _)| Record::from_rdata(host.name.clone(), TTL_SECONDS, RData::A(A(host.address))));
    (answers.collect(), additionals.collect())
}

fn text(label: &[u8]) -> Option<&str> {
    std::str::from_utf8(label).ok()
}

/// An octet as the DNS writes it, without leading zeros.
fn decimal(text: &str) -> Option<u8> {
    text.parse().ok().filter(|n: &u8| n.to_string() == text)
}

/// A revision as a serial number: the lower 32 bits (RFC 1982 compares them in a circle).
fn serial(revision: u64) -> u32 {
    u32::try_from(revision & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
