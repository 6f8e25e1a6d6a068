//! Hosts that fail during work: a create goes elsewhere or says why not, a delete says what it could not reach, and what
//! was left is removed when the host returns.
//!
//! Engines are killed and cables pulled here, which ends the nodes of whoever else is on the lab: these tests run last.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use shoal_tests::{Action, Call, Cluster, Installation, Machine, Mode, Rule, Stage, When, list, text};
use shoal_types::EventKind;

use crate::bed::{Bed, Shared, timed};

static BED: Shared = Shared::of_hosts(3);

const CREATE: [&str; 5] = ["create", "cluster", "lost", "--workers", "5"];
const DELETE: [&str; 3] = ["delete", "cluster", "lost"];
/// The host that fails.
const THIRD: usize = 2;

/// State and last error of every host, as JSON tells.
fn health(home: &Installation) -> anyhow::Result<Vec<(String, String, String)>> {
    let hosts = home.json(&["get", "hosts"])?;
    list(&hosts)?
        .iter()
        .map(|host| Ok((text(host, "name")?, text(host, "state")?, host["error"].to_string())))
        .collect()
}

fn on<'c>(cluster: &'c Cluster, machine: &Machine) -> impl Iterator<Item = &'c str> {
    let name = machine.name();
    cluster.nodes.iter().filter(move |node| node.machine.name() == name).map(|node| node.name.as_str())
}

/// Before anything was started there: the create goes elsewhere and becomes ready, and nothing of it stays on the host. (A host
/// whose disk is full, whose image is gone or that refuses connections is left at once, in virtual time: `tests/sim/hosts.rs`.)
pub(crate) fn a_create_goes_elsewhere_while_nothing_was_started(stage: &Stage) -> anyhow::Result<()> {
    const MAKING: &[&str] = &["/containers/create", ".lost."];
    BED.lend(stage, |bed| {
        // Several are made at once: whichever is answered first is not started.
        let rule = Rule::new("POST", MAKING, When::After, Action::Become(Mode::Hang)).every();
        let acted = bed.proxies[THIRD].arm(rule);
        let (ended, took) = timed(&bed.home, &CREATE)?;
        ended.ok()?;
        ensure!(acted.try_iter().next().is_some(), "no node was to go there");
        println!("  it hangs: ready elsewhere after {took:.1} s");
        let cluster = bed.home.cluster("lost", &bed.machines)?;
        let there: Vec<_> = on(&cluster, &bed.machines[THIRD]).collect();
        ensure!(there.is_empty() && cluster.nodes.len() == 6, "{there:?} there though it hangs");
        bed.job("lost", 5)?;
        bed.mend();
        // The host is back: what was left there goes, though the cluster stays.
        bed.finish()?;
        let label = format!("shoal.cluster={}", cluster.id);
        for kind in ["container", "network", "volume"] {
            let left = bed.machines[THIRD].labelled(kind, &label)?;
            ensure!(left.is_empty(), "{kind} {left:?} stays though it hangs no longer");
        }
        bed.home.run(&DELETE)?.ok()?;
        bed.gone("lost")
    })
}

/// After a start there: it fails and names the host, is removed everywhere else, and there once the host is back.
pub(crate) fn a_create_fails_once_a_node_was_started_there(stage: &Stage) -> anyhow::Result<()> {
    BED.lend(stage, |bed| {
        let rule = Rule::new("POST", &["/containers/", "/start"], When::After, Action::Become(Mode::Refuse));
        let acted = bed.proxies[THIRD].arm(rule);
        let (ended, took) = timed(&bed.home, &CREATE)?;
        ensure!(acted.try_iter().next().is_some(), "nothing was started there");
        let name = bed.machines[THIRD].name();
        ensure!(matches!(ended.code, Some(1 | 5)) && ended.stderr.contains(&name), "{ended}");
        println!("  lost after a start: failed and rolled back after {took:.1} s, status {:?}", ended.code);
        left_only_there(bed)?;
        bed.mend();
        println!("  gone {:.1} s after its return", bed.finish()?.as_secs_f32());
        bed.gone("lost")
    })
}

