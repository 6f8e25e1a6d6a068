//! Images that not every host has: copied from one that has them, or pulled as who the registry knows.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use serde_json::Value;
use shoal_lab::EngineKind;
use shoal_tests::{Action, Machine, Registry, Rule, Stage, When, list, text};

use crate::bed::{Bed, killed};

const BASE: &str = "shoal-node:bookworm";
/// On port 5017 of every host's own loopback, which engines trust without TLS.
const REMOTE: &str = "127.0.0.1:5017/team/node:1";
const REGISTRY: &str = "127.0.0.1:5017";
const PASSWORD: &str = "correct-horse-battery";

/// The node image with one more label: another digest, the same layers.
fn derive(machine: &Machine, reference: &str) -> anyhow::Result<String> {
    machine.docker(&["create", "--name", "shoal-test-derive", BASE])?.ok()?;
    let label = format!("LABEL shoal.test={reference}");
    let made = machine.docker(&["commit", "--change", &label, "shoal-test-derive", reference])?.ok();
    machine.docker(&["rm", "shoal-test-derive"])?.ok()?;
    Ok(made?.trim().to_owned())
}

fn id_of(machine: &Machine, reference: &str) -> anyhow::Result<Option<String>> {
    let ended = machine.docker(&["image", "inspect", "--format", "{{.Id}}", reference])?;
    Ok((ended.code == Some(0)).then(|| ended.stdout.trim().to_owned()))
}

fn remove(machines: &[Machine], id: &str) -> anyhow::Result<()> {
    for machine in machines {
        if id_of(machine, id)?.is_some() {
            machine.docker(&["rmi", "--force", id])?.ok()?;
        }
    }
    Ok(())
}

/// The entry of an image in `get images`, and the names in one of its lists.
fn shown(bed: &Bed, id: &str) -> anyhow::Result<Value> {
    let images = bed.home.json(&["get", "images"])?;
    let entry = list(&images["images"])?.iter().find(|image| image["image_id"] == id).cloned();
    entry.with_context(|| format!("no {id} in {images}"))
}

fn names(entry: &Value, key: &str) -> anyhow::Result<BTreeSet<String>> {
    list(&entry[key])?.iter().map(|name| Ok(name.as_str().context("no text")?.to_owned())).collect()
}

/// The image is on one host of three. The process is killed when the first load is on its way; the next command goes on,
/// and in the end every host has it under its digest, copied once.
pub(crate) fn a_missing_image_comes_from_the_host_that_has_it(stage: &Stage) -> anyhow::Result<()> {
    let reference = "shoal-derived:1";
    let bed = Bed::new(stage, 3)?;
    let all: BTreeSet<String> = bed.machines.iter().map(Machine::name).collect();
    let [first, others @ ..] = bed.machines.as_slice() else { anyhow::bail!("a lab of three hosts") };
    let id = derive(first, reference)?;
    let entry = shown(&bed, &id)?;
    ensure!(names(&entry, "hosts")? == BTreeSet::from([first.name()]), "{entry}");
    ensure!(names(&entry, "missing")?.len() == 2 && text(&entry, "suite")? == "bookworm", "{entry}");

    let words = ["create", "cluster", "brought", "--workers", "5", "--image", reference];
    bed.arm(&Rule::new("POST", &["/images/load"], When::After, Action::Kill));
    let ended = bed.home.run(&words)?;
    ensure!(killed(&ended), "not killed at the load: {ended}");
    bed.mend();
    ensure!(bed.home.phase("brought")?.as_deref() == Some("interrupted"), "{:?}", bed.home.phase("brought")?);
    bed.finish()?;
    ensure!(bed.home.phase("brought")?.as_deref() == Some("ready"), "{:?}", bed.home.phase("brought")?);
    bed.job("brought", 5)?;
    for machine in others {
        ensure!(id_of(machine, reference)?.as_deref() == Some(&*id), "{} has another", machine.name());
    }
    let entry = shown(&bed, &id)?;
    ensure!(names(&entry, "hosts")? == all && names(&entry, "missing")?.is_empty(), "{entry}");
    ensure!(names(&entry, "clusters")? == BTreeSet::from(["default/brought".to_owned()]), "{entry}");
    let events = bed.home.json(&["get", "events", "brought"])?;
    let moved = list(&events)?.iter().any(|event| {
        event["kind"] == "image" && event["host"].is_string() && event["done_bytes"].as_u64() > Some(0)
    });
    ensure!(moved, "{events}");
    bed.home.run(&["delete", "cluster", "brought"])?.ok()?;
    remove(&bed.machines, &id)?;
    bed.gone("brought")?;
    bed.leave()
}

