//! Keeping jobs from nodes for a while, and giving them back: scontrol(1), run in the controller.

use shoal_types::{HostName, nodeset};

/// Why nodes get no jobs while their host is drained, in the words that Slurm shows and that tell ours from an operator's.
#[must_use]
pub fn drain_reason(host: &HostName) -> String {
    format!("shoal: host {host} is being drained")
}

/// Why nodes get no jobs while they move so that load is even.
pub const REBALANCE_REASON: &str = "shoal: it is being moved to another host";

/// No new jobs for these nodes, for this reason; those that run go on.
#[must_use]
pub fn drain_command<'a>(nodes: impl IntoIterator<Item = &'a str>, reason: &str) -> Vec<String> {
    update(nodes, &["State=DRAIN".to_owned(), format!("Reason={reason}")])
}

/// The jobs of these nodes go back to the queue, or end if they may not be run twice. They stay without jobs, for this reason.
#[must_use]
pub fn down_command<'a>(nodes: impl IntoIterator<Item = &'a str>, reason: &str) -> Vec<String> {
    update(nodes, &["State=DOWN".to_owned(), format!("Reason={reason}")])
}

/// Jobs for these nodes again.
#[must_use]
pub fn resume_command<'a>(nodes: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    update(nodes, &["State=RESUME".to_owned()])
}

fn update<'a>(nodes: impl IntoIterator<Item = &'a str>, settings: &[String]) -> Vec<String> {
    let nodes = format!("NodeName={}", nodeset::compress(nodes));
    let words = ["scontrol".to_owned(), "update".to_owned(), nodes];
    words.into_iter().chain(settings.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_for_all_nodes() {
        let host: HostName = "alpha".parse().unwrap();
        let nodes = ["worker-0", "worker-1", "worker-4"];
        assert_eq!(
            drain_command(nodes, &drain_reason(&host)),
            [
                "scontrol",
                "update",
                "NodeName=worker-[0-1,4]",
                "State=DRAIN",
                "Reason=shoal: host alpha is being drained"
            ]
        );
        assert_eq!(down_command(nodes, "disk")[3..], ["State=DOWN", "Reason=disk"]);
        assert_eq!(resume_command(["worker-0"]), ["scontrol", "update", "NodeName=worker-0", "State=RESUME"]);
    }
}
