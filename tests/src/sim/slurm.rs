//! What a simulated slurmctld keeps of its nodes, in its state directory as the real one does: who must not get jobs, and why.

use std::collections::BTreeMap;

use bytes::Bytes;
use shoal_docker_fake::Inside;

/// Where the controller's volume is.
const STATE: &str = "/var/lib/slurm/slurmctld/node_state";

/// Node -> why it gets no jobs.
pub(super) fn kept(inside: &Inside) -> BTreeMap<String, String> {
    let state = inside.read(STATE).unwrap_or_default();
    let lines = String::from_utf8_lossy(&state).into_owned();
    lines.lines().filter_map(|line| line.split_once('|')).map(|(n, why)| (n.into(), why.into())).collect()
}

/// `scontrol update`: the nodes it is about, if they get no jobs from now on and those they have end.
pub(super) fn update(inside: &Inside, words: &[&str]) -> Option<Vec<String>> {
    let of = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
    let nodes = shoal_slurm::expand(of("NodeName=")?).ok()?;
    let mut all = kept(inside);
    let state = of("State=")?;
    for node in &nodes {
        match state {
            "RESUME" => drop(all.remove(node)),
            _ => drop(all.insert(node.clone(), of("Reason=").unwrap_or_default().to_owned())),
        }
    }
    let lines: String = all.iter().map(|(node, why)| format!("{node}|{why}\n")).collect();
    inside.write(STATE, Bytes::from(lines));
    Some(if state == "DOWN" { nodes } else { vec![] })
}

/// What `sinfo` says of a node.
pub(super) fn line(name: &str, up: bool, busy: bool, kept: Option<&String>) -> String {
    let state = match (up, busy, kept) {
        (false, _, None) => "unknown*",
        (false, _, Some(_)) => "drained*",
        (true, false, None) => "idle",
        (true, true, None) => "allocated",
        (true, true, Some(_)) => "draining",
        (true, false, Some(_)) => "drained",
    };
    format!("{name}|{state}|{}\n", kept.map_or("none", String::as_str))
}
