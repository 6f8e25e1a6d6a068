//! Restarts of nodes that have ended: which are made now, which wait, and what is written down of them.
//!
//! ```text
//! a look, without a lease:  judge ----> nodes that wait, and what is to be told: failing now, well again
//! a pass:                   restart --> counted in the store, then started; those that wait are held
//! ```
//! A person who asks for a repair waits for no pause, but every restart counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use shoal_docker::CallClass;
use shoal_storage::Node;
use shoal_types::{
    EventKind, EventLevel, HostId, HostName, NewEvent, Next, NodeEnd, NodeId, Restarts, Seen, Timestamp, next,
};

use crate::{
    fleet::{HostLink, liveness::limited},
    observe::intent::Intent,
    pass::{
        diagnose::{READ, last_lines},
        end::{End, end_of},
        plan::HostPlan,
        work::{Behalf, Halt, Work},
    },
    words::fault::Fault,
};

/// How long a host may take to tell how a node ended, and its last log lines.
const LIMIT: Duration = Duration::from_secs(5);

/// A node that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) node: &'a Node,
    /// `None`: it was not heard.
    pub(crate) end: Option<&'a End>,
}

impl Ended<'_> {
    fn ran(&self) -> Option<Duration> {
        self.end.and_then(|end| end.ran)
    }

    /// Whether it is left as it is for now.
    pub(crate) fn waits(&self, behalf: Behalf, now: Timestamp) -> bool {
        let next = next(self.node.restarts.as_ref(), Seen::Ended(self.ran()), now);
        match behalf {
            Behalf::Person => false,
            Behalf::Upkeep => matches!(next, Next::Wait(_)),
        }
    }

    /// Whether it is failing, and nobody has told that of its last end.
    pub(crate) fn is_news(&self) -> bool {
        let known = self.node.restarts.as_ref();
        known.is_some_and(|restarts| restarts.fails(self.ran()) && !restarts.is_told())
    }
}

/// Something to be told of a node's restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// It is well again.
    Well(NodeId),
    /// It fails: it ended in this container on this host.
    Fails { node: NodeId, host: HostId, container: String },
}

/// What follows of restarts on one host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Nodes that wait for their next restart.
    pub(crate) held: BTreeSet<NodeId>,
    pub(crate) notes: Vec<Note>,
}

/// How nodes are restarted, from a look at one host: `ends` by containers, `up` for how long nodes have run. Pure.
pub(crate) fn judge(
    nodes: &BTreeMap<NodeId, &Node>,
    (host, plan): (HostId, &HostPlan),
    ends: &BTreeMap<String, End>,
    up: &BTreeMap<NodeId, Duration>,
    (behalf, now): (Behalf, Timestamp),
) -> Standing {
    let mut standing = Standing::default();
    for (id, container) in &plan.ended {
        let Some(node) = nodes.get(id) else { continue };
        let ended = Ended { node, end: ends.get(container) };
        if ended.waits(behalf, now) {
            standing.held.insert(*id);
        }
        if ended.is_news() {
            standing.notes.push(Note::Fails { node: *id, host, container: container.clone() });
        }
    }
    let known = |id: &NodeId| nodes.get(id).and_then(|node| node.restarts.as_ref());
    let well = up.iter().filter(|(id, up)| next(known(id), Seen::Up(**up), now) == Next::Reset);
    standing.notes.extend(well.map(|(id, _)| Note::Well(*id)));
    standing
}

impl Work {
    /// Decides about the nodes of a host that have ended, and counts the restarts that are about to be made. The nodes that wait.
    pub(crate) async fn restart(
        &self,
        link: &HostLink,
        intent: &Intent,
        plan: &HostPlan,
    ) -> Result<BTreeSet<NodeId>, Halt> {
        let ended = intent.on(link.id).filter_map(|node| Some((node, plan.ended.get(&node.id)?)));
        let (mut held, mut changes) = (BTreeSet::new(), Vec::new());
        for (node, container) in ended {
            // Of the first end nothing more need be known.
            let end = match &node.restarts {
                Some(_) => {
                    self.may(link, CallClass::Read).await?;
                    end_heard(link, container).await
                }
                None => None,
            };
            let now = self.coordinator.now();
            let ended = Ended { node, end: end.as_ref() };
            let waits = ended.waits(self.behalf, now);
            let known = node.restarts.as_ref();
            let mut after = match waits {
                true => known.cloned(),
                false => Some(Restarts::one_more(known, ended.ran(), now)),
            };
            if ended.is_news()
                && let Some(restarts) = &mut after
            {
                restarts.failing = Some(self.last_end(link, container, end.as_ref(), now).await);
            }
            if waits {
                held.insert(node.id);
            }
            if after != node.restarts {
                changes.push((node, after));
            }
        }
        self.record_restarts(intent, &link.name, changes).await?;
        Ok(held)
    }

