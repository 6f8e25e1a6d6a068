//! Whether a node is answered by the name service of its host: what it asks comes in by a bridge, where the host's packet filter may
//! drop it although packets of other hosts pass.

use shoal_api::{Check, Finding};
use shoal_docker::ExecSpec;
use shoal_storage::{Cluster, Node};
use shoal_types::{ClusterPhase, HostId, NodeName, NodeState, Pools, node_fqdn};
use tokio::time::timeout;

use crate::{drive::doctor::LIMIT, fleet::HostLink};

/// Within which a node must have its answer, in seconds: the service has names of nodes in memory.
const WITHIN: &str = "3";
/// What timeout(1) ends with when it had to.
const TIMED_OUT: i64 = 124;
/// What getent(1) ends with when there is no such name.
const NO_ANSWER: i64 = 2;
/// Most bytes of an answer that are read.
const OUTPUT: usize = 4096;

/// A node that can be asked, and a name that it must know from the service alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    node: NodeName,
    container: String,
    name: String,
}

/// What came of a node's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Known,
    /// No address, or no name service.
    Unknown,
    /// Nothing at all.
    Silence,
}

/// What became of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    node: NodeName,
    answer: Answer,
}

/// A question for a node of a ready cluster on this host, if there is one. Every node has its own name in a file.
pub(super) fn question(host: HostId, clusters: &[Cluster], nodes: &[Node]) -> Option<Question> {
    let ready = clusters.iter().filter(|cluster| cluster.phase == ClusterPhase::Ready);
    ready.flat_map(|cluster| nodes.iter().map(move |node| (cluster, node))).find_map(|(cluster, node)| {
        let can = node.cluster == cluster.id && node.host == host && node.state == NodeState::Ready;
        let container = node.container.clone().filter(|_| can)?;
        let other = nodes.iter().find(|other| other.cluster == cluster.id && other.id != node.id)?;
        let spec = &cluster.spec;
        let name = node_fqdn(&other.name, &spec.name, &spec.realm);
        Some(Question { node: node.name.clone(), container, name })
    })
}

/// Asks. `None`: the node could not be asked, which is for others to judge.
pub(super) async fn ask(link: &HostLink, question: Question) -> Option<Answered> {
    let Question { node, container, name } = question;
    let command = ExecSpec::new(["timeout", WITHIN, "getent", "ahostsv4", &name]);
    let asked = link.engine.exec(&container, &command, OUTPUT);
    let answer = match timeout(LIMIT, asked).await.ok()?.ok()?.status {
        0 => Answer::Known,
        NO_ANSWER => Answer::Unknown,
        TIMED_OUT => Answer::Silence,
        _ => return None,
    };
    Some(Answered { node, answer })
}

/// What it means.
pub(super) fn judge(answered: &Answered, pools: &Pools) -> Finding {
    let Answered { node, answer } = answered;
    match answer {
        Answer::Known => Finding::pass(Check::Names, format!("{node} is answered by the name service")),
        Answer::Unknown => Finding::fail(
            Check::Names,
            format!("{node} asks for another node's name, and the name service here does not know it"),
            "`shoal repair` tells the agent of the host its networks anew",
        ),
        Answer::Silence => Finding::fail(
            Check::Names,
            format!(
                "{node} gets no answer from the name service: a packet filter of the host drops what nodes ask"
            ),
            format!(
                "let {pools} reach port 53 of the host, UDP and TCP: such as `ufw allow from RANGE to any port 53`"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::Verdict;

    use super::*;
    use crate::observe::intent::tests::intent;

    #[test]
    fn a_node_is_asked_for_another_ones_name_and_only_where_it_can_be() {
        let mut intent = intent(&[0, 1]);
        let (host, cluster) = (intent.nodes[0].host, intent.cluster.clone());
        assert_eq!(question(host, std::slice::from_ref(&cluster), &intent.nodes), None, "no container");
        intent.nodes[1].container = Some("c1".into());
        let asked = question(host, std::slice::from_ref(&cluster), &intent.nodes).unwrap();
        assert_eq!((asked.node.as_str(), asked.container.as_str()), ("worker-0", "c1"));
        assert_eq!(asked.name, "controller.dev.default.shoal.internal");
        assert_eq!(
            question(HostId::new(1, [9; 10]), std::slice::from_ref(&cluster), &intent.nodes),
            None,
            "no node there"
        );
        let failed = Cluster { phase: ClusterPhase::Failed, ..cluster };
        assert_eq!(question(host, &[failed], &intent.nodes), None, "no ready cluster");
    }

    #[test]
    fn only_silence_is_a_packet_filters() {
        for (answer, verdict, says) in [
            (Answer::Known, Verdict::Pass, "is answered"),
            (Answer::Unknown, Verdict::Fail, "does not know it"),
            (Answer::Silence, Verdict::Fail, "packet filter"),
        ] {
            let found = judge(&Answered { node: "worker-0".parse().unwrap(), answer }, &Pools::default());
            assert_eq!(found.verdict, verdict);
            assert!(found.message.contains(says), "{found:?}");
        }
    }
}