/// The cluster is `deleting`, and nothing of it is on any host but the third.
fn left_only_there(bed: &Bed) -> anyhow::Result<()> {
    let phase = bed.home.phase("lost")?;
    ensure!(phase.as_deref() == Some("deleting"), "{phase:?}");
    let cluster = bed.home.json(&["get", "cluster", "lost"])?;
    let label = format!("shoal.cluster={}", text(&cluster, "id")?);
    for (at, machine) in bed.machines.iter().enumerate() {
        let containers = machine.labelled("container", &label)?;
        ensure!(containers.is_empty() == (at != THIRD), "{containers:?} on {}", machine.name());
    }
    Ok(())
}

/// One slow host never delays the others: their nodes are all started while it is still at its own.
pub(crate) fn a_slow_host_delays_only_itself(stage: &Stage) -> anyhow::Result<()> {
    BED.lend(stage, |bed| {
        let log = bed.home.log()?;
        bed.proxies[THIRD].set(Mode::Slow(Duration::from_millis(1500)));
        bed.home.run(&CREATE)?.ok()?;
        bed.proxies[THIRD].mend();
        let slow = bed.machines[THIRD].name();
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for event in log.events()?.into_iter().filter(|event| event.event.kind == EventKind::NodeStarted) {
            let there = event.event.host.as_ref().is_some_and(|host| host.to_string() == slow);
            if there { own.push(event.event.at) } else { others.push(event.event.at) }
        }
        let (first, last) =
            (own.iter().min().context("none there")?, others.iter().max().context("no others")?);
        println!("  the others were done {:?} before its first", first.since(*last));
        ensure!(own.len() == 2 && others.len() == 4 && last < first, "{own:?}, {others:?}");
        bed.home.run(&DELETE)?.ok()?;
        bed.gone("lost")
    })
}

/// What a user asks for wrongly says nothing about hosts.
pub(crate) fn errors_of_users_do_not_count_against_a_host(stage: &Stage) -> anyhow::Result<()> {
    BED.lend(stage, |bed| {
        let before = health(&bed.home)?;
        ensure!(before.iter().all(|(_, state, error)| state == "ready" && error == "null"), "{before:?}");
        bed.home.run(&["create", "cluster", "lost", "--image", "no-such-image:1"])?.with(1)?;
        ensure!(health(&bed.home)? == before, "after a bad image: {:?}", health(&bed.home)?);
        bed.arm(
            &Rule::new(
                "POST",
                &["/containers/create", ".lost."],
                When::Before,
                Action::Answer(400, "invalid CPU quota"),
            )
            .every(),
        );
        let ended = bed.home.run(&CREATE)?.with(1)?;
        ensure!(ended.stderr.contains("invalid CPU quota"), "{ended}");
        ensure!(health(&bed.home)? == before, "after a bad option: {:?}", health(&bed.home)?);
        bed.mend();
        bed.gone("lost")
    })
}

/// Engines are killed under nodes that run: the nodes live on and work; a delete meanwhile removes all else, names the host
/// and ends with status 5; the next pass finishes it, and so does unregistering with force.
pub(crate) fn an_engine_dies_while_its_nodes_live(stage: &Stage) -> anyhow::Result<()> {
    BED.lend(stage, |bed| {
        let lab = stage.lab()?;
        let third = &bed.machines[THIRD];
        for forced in [false, true] {
            bed.home.run(&CREATE)?.ok()?;
            lab.kill_engine(third.host().name)?;
            let outcome = (|| {
                // Its workers are still in Slurm and reachable through the mesh.
                bed.job("lost", 5)?;
                let (ended, took) = timed(&bed.home, &DELETE)?;
                let ended = ended.with(5)?;
                ensure!(ended.stderr.contains(&third.name()), "{ended}");
                println!("  delete with a dead engine: status 5 after {took:.1} s");
                let phase = bed.home.phase("lost")?;
                ensure!(phase.as_deref() == Some("deleting"), "{phase:?}");
                if forced {
                    bed.home.run(&["unregister", &third.name(), "--force"])?.ok()?;
                    bed.home.run(&["get", "cluster", "lost"])?.with(3)?;
                }
                anyhow::Ok(())
            })();
            lab.restart(third.host().name)?;
            outcome?;
            if forced {
                scrub(third, &bed.home.log()?.installation())?;
                bed.home.register_through(&bed.proxies[THIRD], third)?;
            } else {
                println!("  gone {:.1} s after its return", bed.finish()?.as_secs_f32());
            }
            bed.gone("lost")?;
        }
        Ok(())
    })
}

