//! Names: every agent gives the same answers, whichever host the asker is on.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use shoal_tests::{Cluster, Node, Stage};

/// Asks for A and PTR of every node, itself among them, in one go: `question -> answer`, as getent(1) prints them.
fn ask(asker: &Node, cluster: &Cluster) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    // Its own name is in its /etc/hosts, for which it is told the same.
    let questions: Vec<String> = cluster
        .nodes
        .iter()
        .flat_map(|node| {
            let short = node.name.clone();
            [short, format!("{}.{}", node.name, cluster.name), node.fqdn.clone(), node.address.to_string()]
        })
        .collect();
    let line = format!("for name in {}; do echo \"$name $(getent hosts $name)\"; done", questions.join(" "));
    let said = asker.shell(&line)?.ok()?;
    let mut answers = BTreeMap::new();
    for line in said.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        answers.insert(words.next().context("an empty line")?, words.collect());
    }
    Ok(answers)
}

/// A and PTR of a node are the same asked from its own host and from every other, in each form of its name.
pub(crate) fn every_host_gives_the_same_answers(stage: &Stage) -> anyhow::Result<()> {
    let dev = stage.dev()?;
    let askers = dev.one_worker_per_host();
    ensure!(askers.len() == 3, "workers on {} hosts", askers.len());
    for asker in askers {
        let from = format!("{} on {}", asker.name, asker.machine.name());
        let answers = ask(asker, dev)?;
        ensure!(
            dev.nodes.iter().any(|node| node.id != asker.id && node.machine.name() == asker.machine.name()),
            "{from} shares its host with no other node"
        );
        for node in &dev.nodes {
            let address = node.address.to_string();
            for name in [node.name.clone(), format!("{}.dev", node.name), node.fqdn.clone()] {
                let answer = answers.get(&name).and_then(|words| words.first());
                ensure!(answer == Some(&address), "{from}: {name} is {answer:?}, not {address}");
            }
            let name = answers.get(&address).and_then(|words| words.get(1));
            ensure!(name == Some(&node.fqdn), "{from}: {address} is {name:?}, not {}", node.fqdn);
        }
    }
    Ok(())
}

/// A name or an address of the cluster's that no node has is answered with "no", at once.
pub(crate) fn what_is_not_there_has_no_answer(stage: &Stage) -> anyhow::Result<()> {
    let dev = stage.dev()?;
    for asker in dev.one_worker_per_host() {
        for name in ["worker-99", "worker-99.dev", "worker-0.elsewhere.default.shoal.internal"] {
            asker.exec(&["timeout", "5", "getent", "hosts", name])?.with(2)?;
        }
    }
    Ok(())
}
