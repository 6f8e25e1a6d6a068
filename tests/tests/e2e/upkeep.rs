//! Ready clusters that are damaged by hand and by power cuts, and what `shoal repair` makes of them.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::Value;
use shoal_tests::{Cluster, Installation, Stage, list, text};

/// How long Slurm may take to write its state down.
const SAVED: Duration = Duration::from_secs(60);
const CREATE: [&str; 5] = ["create", "cluster", "kept", "--workers", "5"];

/// Repairs; the mends, as `kind node`.
fn repair(home: &Installation, code: i32) -> anyhow::Result<Vec<String>> {
    let ended = home.run(&["repair", "kept", "-o", "json"])?.with(code)?;
    let repaired: Value = serde_json::from_str(&ended.stdout)?;
    let mut mends = Vec::new();
    for cluster in list(&repaired["clusters"])? {
        ensure!(code != 0 || list(&cluster["troubles"])?.is_empty(), "{cluster}");
        for mend in list(&cluster["mends"])? {
            let node = mend["node"].as_str().unwrap_or("-");
            mends.push(format!("{} {node}", text(mend, "kind")?));
        }
    }
    mends.sort();
    Ok(mends)
}

/// What a user sees of the nodes: names, addresses, hosts, and that `ssh` with the host keys of before lets in.
fn same(home: &Installation, before: &Cluster, after: &Cluster) -> anyhow::Result<()> {
    for node in &before.nodes {
        let now = after.node(&node.name)?;
        let of = |node: &shoal_tests::Node| (node.fqdn.clone(), node.address, node.machine.name());
        ensure!(of(node) == of(now), "{} is elsewhere", node.name);
        let words = ["ssh", &format!("{}.kept", node.name), "--", "hostname"];
        let hostname = home.run(&words)?.ok()?;
        ensure!(hostname.trim() == node.name, "{hostname}");
    }
    home.run(&["status", "kept"])?.ok()?;
    home.run(&["exec", "kept", "--", "srun", "-N5", "true"])?.ok().map(drop)
}

/// By hand: a container is removed, one is stopped, one is taken off its network; an agent goes; a worker is drained.
pub(crate) fn what_is_broken_by_hand_is_mended(stage: &Stage) -> anyhow::Result<()> {
    stage.home()?;
    let machines = stage.machines()?;
    let home = Installation::new(stage.means(), None)?;
    home.register(machines)?;
    home.run(&CREATE)?.ok()?;
    let before = home.cluster("kept", machines)?;
    ensure!(repair(&home, 0)?.is_empty(), "a new cluster has something to be mended");

    let node = |name: &str| before.node(name);
    let docker = |name: &str, words: &[&str]| {
        let node = before.node(name)?;
        let container = node.container()?;
        node.machine.docker(&[words, &[container.as_str()]].concat())?.ok()
    };
    let network = node("worker-2")?.machine.labelled("network", &format!("shoal.cluster={}", before.id))?;
    docker("worker-0", &["rm", "--force"])?;
    docker("worker-1", &["kill"])?;
    docker("worker-2", &["network", "disconnect", &network[0]])?;
    let held = ["exec", "kept", "--", "sbatch", "--hold", "--wrap", "hostname"];
    home.run(&held)?.ok()?;
    until_saved(&before)?;
    docker("controller", &["rm", "--force"])?;
    let agent = node("worker-3")?.machine.labelled("container", "shoal.role=agent")?;
    for id in agent {
        let installation = home.log()?.installation();
        let of =
            node("worker-3")?.machine.docker(&["inspect", "--format", "{{.Config.Labels}}", &id])?.ok()?;
        if of.contains(&installation) {
            node("worker-3")?.machine.docker(&["rm", "--force", &id])?.ok()?;
        }
    }
    let began = Instant::now();
    let mends = repair(&home, 0)?;
    println!("  {} mends in {:.1} s", mends.len(), began.elapsed().as_secs_f32());
    for expected in ["agent -", "create controller", "create worker-0", "start worker-1", "recreate worker-2"]
    {
        ensure!(mends.iter().any(|mend| mend == expected), "no `{expected}` in {mends:?}");
    }
    let after = home.cluster("kept", machines)?;
    same(&home, &before, &after)?;
    let queue = home.run(&["exec", "kept", "--", "squeue", "--noheader", "--format=%T"])?.ok()?;
    ensure!(queue.trim() == "PENDING", "the controller lost its queue: {queue}");
    // What ends again and again waits for its next restart, unless a person asks.
    for _ in 0..3 {
        docker("worker-1", &["kill"])?;
        ensure!(repair(&home, 0)? == ["start worker-1"]);
    }
    docker("worker-1", &["kill"])?;
    let waits = home.run(&["repair", "kept", "--unattended"])?.with(1)?.stdout;
    let fails = "worker-1: failing: ended 5 times in a row, last with exit status 137; next restart in ";
    ensure!(waits.contains(fails) && !waits.contains("was mended"), "{waits}");
    let told = home.run(&["get", "nodes", "kept"])?.ok()?;
    ensure!(told.contains("failing") && told.contains("worker-1: ended 5 times in a row"), "{told}");
    ensure!(repair(&home, 0)? == ["start worker-1"]);
    // What somebody drained stays so, and is nothing to be mended.
    let drain =
        ["exec", "kept", "--", "scontrol", "update", "nodename=worker-3", "state=drain", "reason=disk"];
    home.run(&drain)?.ok()?;
    ensure!(repair(&home, 0)?.is_empty(), "a drained node was to be mended");
    let told = home.run(&["repair", "kept"])?.ok()?;
    ensure!(told.contains("worker-3 stays drained"), "{told}");
    home.run(&["delete", "cluster", "kept"])?.ok()?;
    for machine in machines {
        home.run(&["unregister", &machine.name()])?.ok()?;
    }
    Ok(())
}

