//! How a cluster is: a headline, its nodes one a row, then what is not as it should be.

use shoal_api::{Phase, Status, without_host};
use shoal_types::{Bytes, natural, nodeset};

use super::{Width, hosts::age, table};
use crate::escape;

/// Failing nodes whose last words are shown; those of the rest are for programs.
const QUOTED: usize = 5;

/// `dev is ready: 17 of 17 nodes are well; workers: 16 idle`.
fn headline(status: &Status) -> String {
    let well = status.nodes.iter().filter(|n| n.troubles.is_empty()).count();
    let but = if status.phase == Phase::Ready && !status.is_well() { ", but not well" } else { "" };
    let states: Vec<_> =
        status.slurm.workers.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let workers = if states.is_empty() { String::new() } else { format!("; workers: {}", states.join(", ")) };
    let line = format!(
        "{} is {}{but}: {well} of {} nodes are well{workers}",
        status.name,
        status.phase,
        status.nodes.len()
    );
    escape::line(&line)
}

/// `copied 12 s ago, 180 KiB`: the copy of the controller's state off its host.
fn state(status: &Status) -> String {
    let none = match status.healing.copies_ms {
        0 => "not copied off its host",
        _ => "no copy off its host yet",
    };
    let Some(copy) = &status.state_copy else { return none.into() };
    let copied = match copy.age_ms {
        Some(ms) if status.healing.copies_ms == 0 => format!("{none}; the last copy is {} old", age(ms)),
        Some(ms) => format!("copied {} ago, {}", age(ms), Bytes(copy.state_bytes)),
        None => none.to_owned(),
    };
    match &copy.trouble {
        Some(trouble) => format!("{copied}; now {trouble}"),
        None => copied,
    }
}

/// The lines below the headline, as `name: value`.
fn facts(status: &Status) -> Vec<(&'static str, String)> {
    let mut facts = vec![("slurm", status.slurm.version.clone().unwrap_or_else(|| "unknown".into()))];
    facts.push((
        "image",
        match status.image.digest.as_str() {
            "" => status.image.reference.clone(),
            digest => {
                format!("{} ({})", status.image.reference, digest.chars().take(19).collect::<String>())
            }
        },
    ));
    facts.extend(status.healing.chosen().map(|healing| ("healing", healing.to_string())));
    facts.extend(status.expires.map(|at| ("expires", at.to_string())));
    facts.extend(status.network.as_ref().map(|network| ("network", network.to_string())));
    facts.push(("state", state(status)));
    for host in &status.hosts {
        let of = |version: &Option<String>| version.clone().unwrap_or_else(|| "unknown".into());
        facts.push((
            "host",
            format!(
                "{}: {} {}, engine {}, agent {}, network {}",
                host.name,
                host.nodes,
                if host.nodes == 1 { "node" } else { "nodes" },
                of(&host.engine_version),
                of(&host.agent_version),
                host.network
            ),
        ));
    }
    facts
}

/// One line for each thing that is wrong: nodes with the same trouble together; then the last words of some that fail.
fn troubles(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(status.failure.iter().map(|why| format!("{}: {why}", status.name)));
    lines.extend(status.slurm.error.iter().map(|why| format!("Slurm does not answer: {why}")));
    for host in &status.hosts {
        let heard =
            if host.age_ms == 0 { String::new() } else { format!(" (last heard {} ago)", age(host.age_ms)) };
        let bare = |why: &String| without_host(&host.name, why).to_owned();
        lines.extend(host.error.iter().map(|why| format!("{}: {}{heard}", host.name, bare(why))));
        lines.extend(host.agent_error.iter().map(|why| format!("{}: its agent: {}", host.name, bare(why))));
        lines.extend(host.network_trouble.iter().map(|why| format!("{}: its network: {why}", host.name)));
    }
    let mut alike: Vec<(&str, Vec<&str>)> = Vec::new();
    for node in &status.nodes {
        for trouble in &node.troubles {
            match alike.iter_mut().find(|(known, _)| known == trouble) {
                Some((_, nodes)) => nodes.push(&node.name),
                None => alike.push((trouble, vec![&node.name])),
            }
        }
    }
    alike.sort_by(|a, b| natural::cmp(a.1[0], b.1[0]));
    lines.extend(
        alike
            .iter()
            .map(|(trouble, nodes)| format!("{}: {trouble}", nodeset::compress(nodes.iter().copied()))),
    );
    for node in status.nodes.iter().filter(|node| node.failing.is_some()).take(QUOTED) {
        let log = node.failing.iter().flat_map(|failing| &failing.log);
        lines.extend(log.map(|line| format!("{} | {line}", node.name)));
    }
    lines.iter().map(|line| escape::line(line)).collect()
}

/// The whole, for people.
pub(crate) fn status_text(width: Width, status: &Status) -> String {
    let or = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.into());
    let rows = status.nodes.iter().map(|node| {
        [
            node.name.clone(),
            node.container.to_string(),
            node.systemd.to_string(),
            node.munge.to_string(),
            node.sshd.to_string(),
            or(&node.slurm, "-"),
            or(&node.host, "-"),
            node.address.clone(),
            if node.age_ms == 0 { "now".into() } else { age(node.age_ms) },
        ]
    });
    let header = ["NAME", "CONTAINER", "SYSTEMD", "MUNGE", "SSHD", "SLURM", "HOST", "ADDRESS", "SEEN"];
    let mut text = headline(status);
    for (what, that) in facts(status) {
        text += &format!("\n{:<9}{}", format!("{what}:"), escape::line(&that));
    }
    text += &format!("\n\n{}", table(width, header, 7, rows, "no nodes"));
    let troubles = troubles(status);
    if !troubles.is_empty() {
        text += &format!("\n\n{}", troubles.join("\n"));
    }
    text
}

#[cfg(test)]
mod tests;
