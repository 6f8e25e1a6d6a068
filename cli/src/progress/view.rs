//! What is known of work under way: a model that events change, without terminal or clock.
//!
//! ```text
//! placed, events --> View --> frame (frame.rs)
//! ```

use std::{
    cmp::Ordering,
    collections::{BTreeMap, VecDeque},
};

use shoal_api::{Placed, without_host};
use shoal_types::{Event, EventKind, EventLevel, NewEvent, natural};

use super::transfer::Transfer;

/// Lines of a build's output that are kept.
const TAIL: usize = 6;

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// A cluster comes up.
    Create,
    /// Clusters go.
    Delete,
    /// An image goes to hosts.
    Load,
    /// An image is built.
    Build,
}

/// How far a node is, in the order it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Planned,
    Created,
    Started,
    Ready,
}

/// A name, in the order people expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        natural::cmp(&self.0, &other.0)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug)]
struct Node {
    host: Name,
    stage: Stage,
    gone: bool,
}

/// What a host has of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostView {
    /// Nodes placed here.
    pub(super) nodes: u64,
    /// Of these, how many are created, started, ready at least.
    pub(super) created: u64,
    pub(super) started: u64,
    pub(super) ready: u64,
    /// Nodes that were removed.
    pub(super) removed: u64,
    /// An image on its way here.
    pub(super) transfer: Option<Transfer>,
    /// How it ended here, and whether well.
    pub(super) end: Option<(bool, String)>,
}

/// The state of the work.
#[derive(Debug)]
pub(crate) struct View {
    pub(super) task: Task,
    /// What it is done to.
    pub(super) subject: String,
    /// When it began, in milliseconds since the epoch.
    pub(super) began_ms: u64,
    /// The step that was last begun.
    pub(super) step: String,
    /// Whether places are decided.
    pub(super) admitted: bool,
    /// Whether what there is goes again.
    pub(super) rolling_back: bool,
    /// The last warning or error.
    pub(super) trouble: Option<(bool, String)>,
    /// The last lines of a program's output.
    pub(super) tail: VecDeque<String>,
    nodes: BTreeMap<(String, String), Node>,
    transfers: BTreeMap<Name, Transfer>,
    ends: BTreeMap<Name, (bool, String)>,
}

