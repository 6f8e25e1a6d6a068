//! Sweeping: things made by hand that no row explains, beside those of a cluster, of another installation and of nobody;
//! and finishing by `resume` what a killed process left.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use shoal_tests::{Call, Cluster, Ended, Installation, Machine, Stage, Traces, list, text};

use crate::interrupted::signal_after;

/// A cluster that no store knows.
const LOST: &str = "clu_01900000000070008000000000000001";
/// Nobody's installation, though its things lie beside ours.
const OTHER: &str = "fffffe";
const IMAGE: &str = "shoal-node:bookworm";

/// Things made by hand; what a sweep leaves of them is removed when this is dropped.
#[derive(Default)]
struct Made<'a>(Vec<(&'a Machine, Vec<String>)>);

impl<'a> Made<'a> {
    fn docker(&mut self, machine: &'a Machine, words: &[&str], undo: &[&str]) -> anyhow::Result<()> {
        let docker = ["-H", &format!("unix://{}", machine.host().socket.display())].map(str::to_owned);
        self.0.push((machine, [&["docker".to_owned()][..], &docker, &owned(undo)].concat()));
        machine.docker(words)?.ok().map(drop)
    }

    fn container(&mut self, machine: &'a Machine, name: &str, labels: &[(&str, &str)]) -> anyhow::Result<()> {
        let labels = flags(labels);
        let words = [&["create", "--name", name][..], &refs(&labels), &[IMAGE, "true"]].concat();
        self.docker(machine, &words, &["rm", "--force", name])
    }

    fn network(&mut self, machine: &'a Machine, name: &str, labels: &[(&str, &str)]) -> anyhow::Result<()> {
        let labels = flags(labels);
        let words = [&["network", "create"][..], &refs(&labels), &[name]].concat();
        self.docker(machine, &words, &["network", "rm", name])
    }

    fn volume(&mut self, machine: &'a Machine, name: &str, labels: &[(&str, &str)]) -> anyhow::Result<()> {
        let labels = flags(labels);
        let words = [&["volume", "create"][..], &refs(&labels), &[name]].concat();
        self.docker(machine, &words, &["volume", "rm", "--force", name])
    }