/// Removes by hand what a forgotten installation left.
fn scrub(machine: &Machine, installation: &str) -> anyhow::Result<()> {
    let label = format!("shoal.installation={installation}");
    for (kind, remove) in [
        ("container", &["rm", "--force"][..]),
        ("volume", &["volume", "rm"]),
        ("network", &["network", "rm"]),
    ] {
        for id in machine.labelled(kind, &label)? {
            machine.docker(&[remove, &[id.as_str()]].concat())?.ok()?;
        }
    }
    let netns = &machine.host().netns;
    let links = Call::new(Path::new("ip")).words(["-netns", netns, "-oneline", "link"]).end()?.ok()?;
    for device in links.split_whitespace().filter(|word| word.starts_with(&format!("sv{installation}"))) {
        let device = device.trim_end_matches(':');
        Call::new(Path::new("ip")).words(["-netns", netns, "link", "del", device]).end()?.ok()?;
    }
    Ok(())
}

/// Power fails under a create that had not started anything there: it goes elsewhere; the host boots and is clean.
pub(crate) fn a_power_cut_before_a_start(stage: &Stage) -> anyhow::Result<()> {
    BED.lend_last(stage, |bed| {
        let rule = Rule::new("POST", &["/containers/create", ".lost."], When::After, Action::Hang).every();
        let (ended, took) = bed.cut_power(stage.lab()?, THIRD, rule, &CREATE)?;
        ended.ok()?;
        println!("  power cut: ready elsewhere after {took:.1} s");
        bed.job("lost", 5)?;
        bed.finish()?;
        bed.home.run(&DELETE)?.ok()?;
        bed.gone("lost")
    })
}

/// A cable is pulled out: whoever comes through the LAN finds the host unreachable, creates without it, and deletes all
/// but what is there.
pub(crate) fn a_host_is_cut_off(stage: &Stage) -> anyhow::Result<()> {
    stage.home()?;
    let (lab, machines) = (stage.lab()?, stage.machines()?);
    let home = Installation::new(stage.means(), None)?;
    home.register(machines)?;
    let third = &machines[THIRD];
    let name = third.name();
    home.run(&CREATE)?.ok()?;
    lab.partition(third.host().name)?;
    let outcome = (|| {
        let (ended, took) = timed(&home, &DELETE)?;
        let ended = ended.with(5)?;
        ensure!(ended.stderr.contains(&name), "{ended}");
        println!("  delete with a host cut off: status 5 after {took:.1} s");
        let (ended, took) = timed(&home, &["create", "cluster", "other", "--workers", "3"])?;
        ended.ok()?;
        println!("  create with a host cut off: ready after {took:.1} s");
        let other = home.cluster("other", machines)?;
        ensure!(on(&other, third).count() == 0, "nodes on {name}");
        let shown = health(&home)?;
        let cut = shown.iter().find(|(host, ..)| *host == name).context("no such host")?;
        ensure!(cut.1 == "unreachable" && cut.2 != "null", "{cut:?}");
        anyhow::Ok(())
    })();
    lab.mend(third.host().name)?;
    outcome?;
    home.run(&["delete", "cluster", "other"])?.ok()?;
    home.run(&["get", "cluster", "lost"])?.with(3)?;
    for machine in machines {
        home.run(&["unregister", &machine.name()])?.ok()?;
    }
    Ok(())
}