impl View {
    /// Work that begins now.
    pub(crate) fn new(task: Task, subject: impl Into<String>, now_ms: u64) -> Self {
        Self {
            task,
            subject: subject.into(),
            began_ms: now_ms,
            step: String::new(),
            admitted: false,
            rolling_back: task == Task::Delete,
            trouble: None,
            tail: VecDeque::new(),
            nodes: BTreeMap::new(),
            transfers: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }

    /// Where a cluster's nodes are placed now. Those that went to another host begin again.
    pub(crate) fn placed(&mut self, placed: Placed) {
        for placement in placed.placements {
            let key = (placed.cluster.clone(), placement.node);
            let host = Name(placement.host);
            let node = self.nodes.entry(key).or_insert(Node {
                host: host.clone(),
                stage: Stage::Planned,
                gone: false,
            });
            if node.host != host {
                *node = Node { host, stage: Stage::Planned, gone: false };
            }
        }
    }

    /// Something happened.
    pub(crate) fn happened(&mut self, Event { event, .. }: &Event) {
        // What is looked at later began before.
        if event.at.0 > 0 {
            self.began_ms = self.began_ms.min(event.at.0);
        }
        // Of a node, and of a transfer, the bars tell.
        let is_step = match event.kind {
            EventKind::Admitted => {
                self.admitted = true;
                true
            }
            EventKind::Image => {
                self.image(event);
                false
            }
            EventKind::NodeCreated => self.node(event, Stage::Created),
            EventKind::NodeStarted => self.node(event, Stage::Started),
            EventKind::NodeReady => self.node(event, Stage::Ready),
            EventKind::NodeRemoved => self.removed(event),
            EventKind::RollingBack | EventKind::Deleting => {
                self.rolling_back = true;
                true
            }
            EventKind::Host
            | EventKind::Agent
            | EventKind::Network
            | EventKind::NodeFailed
            | EventKind::Phase
            | EventKind::Moved
            | EventKind::Step
            | EventKind::Audit => true,
        };
        let failed = match event.level {
            EventLevel::Info => None,
            EventLevel::Warn => Some(false),
            EventLevel::Error => Some(true),
        };
        let host = event.host.as_ref().map(ToString::to_string);
        if let Some(failed) = failed {
            let of = [host.clone(), event.node.as_ref().map(ToString::to_string)];
            let of: Vec<_> = of.into_iter().flatten().collect();
            let colon = if of.is_empty() { "" } else { ": " };
            let message = without_host(host.as_deref().unwrap_or_default(), &event.message);
            self.trouble = Some((failed, format!("{}{colon}{message}", of.join(" "))));
        } else if is_step {
            let host = host.map(|host| format!("{host}: ")).unwrap_or_default();
            self.step = format!("{host}{}", event.message);
        }
    }

    /// The work on a host ended.
    pub(crate) fn ended(&mut self, host: &str, well: bool, how: impl Into<String>) {
        self.ends.insert(Name(host.to_owned()), (well, how.into()));
    }

    /// A program said something.
    pub(crate) fn said(&mut self, line: &str) {
        // mmdebstrap(1) begins each of its steps so.
        if let Some(step) = line.strip_prefix("I: ") {
            step.trim_end_matches("...").clone_into(&mut self.step);
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
    }

    fn image(&mut self, event: &NewEvent) {
        let Some(progress) = event.progress else { return };
        let transfer = self.transfers.entry(host_of(event)).or_default();
        transfer.at(event.at.0, progress.done_bytes, progress.total_bytes);
    }

    fn node(&mut self, event: &NewEvent, stage: Stage) -> bool {
        let host = host_of(event);
        let node = self.nodes.entry(key_of(event)).or_insert(Node { host: host.clone(), stage, gone: false });
        if event.host.is_some() {
            node.host = host;
        }
        node.stage = stage;
        node.gone = false;
        false
    }

    fn removed(&mut self, event: &NewEvent) -> bool {
        if let Some(node) = self.nodes.get_mut(&key_of(event)) {
            node.gone = true;
        }
        false
    }

    /// Whether nothing came of it yet.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.transfers.is_empty() && self.ends.is_empty() && self.tail.is_empty()
    }

    /// What each host has of it.
    pub(super) fn hosts(&self) -> BTreeMap<Name, HostView> {
        let mut hosts: BTreeMap<Name, HostView> = BTreeMap::new();
        for node in self.nodes.values() {
            let host = hosts.entry(node.host.clone()).or_default();
            host.nodes += 1;
            host.removed += u64::from(node.gone);
            host.created += u64::from(!node.gone && node.stage >= Stage::Created);
            host.started += u64::from(!node.gone && node.stage >= Stage::Started);
            host.ready += u64::from(!node.gone && node.stage >= Stage::Ready);
        }
        for (name, transfer) in &self.transfers {
            hosts.entry(name.clone()).or_default().transfer = Some(transfer.clone());
        }
        for (name, end) in &self.ends {
            hosts.entry(name.clone()).or_default().end = Some(end.clone());
        }
        hosts
    }
}

/// The host an event is of; no name where it is of none.
fn host_of(event: &NewEvent) -> Name {
    Name(event.host.as_ref().map(ToString::to_string).unwrap_or_default())
}

/// Cluster and node an event is of.
fn key_of(event: &NewEvent) -> (String, String) {
    let cluster = event.cluster.as_ref().map(|(_, cluster)| cluster.to_string());
    let node = event.node.as_ref().map(ToString::to_string);
    (cluster.unwrap_or_default(), node.unwrap_or_default())
}