    fn device(&mut self, machine: &'a Machine, name: &str, vni: u32) -> anyhow::Result<()> {
        let vni = vni.to_string();
        let words = ["link", "add", name, "type", "vxlan", "id", &vni, "dstport", "4790"];
        self.0.push((machine, owned(&["ip", "-netns", &machine.host().netns, "link", "del", name])));
        ip(machine, &words)?.ok().map(drop)
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for (_, undo) in self.0.drain(..) {
            // Most of it is gone by now.
            drop(Call::new(&undo[0]).words(&undo[1..]).end());
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn refs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn flags(labels: &[(&str, &str)]) -> Vec<String> {
    labels.iter().flat_map(|(key, value)| ["--label".to_owned(), format!("shoal.{key}={value}")]).collect()
}

fn ip(machine: &Machine, words: &[&str]) -> anyhow::Result<Ended> {
    Call::new("ip").words(["-netns", &machine.host().netns]).words(words).end()
}

/// The installations that have an agent on a host.
fn installations(machine: &Machine) -> anyhow::Result<BTreeSet<String>> {
    let format = "{{.Label \"shoal.installation\"}}";
    let words = ["ps", "--all", "--filter", "label=shoal.role=agent", "--format", format];
    Ok(machine.docker(&words)?.ok()?.lines().map(str::to_owned).collect())
}

/// What a sweep says became of each thing: name -> end and reason.
fn ends(answer: &Value) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let things = list(&answer["things"])?.iter();
    things.map(|t| Ok((text(t, "name")?, (text(t, "end")?, text(t, "reason")?)))).collect()
}

#[track_caller]
fn expect(answer: &Value, expected: &[(&str, &str, &str)]) -> anyhow::Result<()> {
    let ends = ends(answer)?;
    for (name, end, reason) in expected {
        let found = ends.get(*name).with_context(|| format!("nothing of {name} in {answer}"))?;
        ensure!(found.0 == *end && found.1.contains(reason), "{name}: {found:?} is not {end}, {reason}");
    }
    ensure!(ends.len() == expected.len(), "{ends:?}");
    Ok(())
}

/// A dry run shows, the grace time and the limit hold things back, a sweep takes what nothing explains and nothing else.
pub(crate) fn what_nothing_explains_goes_and_nothing_else(stage: &Stage) -> anyhow::Result<()> {
    let [one, two, three] = stage.machines()? else { anyhow::bail!("a lab of other than three hosts") };
    // Another installation, at work on the same hosts all along.
    stage.dev()?;
    let before = Traces::of(stage.machines()?)?;
    let there = installations(one)?;
    let ours = Installation::new(stage.means(), None)?;
    ours.register(stage.machines()?)?;
    let id = installations(one)?.difference(&there).next().context("no agent of it")?.clone();
    ours.run(&["create", "cluster", "live", "--workers", "2"])?.ok()?;
    ours.run(&["create", "cluster", "gone", "--workers", "1"])?.ok()?;
    let gone = ours.cluster("gone", stage.machines()?)?.id;
    ours.run(&["delete", "cluster", "gone"])?.ok()?;
    let live = ours.cluster("live", stage.machines()?)?;
    let with_cluster = Traces::of(stage.machines()?)?;

    let mut theirs = Made::default();
    let of_others = [("installation", OTHER), ("cluster", LOST)];
    theirs.container(one, "their-node", &of_others)?;
    theirs.network(one, "their-net", &of_others)?;
    theirs.volume(one, "their-state", &of_others)?;
    theirs.device(one, &format!("sv{OTHER}00000b"), 11)?;
    // Installation 00<four of our digits>, with a VNI that begins with our last two: ours is spelt in the middle.
    theirs.device(two, &format!("sv00{id}1000"), 12)?;
    theirs.container(one, "nobodys", &[])?;
    let others = Traces::of(stage.machines()?)?;

    let mut made = Made::default();
    let lost = [("installation", id.as_str()), ("cluster", LOST)];
    made.container(one, "lost-node", &[&lost[..], &[("node", "x"), ("generation", "1")]].concat())?;
    made.network(one, "lost-net", &lost)?;
    made.volume(one, "lost-state", &lost)?;
    let device = format!("sv{id}00000d");
    made.device(two, &device, 13)?;
    made.volume(two, "old-state", &[("installation", &id), ("cluster", &gone)])?;
    let (moved, elsewhere) = misplaced(&live, stage.machines()?)?;
    let of_live =
        [("installation", id.as_str()), ("cluster", &live.id), ("node", &moved), ("generation", "1")];
    made.container(elsewhere, "moved-node", &of_live)?;
    let everything = Traces::of(stage.machines()?)?;

    // Young things stay; a device has no age.
    let young = ours.json(&["sweep", "--dry-run"])?;
    let reason = "younger than 300 s";
    expect(
        &young,
        &[
            ("lost-node", "stays", reason),
            ("lost-net", "stays", reason),
            ("lost-state", "stays", "no row says"),
            (&device, "would-go", "no network in the store has its VNI"),
            ("old-state", "stays", reason),
            ("moved-node", "stays", reason),
        ],
    )?;
    let shown = ours.run(&["sweep", "--dry-run", "--grace", "0"])?.ok()?;
    ensure!(shown.contains("HOST") && shown.contains("5 would go, 1 stay"), "{shown}");
    ensure!(Traces::of(stage.machines()?)? == everything, "a dry run changes nothing");

    // With five more it is too much at once, and nothing goes.
    for n in 0..5 {
        made.container(three, &format!("more-{n}"), &lost)?;
    }
    let too_much = ours.run(&["sweep", "--grace", "0"])?.with(1)?;
    for word in ["10 of ", "30 %", "nothing was removed", "--yes-really"] {
        ensure!(too_much.stderr.contains(word), "no `{word}` in {too_much}");
    }
    let still = Traces::of(stage.machines()?)?;
    ensure!(everything.since(&still).is_empty(), "{:?} went", everything.since(&still));

    let swept = ours.json(&["sweep", "--grace", "0", "--yes-really"])?;
    let more: Vec<_> = (0..5).map(|n| format!("more-{n}")).collect();
    let unknown = "its cluster is not in the store";
    let mut expected = vec![
        ("lost-node", "gone", unknown),
        ("lost-net", "gone", unknown),
        ("lost-state", "stays", "no row says"),
        (&device, "gone", "no network in the store has its VNI"),
        ("old-state", "gone", "its cluster was deleted"),
        ("moved-node", "gone", "its node is placed on another host"),
    ];
    expected.extend(more.iter().map(|name| (name.as_str(), "gone", unknown)));
    expect(&swept, &expected)?;
    ensure!(list(&swept["hosts"])?.iter().all(|host| host["agent_asked"] == true), "{swept}");

    // What is left of all that: the volume of which no row says that it may go.
    let after = Traces::of(stage.machines()?)?;
    ensure!(others.since(&after).is_empty(), "{:?} went too", others.since(&after));
    let left = format!("{}: volume lost-state", one.name());
    ensure!(after.since(&others) == [left.as_str()], "{:?}", after.since(&others));
    ours.run(&["exec", "live", "--", "srun", "-N", "2", "true"])?.ok()?;
    drop((made, theirs));
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == with_cluster, "{:?}", after.since(&with_cluster));

    ours.run(&["delete", "cluster", "live"])?.ok()?;
    for machine in stage.machines()? {
        ours.run(&["unregister", &machine.name()])?.ok()?;
    }
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "{:?}", after.since(&before));
    Ok(())
}

/// A node of a cluster, and a host that is not its own.
fn misplaced<'a>(cluster: &Cluster, machines: &'a [Machine]) -> anyhow::Result<(String, &'a Machine)> {
    let node = cluster.node("controller")?;
    let other = machines.iter().find(|machine| machine.name() != node.machine.name());
    Ok((node.id.clone(), other.context("a lab of one host")?))
}

/// SIGKILL during a create: `resume` finishes it and says so; then there is nothing to resume.
pub(crate) fn resume_finishes_what_a_killed_process_left(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let before = Traces::of(stage.machines()?)?;
    let child = home.begin(&["create", "cluster", "cut", "--workers", "4"])?;
    let (said, code) = signal_after(child, "worker-", Signal::SIGKILL)?;
    ensure!(code.is_none(), "{code:?}: {said}");
    // Its containers are explained by their rows, whoever works on them.
    let dry = home.json(&["sweep", "--dry-run", "--grace", "0"])?;
    ensure!(list(&dry["things"])?.is_empty(), "{dry}");

    let resumed = home.json(&["resume"])?;
    let expected = serde_json::json!([{ "name": "cut", "end": "ready", "reason": null }]);
    ensure!(resumed["clusters"] == expected, "{resumed}");
    home.run(&["exec", "cut", "--", "srun", "-N", "4", "true"])?.ok()?;
    ensure!(home.run(&["resume"])?.ok()?.trim() == "nothing was interrupted");
    home.run(&["delete", "cluster", "cut"])?.ok()?;
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "{:?}", after.since(&before));
    Ok(())
}