/// Returns once Slurm has written down the job that was submitted.
fn until_saved(cluster: &Cluster) -> anyhow::Result<()> {
    let began = Instant::now();
    let controller = cluster.node("controller")?;
    while controller.shell("grep -q wrap /var/lib/slurm/slurmctld/job_state")?.code != Some(0) {
        ensure!(began.elapsed() < SAVED, "Slurm saves no jobs");
        thread::yield_now();
    }
    Ok(())
}

/// A host loses power and comes back, first that of the controller, then one of workers.
pub(crate) fn a_host_that_lost_power_has_its_nodes_again(stage: &Stage) -> anyhow::Result<()> {
    stage.home()?;
    let (lab, machines) = (stage.lab()?, stage.machines()?);
    let home = Installation::new(stage.means(), None)?;
    home.register(machines)?;
    home.run(&CREATE)?.ok()?;
    let before = home.cluster("kept", machines)?;
    let of_controller = before.node("controller")?.machine.name();
    // Slurm writes down what becomes of jobs some seconds later: what ran just before its power fails runs for ever after it.
    home.run(&["exec", "kept", "--", "sbatch", "--hold", "--wrap", "hostname"])?.ok()?;
    until_saved(&before)?;
    let others = machines.iter().filter(|m| m.name() != of_controller).take(1);
    for machine in machines.iter().filter(|m| m.name() == of_controller).chain(others) {
        lab.cut_power(machine.host().name)?;
        let down = repair(&home, 1);
        lab.restart(machine.host().name)?;
        ensure!(down?.is_empty(), "something was to be mended while the host was off");
        let began = Instant::now();
        let mends = repair(&home, 0)?;
        println!("  {}: {} mends in {:.1} s", machine.name(), mends.len(), began.elapsed().as_secs_f32());
        same(&home, &before, &home.cluster("kept", machines)?)?;
    }
    let queue = home.run(&["exec", "kept", "--", "squeue", "--noheader", "--format=%T"])?.ok()?;
    ensure!(queue.trim() == "PENDING", "the controller lost its queue: {queue}");
    home.run(&["delete", "cluster", "kept"])?.ok()?;
    for machine in machines {
        home.run(&["unregister", &machine.name()])?.ok()?;
    }
    Ok(())
}
