//! What is kept of a decision, and how a node's place is explained from it: the scheduler is pure, so what it was asked is
//! enough to hear it again.
//!
//! A record holds the hosts (with the labels that were asked about, and no others), the seed, and which nodes were placed if
//! not all of the specification: those are read from their rows, as are rules and expressions from the specification. What many hosts have in common is there
//! once: a host takes some 90 bytes, 1,000 hosts 90 KB.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use shoal_scheduler::{Account, HostView, Request, Snapshot, explain};
use shoal_storage::{Cluster, Decision, Node};
use shoal_types::{
    Bytes, Capacity, HostId, HostName, LabelKey, MilliCpu, NodeName, SchedulerName, Strategy, Timestamp,
};

use crate::{
    edit::placing::{PlacementDecision, of_row, request, wished},
    words::fault::Unreadable,
};

/// What a decision was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Who decided.
    by: SchedulerName,
    /// Why the one who was to decide did not.
    fallback: Option<String>,
    seed: u64,
    architecture: String,
    hosts: Hosts,
    /// The nodes that were placed; all of the specification if `None`.
    nodes: Option<BTreeSet<NodeName>>,
    /// Why they were placed anew, if they were.
    moved: Option<String>,
    exclude: BTreeMap<HostId, String>,
    notes: BTreeMap<NodeName, String>,
}

/// Hosts, deduplicated: each line holds a host's unique facts and the index of its shared kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Hosts {
    /// Hosts without what is in a line.
    kinds: Vec<HostView>,
    lines: Vec<Line>,
}

/// Id, name, kind; CPU, memory and slots promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line(HostId, HostName, usize, MilliCpu, Bytes, u32);

impl Hosts {
    fn fold(snapshot: &Snapshot, asked: &BTreeSet<&LabelKey>) -> Result<Self, Unreadable> {
        let nobody = HostId::new(0, [0; 10]);
        let mut hosts = Self { kinds: Vec::new(), lines: Vec::with_capacity(snapshot.hosts.len()) };
        let mut known: HashMap<String, usize> = HashMap::new();
        for host in &snapshot.hosts {
            let mut kind = host.clone();
            kind.labels.0.retain(|label, _| asked.contains(label));
            let (reserved, name) = (std::mem::take(&mut kind.reserved), kind.name);
            kind = HostView { id: nobody, name: snapshot.hosts[0].name.clone(), ..kind };
            let text = serde_json::to_string(&kind).map_err(Unreadable)?;
            let number = *known.entry(text).or_insert_with(|| {
                hosts.kinds.push(kind);
                hosts.kinds.len() - 1
            });
            hosts.lines.push(Line(host.id, name, number, reserved.cpu, reserved.memory, reserved.node_slots));
        }
        Ok(hosts)
    }

    fn unfold(&self) -> Snapshot {
        let host = |Line(id, name, kind, cpu, memory, node_slots): &Line| {
            let reserved = Capacity { cpu: *cpu, memory: *memory, node_slots: *node_slots };
            Some(HostView { id: *id, name: name.clone(), reserved, ..self.kinds.get(*kind)?.clone() })
        };
        Snapshot { hosts: self.lines.iter().filter_map(host).collect() }
    }
}

impl Record {
    /// What is kept of a decision on all nodes of a cluster.
    ///
    /// # Errors
    /// [`Unreadable`]: it cannot be written as text.
    pub(crate) fn new(
        snapshot: &Snapshot,
        request: &Request,
        decided: &PlacementDecision,
    ) -> Result<Self, Unreadable> {
        Ok(Self {
            by: decided.by.clone(),
            fallback: decided.fallback.clone(),
            seed: request.seed,
            architecture: request.architecture.clone().unwrap_or_default(),
            hosts: Hosts::fold(snapshot, &asked(request))?,
            nodes: None,
            moved: None,
            exclude: request.exclude.clone(),
            notes: decided.notes.clone(),
        })
    }

    /// The same, of a decision on some nodes that were placed anew.
    pub(crate) fn of_moved(self, request: &Request, why: String) -> Self {
        let nodes = request.nodes.iter().map(|node| node.name.clone()).collect();
        Self { nodes: Some(nodes), moved: Some(why), ..self }
    }

    /// As a column holds it.
    pub(crate) fn fold(&self) -> Result<Vec<u8>, Unreadable> {
        serde_json::to_vec(self).map_err(Unreadable)
    }

    fn unfold(document: &[u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(document).map_err(Unreadable)
    }

    fn places(&self, node: &NodeName) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }
}

/// Labels anything of the request asks about.
fn asked(request: &Request) -> BTreeSet<&LabelKey> {
    let exprs = request.constraints.iter().chain(request.nodes.iter().flat_map(|node| &node.constraints));
    exprs.map(shoal_types::LabelExpr::key).chain(&request.rules.spread_over).collect()
}

/// Why a node is where it is.
#[derive(Debug)]
pub(crate) struct Explanation {
    pub(crate) decided: Timestamp,
    pub(crate) by: SchedulerName,
    pub(crate) fallback: Option<String>,
    pub(crate) seed: u64,
    /// Why it was placed anew.
    pub(crate) moved: Option<String>,
    /// How often it was.
    pub(crate) moves: usize,
    /// How many nodes the decision was about.
    pub(crate) nodes: usize,
    /// What the strategy saw; what spread would have seen, if a program decided.
    pub(crate) account: Option<Account>,
    pub(crate) note: Option<String>,
}

