//! Several `shoal` processes at the same time on one state directory: no error that a user did not cause, nothing done
//! twice.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{anyhow, ensure};
use shoal_tests::{Ended, Proxy, Stage};
use shoal_types::EventKind;

use crate::bed::Bed;

/// Runs these commands at the same time, and `get` commands meanwhile, none of which may fail.
fn together<const N: usize>(bed: &Bed, commands: [&[&str]; N]) -> anyhow::Result<[Ended; N]> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut looks = 0;
            while !over.load(Ordering::Acquire) || looks == 0 {
                for what in ["clusters", "nodes", "hosts"] {
                    bed.home.run(&["get", what])?.ok()?;
                }
                looks += 1;
            }
            anyhow::Ok(looks)
        });
        let running = commands.map(|words| scope.spawn(move || bed.home.run(words)));
        let ended = running.map(|run| run.join().map_err(|_| anyhow!("a panic")).flatten());
        over.store(true, Ordering::Release);
        let looks = looking.join().map_err(|_| anyhow!("a panic"))??;
        println!("  {looks} rounds of looks meanwhile");
        let ended: Vec<Ended> = ended.into_iter().collect::<anyhow::Result<_>>()?;
        ended.try_into().map_err(|_| anyhow!("not {N} ends"))
    })
}

/// How often each node's container was asked for: name -> count.
fn creates(bed: &Bed) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in bed.proxies.iter().flat_map(Proxy::seen) {
        let name = line.split_once("/containers/create?").and_then(|(_, query)| query.split("name=").nth(1));
        let node =
            name.map(|name| name.split('&').next().unwrap_or(name)).filter(|n| n.contains(".default."));
        if let Some(node) = node {
            *counts.entry(node.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// That many nodes were made, and each once.
fn each_once(bed: &Bed, nodes: usize) -> anyhow::Result<()> {
    let counts = creates(bed);
    ensure!(counts.len() == nodes && counts.values().all(|count| *count == 1), "{counts:?}");
    Ok(())
}

/// Different clusters at once; one more while one of them goes.
pub(crate) fn different_clusters_do_not_meet(stage: &Stage) -> anyhow::Result<()> {
    let bed = Bed::new(stage, 2)?;
    let create = |name| ["create", "cluster", name, "--workers", "2"];
    for ended in together(&bed, [&create("one"), &create("two")])? {
        ended.ok()?;
    }
    each_once(&bed, 6)?;
    bed.job("one", 2)?;
    bed.job("two", 2)?;
    for ended in together(&bed, [&["delete", "cluster", "one"], &create("three")])? {
        ended.ok()?;
    }
    each_once(&bed, 9)?;
    bed.home.run(&["get", "cluster", "one"])?.with(3)?;
    bed.job("two", 2)?;
    bed.job("three", 2)?;
    // All of both, twice at the same time: whoever comes second finds the same end.
    let all: &[&str] = &["delete", "cluster", "two", "three"];
    for ended in together(&bed, [all, all])? {
        ensure!(matches!(ended.code, Some(0 | 3)), "{ended}");
    }
    bed.gone("two")?;
    bed.gone("three")?;
    bed.leave()
}

/// One name, wanted twice: one gets it, the other is told so, and nothing is made for both.
pub(crate) fn a_name_wanted_twice_is_given_once(stage: &Stage) -> anyhow::Result<()> {
    let bed = Bed::new(stage, 2)?;
    let words: &[&str] = &["create", "cluster", "same", "--workers", "2"];
    let ended = together(&bed, [words, words])?;
    let [won, lost] = if ended[0].code == Some(0) {
        ended
    } else {
        let [a, b] = ended;
        [b, a]
    };
    won.ok()?;
    let lost = lost.with(1)?;
    ensure!(lost.stderr.contains("same"), "{lost}");
    each_once(&bed, 3)?;
    bed.job("same", 2)?;
    bed.home.run(&["delete", "cluster", "same"])?.ok()?;
    bed.gone("same")?;
    bed.leave()
}

/// Deleted while it is being created: the delete succeeds, the create says that it was interrupted, nothing is left.
pub(crate) fn a_cluster_can_be_deleted_while_it_is_created(stage: &Stage) -> anyhow::Result<()> {
    let bed = Bed::new(stage, 2)?;
    let log = bed.home.log()?;
    thread::scope(|scope| {
        let creating = scope.spawn(|| bed.home.run(&["create", "cluster", "brief", "--workers", "4"]));
        let made = log.wait(Duration::from_secs(60), |event| event.event.kind == EventKind::NodeCreated);
        let deleted = bed.home.run(&["delete", "cluster", "brief"]);
        let created = creating.join().map_err(|_| anyhow!("a panic"))??;
        made?;
        deleted?.ok()?;
        created.with(130).map(drop)
    })?;
    ensure!(creates(&bed).values().all(|count| *count == 1), "{:?}", creates(&bed));
    bed.gone("brief")?;
    bed.leave()
}