/// Power is cut on a host while the image comes to it: the create goes elsewhere, nothing half of it is there after the
/// restart, and the next create brings it whole.
pub(crate) fn a_power_cut_amid_a_transfer(stage: &Stage) -> anyhow::Result<()> {
    let reference = "shoal-derived:2";
    let bed = Bed::new(stage, 3)?;
    let [first, _, third] = bed.machines.as_slice() else { anyhow::bail!("a lab of three hosts") };
    let id = derive(first, reference)?;
    let create = ["create", "cluster", "cut", "--workers", "5", "--image", reference];
    let rule = Rule::new("POST", &["/images/load"], When::Before, Action::Part(100 << 20));
    let name = third.name();
    let (ended, _) = bed.cut_power(stage.lab()?, 2, rule, &create)?;
    ended.ok()?;
    ensure!(id_of(third, reference)?.is_none(), "it had come before the power was cut");
    let there = bed.home.cluster("cut", &bed.machines)?.nodes;
    ensure!(there.iter().all(|node| node.machine.name() != name), "a node is on {name}");
    bed.job("cut", 5)?;
    bed.finish()?;

    bed.home.run(&["create", "cluster", "whole", "--workers", "5", "--image", reference])?.ok()?;
    ensure!(id_of(third, reference)?.as_deref() == Some(&*id), "{name} has another");
    let there = bed.home.cluster("whole", &bed.machines)?.nodes;
    ensure!(there.iter().any(|node| node.machine.name() == name), "no node is on {name}");
    bed.job("whole", 5)?;
    for cluster in ["cut", "whole"] {
        bed.home.run(&["delete", "cluster", cluster])?.ok()?;
    }
    remove(&bed.machines, &id)?;
    bed.gone("cut")?;
    bed.leave()
}

/// No host has the image, its registry asks who pulls: refused without credentials, pulled with them. The password is in no
/// output and no file of the state directory.
pub(crate) fn an_image_is_pulled_as_who_was_set(stage: &Stage) -> anyhow::Result<()> {
    let bed = Bed::new(stage, 2)?;
    let modern =
        bed.machines.iter().find(|machine| machine.engine() == EngineKind::V28).context("no new engine")?;
    let id = derive(modern, REMOTE)?;
    let registry = Registry::of(modern, REMOTE, &bed.machines, "ann", PASSWORD)?;
    remove(&bed.machines, &id)?;
    let words = ["create", "cluster", "pulled", "--workers", "3", "--image", REMOTE];
    let refused = bed.home.run(&words)?.with(1)?;
    ensure!(refused.stderr.contains(REMOTE) && refused.stderr.contains("shoal set registry"), "{refused}");
    let set = ["set", "registry", REGISTRY, "--username", "ann", "--password-stdin"];
    let set = bed.home.call(&set).input(format!("{PASSWORD}\n")).end()?;
    let created = bed.home.run(&words)?;
    let listed = bed.home.run(&["get", "registries", "-o", "json"])?;
    let events = bed.home.run(&["get", "events"])?;
    for ended in [&set, &created, &listed, &events] {
        ensure!(!ended.stdout.contains(PASSWORD) && !ended.stderr.contains(PASSWORD), "{ended}");
    }
    created.ok()?;
    ensure!(listed.stdout.contains("ann"), "{listed}");
    ensure!(events.stdout.contains("was pulled"), "{events}");
    for machine in &bed.machines {
        ensure!(id_of(machine, REMOTE)?.as_deref() == Some(&*id), "{} has another", machine.name());
    }
    ensure!(registry.pulls() > 1, "others pulled by digest");
    for file in bed.home.files()? {
        let bytes = std::fs::read(&file)?;
        let found = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        ensure!(!found, "the password is in {}", file.display());
    }
    bed.home.run(&["delete", "cluster", "pulled"])?.ok()?;
    bed.home.run(&["set", "registry", REGISTRY, "--remove"])?.ok()?;
    bed.home.run(&["set", "registry", REGISTRY, "--remove"])?.with(3)?;
    remove(&bed.machines, &id)?;
    bed.gone("pulled")?;
    bed.leave()
}
