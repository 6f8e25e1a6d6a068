//! What is told of a node that ends again and again. Pure.

use shoal_api::{Failing, millis};
use shoal_docker::ContainerState;
use shoal_storage::Node;
use shoal_types::{Copied, Heal, HealingPolicy, Timestamp};

/// How a node fails, as far as that is known: it was seen to, and has ended once more.
pub(crate) fn failing(
    node: &Node,
    container: ContainerState,
    policy: HealingPolicy,
    now: Timestamp,
) -> Option<Failing> {
    match container {
        ContainerState::Exited | ContainerState::Dead => {}
        ContainerState::Created
        | ContainerState::Running
        | ContainerState::Paused
        | ContainerState::Restarting
        | ContainerState::Removing => return None,
    }
    let restarts = node.restarts.as_ref()?;
    let end = restarts.failing.as_ref()?;
    let heals = policy.allows(node.role, Copied::No) != Heal::Nothing;
    Some(Failing {
        ends: restarts.count.saturating_add(1),
        exit_status: end.exit_status,
        out_of_memory: end.out_of_memory,
        log: end.log.clone(),
        restart_in_ms: heals.then(|| millis(restarts.due().since(now))),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shoal_types::{NodeEnd, Restarts};

    use super::*;
    use crate::observe::intent::tests::intent;

    #[test]
    fn a_node_fails_while_it_has_ended() {
        let last = Timestamp(1_000_000);
        let end = NodeEnd { seen: last, exit_status: Some(7), out_of_memory: false, log: vec!["no".into()] };
        let mut node = intent(&[0]).nodes.remove(1);
        let told = |node: &Node, container, policy, now| {
            failing(node, container, policy, now).map(|told| told.to_string())
        };
        let (exited, policy) = (ContainerState::Exited, HealingPolicy::Default);
        assert_eq!(told(&node, exited, policy, last), None);
        node.restarts = Some(Restarts { count: 3, last, failing: None });
        assert_eq!(told(&node, exited, policy, last), None, "nobody has seen it fail");
        node.restarts = Some(Restarts { count: 3, last, failing: Some(end) });
        let how = "ended 4 times in a row, last with exit status 7";
        assert_eq!(told(&node, exited, policy, last), Some(format!("{how}; next restart in 40s")));
        let later = last.after(Duration::from_secs(40));
        assert_eq!(told(&node, exited, policy, later), Some(format!("{how}; its restart is due")));
        assert_eq!(
            told(&node, ContainerState::Dead, HealingPolicy::None, last),
            Some(format!("{how}; its cluster does not heal by itself"))
        );
        assert_eq!(told(&node, ContainerState::Running, policy, last), None);
    }
}