    /// Tells what a look found.
    pub(crate) async fn note_restarts(&self, intent: &Intent, notes: &[Note]) -> Result<(), Fault> {
        let hosts = self.members(intent).await?;
        let node = |id: &NodeId| intent.nodes.iter().find(|node| node.id == *id);
        let each = notes.iter().filter_map(|note| {
            let id = match note {
                Note::Well(id) | Note::Fails { node: id, .. } => id,
            };
            let node = node(id)?;
            let host = hosts.get(&node.host)?;
            let after = async move {
                let Note::Fails { container, .. } = note else { return Ok(None) };
                let link = self.coordinator.fleet.link(&self.coordinator.store, host).await?;
                let end = end_heard(&link, container).await;
                let end = self.last_end(&link, container, end.as_ref(), self.coordinator.now()).await;
                let failing = |known: &Restarts| Restarts { failing: Some(end), ..known.clone() };
                Ok::<_, Fault>(node.restarts.as_ref().map(failing))
            };
            Some(async move { (node, &host.name, after.await) }.boxed())
        });
        for (node, host, after) in join_all(each).await {
            self.record_restarts(intent, host, vec![(node, after?)]).await?;
        }
        Ok(())
    }

    /// Writes down what became of nodes' restarts, with an event for each that fails now, or is well again.
    async fn record_restarts(
        &self,
        intent: &Intent,
        host: &HostName,
        changes: Vec<(&Node, Option<Restarts>)>,
    ) -> Result<(), Fault> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut tx = self.lease.begin().await?;
        for (node, after) in changes {
            let row = tx.nodes().get(node.id).await?;
            // Somebody else's look came first.
            if row.is_none_or(|row| row.restarts != node.restarts || row.generation != node.generation) {
                continue;
            }
            tx.nodes().set_restarts(node.id, node.generation, after.as_ref()).await?;
            if let Some((level, kind, message)) = told(node.restarts.as_ref(), after.as_ref()) {
                let event = self.event(intent, level, kind, Some(host), message);
                tx.events().append(&NewEvent { node: Some(node.name.clone()), ..event }).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// How a node ended that fails, as seen now, with its last words.
    async fn last_end(&self, link: &HostLink, container: &str, end: Option<&End>, now: Timestamp) -> NodeEnd {
        let log = async { link.engine.logs_tail(container, READ).await.map_err(Fault::engine(&link.name)) };
        // It is told without them if they are not heard.
        let log = limited(&link.name, LIMIT, log).await.unwrap_or_default();
        NodeEnd {
            seen: now,
            exit_status: end.and_then(|end| end.exit_status),
            out_of_memory: end.is_some_and(|end| end.out_of_memory),
            log: last_lines(&log),
        }
    }
}

/// How a container ended, if that is heard in time.
async fn end_heard(link: &HostLink, container: &str) -> Option<End> {
    let ask = async { end_of(link, container).await.map_err(Fault::engine(&link.name)) };
    limited(&link.name, LIMIT, ask).await.ok().flatten()
}

/// The event of a change, if it is one that is told: a node fails now, or is well again.
fn told(before: Option<&Restarts>, after: Option<&Restarts>) -> Option<(EventLevel, EventKind, String)> {
    let failing = |restarts: Option<&Restarts>| restarts.and_then(|r| r.failing.clone());
    match (failing(before), failing(after)) {
        (None, Some(end)) => {
            let ends = before.map_or(0, |before| before.count).saturating_add(1);
            let status = end.exit_status.map(|status| format!(", last with exit status {status}"));
            let oom = if end.out_of_memory { ", out of memory" } else { "" };
            let text = format!("failing: ended {ends} times in a row{}{oom}", status.unwrap_or_default());
            Some((EventLevel::Warn, EventKind::NodeFailed, text))
        }
        (Some(_), None) => Some((EventLevel::Info, EventKind::NodeReady, "well again: it stayed up".into())),
        (None, None) | (Some(_), Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::intent::tests::intent;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn known(count: u32, failing: Option<i64>) -> Restarts {
        let end = |status| NodeEnd {
            seen: NOW.after(Duration::from_millis(500)),
            exit_status: Some(status),
            out_of_memory: false,
            log: vec!["no space left".into()],
        };
        Restarts { count, last: NOW, failing: failing.map(end) }
    }

    /// What follows for a node with these restarts that has ended after a second.
    fn ended(restarts: Option<Restarts>, behalf: Behalf, after: Duration) -> (bool, usize) {
        let node = Node { restarts, ..intent(&[0]).nodes.remove(1) };
        let (id, host) = (node.id, node.host);
        let plan = HostPlan { ended: [(id, "c".to_owned())].into(), ..HostPlan::default() };
        let ends = [("c".to_owned(), End::sample(7))].into();
        let at = (behalf, NOW.after(after));
        let standing = judge(&[(id, &node)].into(), (host, &plan), &ends, &BTreeMap::new(), at);
        let fails = Note::Fails { node: id, host, container: "c".into() };
        assert!(standing.notes.iter().all(|note| *note == fails), "{standing:?}");
        assert!(standing.held.iter().all(|held| *held == id), "{standing:?}");
        (!standing.held.is_empty(), standing.notes.len())
    }

    #[test]
    fn upkeep_waits_and_a_person_does_not() {
        let second = Duration::from_secs(1);
        for (restarts, wait, waits, told) in [
            (None, second, false, 0),
            (Some(known(1, None)), second, true, 0),
            (Some(known(1, None)), Duration::from_secs(10), false, 0),
            (Some(known(3, None)), second, true, 1),
            (Some(known(3, Some(7))), second, true, 0),
            (Some(known(3, Some(7))), Duration::from_secs(40), false, 0),
        ] {
            assert_eq!(ended(restarts.clone(), Behalf::Upkeep, wait), (waits, told), "{restarts:?}");
            assert_eq!(ended(restarts.clone(), Behalf::Person, wait), (false, told), "{restarts:?}");
        }
    }

    #[test]
    fn a_node_that_is_up_is_well_after_a_while() {
        let node = Node { restarts: Some(known(3, Some(7))), ..intent(&[0]).nodes.remove(1) };
        let judged = |node: &Node, up| {
            let (nodes, up) = ([(node.id, node)].into(), [(node.id, Duration::from_secs(up))].into());
            let (plan, at) = (HostPlan::default(), (Behalf::Upkeep, NOW));
            judge(&nodes, (node.host, &plan), &BTreeMap::new(), &up, at).notes
        };
        assert_eq!(judged(&node, 119), []);
        assert_eq!(judged(&node, 120), [Note::Well(node.id)]);
        assert_eq!(judged(&Node { restarts: None, ..node }, 120), []);
    }

    #[test]
    fn only_what_changes_is_an_event() {
        let text = |before: Option<&Restarts>, after: Option<&Restarts>| {
            told(before, after).map(|(level, kind, text)| format!("{} {kind} {text}", level.as_str()))
        };
        let (counted, failing) = (known(3, None), known(3, Some(7)));
        let again = Restarts { count: 4, ..failing.clone() };
        assert_eq!(text(None, Some(&counted)), None);
        assert_eq!(
            text(Some(&counted), Some(&failing)).as_deref(),
            Some("warn node-failed failing: ended 4 times in a row, last with exit status 7")
        );
        assert_eq!(text(Some(&failing), Some(&again)), None);
        assert_eq!(text(Some(&again), None).as_deref(), Some("info node-ready well again: it stayed up"));
        assert_eq!(text(Some(&counted), None), None);
    }
}
