//! Why a cluster is not ready: for each node that is not, its host, the stage it is stuck in, and its last words.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    stream::{self, StreamExt},
};
use shoal_docker::{ContainerState, EngineError, ExecSpec};
use shoal_slurm::{RoleSpec, Stage, log_command};
use shoal_storage::Node;
use shoal_types::{HostId, NodeState};

use crate::{
    fleet::HostLink,
    observe::{containers::container_of, intent::Intent},
    pass::work::Work,
    words::fault::{NotReady, StuckNode},
};

/// Nodes described in full; of the rest only the number is told.
const SHOWN: usize = 5;
/// Last log lines shown of each.
pub(super) const LINES: u32 = 12;
/// Nodes asked at once.
const FAN_OUT: usize = 8;
/// How long one node may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest text taken from a node.
pub(super) const TEXT_LIMIT: usize = 64 << 10;

impl Work {
    /// Asks the nodes that are not ready what they are waiting for.
    pub(crate) async fn diagnose(
        &self,
        intent: &Intent,
        links: &BTreeMap<HostId, Arc<HostLink>>,
        cause: String,
    ) -> NotReady {
        let waiting: Vec<_> = intent.nodes.iter().filter(|n| n.state != NodeState::Ready).collect();
        let asked = waiting.iter().filter_map(|node| Some((*node, links.get(&node.host)?))).take(SHOWN);
        let asks: Vec<_> =
            asked.map(|(node, link)| self.stuck(node, intent.role(node), link).boxed()).collect();
        let stuck = stream::iter(asks).buffered(FAN_OUT).collect().await;
        NotReady { cause, stuck, count: waiting.len() }
    }

    async fn stuck(&self, node: &Node, role: &RoleSpec, link: &HostLink) -> StuckNode {
        let asked = tokio::time::timeout(LIMIT, self.stage(node, role, link)).await;
        let (stage, log) = match asked {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => (Stage::Container, vec![error.to_string()]),
            Err(_) => (Stage::Systemd, vec![format!("no answer within {} s", LIMIT.as_secs())]),
        };
        StuckNode { node: node.name.clone(), host: link.name.clone(), stage, log }
    }

    async fn stage(
        &self,
        node: &Node,
        role: &RoleSpec,
        link: &HostLink,
    ) -> Result<(Stage, Vec<String>), EngineError> {
        let Some(container) = container_of(&self.coordinator.naming, link, node.id).await? else {
            return Ok((Stage::Container, vec!["it was not created".into()]));
        };
        if container.state != ContainerState::Running {
            let mut log = last_lines(&link.engine.logs_tail(&container.id, LINES).await?);
            if let Some(detail) = link.engine.inspect_container(&container.id).await? {
                let oom = if detail.oom_killed { ", out of memory" } else { "" };
                let code = detail.exit_code.map_or(String::new(), |c| format!(", exit status {c}"));
                log.push(format!("{:?}{code}{oom} {}", detail.state, detail.error).trim().to_lowercase());
            }
            return Ok((Stage::Container, log));
        }
        let ask = ExecSpec::new(role.is_active_command());
        let output = link.engine.exec(&container.id, &ask, TEXT_LIMIT).await?;
        let inactive = role.first_inactive(&String::from_utf8_lossy(&output.stdout));
        let stage = inactive.unwrap_or(role.last_service());
        let output =
            link.engine.exec(&container.id, &ExecSpec::new(log_command(stage, LINES)), TEXT_LIMIT).await?;
        Ok((stage, last_lines(&String::from_utf8_lossy(&output.stdout))))
    }
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES as usize)..]
        .iter()
        .map(|l| l.chars().take(300).collect())
        .collect()
}