impl Explanation {
    /// Why `node` is where it is, from the last of `decisions` that placed it; `None` if none did. `nodes` are all of the
    /// cluster.
    pub(crate) fn new(
        cluster: &Cluster,
        nodes: &[Node],
        decisions: &[Decision],
        node: &NodeName,
    ) -> Result<Option<Self>, Unreadable> {
        let mut last = None;
        let mut moves = 0;
        for decision in decisions {
            let record = Record::unfold(&decision.document)?;
            if record.places(node) {
                moves += usize::from(record.moved.is_some());
                last = Some((decision.at, record));
            }
        }
        let Some((decided, record)) = last else { return Ok(None) };
        let placed: Vec<_> = match &record.nodes {
            None => wished(&cluster.spec).collect(),
            Some(placed) => nodes.iter().filter(|n| placed.contains(&n.name)).map(of_row).collect(),
        };
        let exclude = record.exclude.clone();
        let request = request(&cluster.spec, placed.into_iter(), &record.architecture, exclude, record.seed);
        let strategy = record.by.strategy().unwrap_or(Strategy::Spread);
        Ok(Some(Self {
            decided,
            account: explain(strategy, &record.hosts.unfold(), &request, node),
            note: record.notes.get(node).cloned(),
            by: record.by,
            fallback: record.fallback,
            seed: record.seed,
            moved: record.moved,
            moves,
            nodes: request.nodes.len(),
        }))
    }

    /// Why the account leads to another host than the node has, if it does.
    pub(crate) fn differs(&self, host: &HostName) -> Option<String> {
        self.by.strategy()?;
        match &self.account {
            None => Some("this version of shoal would not place it, from the same hosts and request".into()),
            Some(account) if account.host != *host => Some(format!(
                "this version of shoal would place it on {}, from the same hosts and request",
                account.host
            )),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_scheduler::{ImageState, Rules, Scheduler as _};
    use shoal_types::{HostState, Labels, Overcommit, Profile, Resources};

    use super::*;

    fn host(number: u32) -> HostView {
        let mut id = [0; 10];
        id[6..].copy_from_slice(&number.to_be_bytes());
        let labels = [format!("rack=r{}", number % 8), format!("serial=s{number}")];
        HostView {
            id: HostId::new(1, id),
            name: format!("host-{number}").parse().unwrap(),
            state: HostState::Ready,
            scheduling: shoal_types::Scheduling::Schedulable,
            privilege_denied: false,
            labels: Labels::from_pairs(labels.iter().map(String::as_str)).unwrap(),
            total: Capacity { cpu: MilliCpu(16_000), memory: Bytes::mib(65_536), node_slots: 500 },
            overcommit: Overcommit::default(),
            keep_back: Resources::default(),
            reserved: Capacity {
                cpu: MilliCpu(u64::from(number) * 50),
                memory: Bytes::mib(u64::from(number) * 64),
                node_slots: number,
            },
            cluster_nodes: 0,
            others: BTreeMap::new(),
            claimed: BTreeSet::new(),
            architecture: "x86_64".into(),
            profiles: vec![Profile::System],
            mtu: 1450,
            image: ImageState::Present,
        }
    }

    #[test]
    fn a_thousand_hosts_are_kept_small_and_come_back_as_they_were_seen() {
        let mut snapshot = Snapshot { hosts: (0..1000).map(host).collect() };
        let request = Request {
            nodes: vec![],
            constraints: vec![],
            image: "shoal-node".into(),
            architecture: Some("x86_64".into()),
            profile: Profile::System,
            mtu: None,
            exclude: BTreeMap::new(),
            rules: Rules { spread_over: Some("rack".parse().unwrap()), ..Rules::default() },
            seed: u64::MAX,
        };
        let plan = Strategy::Random.place(&snapshot, &request).unwrap();
        let notes = BTreeMap::new();
        let decided = PlacementDecision { plan, by: Strategy::Random.into(), fallback: None, notes };
        let record = Record::new(&snapshot, &request, &decided).unwrap();
        let document = record.fold().unwrap();
        assert!(document.len() < 120_000, "{} bytes", document.len());
        let back = Record::unfold(&document).unwrap();
        assert_eq!(back, record);
        assert_eq!((back.seed, back.by), (u64::MAX, Strategy::Random.into()));
        for host in &mut snapshot.hosts {
            host.labels.0.retain(|label, _| label.as_str() == "rack");
        }
        assert_eq!(back.hosts.unfold(), snapshot);
        assert!(Record::unfold(b"{").is_err());
    }

    /// Decisions were kept before hosts could deny privileged nodes, and before clusters could ask for an MTU.
    #[test]
    fn a_record_of_an_earlier_version_denies_nothing() {
        let mut denied = host(1);
        denied.privilege_denied = true;
        let hosts = Hosts::fold(&Snapshot { hosts: vec![denied] }, &BTreeSet::new()).unwrap();
        let mut document = serde_json::to_value(&hosts).unwrap();
        assert!(
            serde_json::from_value::<Hosts>(document.clone()).unwrap().unfold().hosts[0].privilege_denied
        );
        document["kinds"][0].as_object_mut().unwrap().remove("privilege_denied").unwrap();
        document["kinds"][0].as_object_mut().unwrap().remove("mtu").unwrap();
        document["kinds"][0].as_object_mut().unwrap().remove("scheduling").unwrap();
        let host = serde_json::from_value::<Hosts>(document).unwrap().unfold().hosts.remove(0);
        assert_eq!((host.privilege_denied, host.mtu), (false, 0));
    }
}
