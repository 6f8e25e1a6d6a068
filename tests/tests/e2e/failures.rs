//! Creations that fail: what is said, and what is left.

use std::time::Instant;

use anyhow::ensure;
use shoal_tests::{Stage, Traces, text};

use crate::bed::AT_ONCE;

/// Past the deadline the error names node, host and stage; what was made is removed.
pub(crate) fn a_deadline_names_node_host_and_stage_and_leaves_nothing(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let before = Traces::of(stage.machines()?)?;
    let ended = home.run(&["create", "cluster", "late", "--workers", "16", "--wait", "1s"])?.with(1)?;
    for word in ["late", "within 1 s", "stuck at", " on host", "removed"] {
        ensure!(ended.stderr.contains(word), "no `{word}` in {ended}");
    }
    home.run(&["get", "cluster", "late"])?.with(3)?;
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "{:?}", after.since(&before));
    Ok(())
}

/// A slurm.conf that slurmctld refuses: the stage is slurmctld, and its own words are there.
pub(crate) fn what_slurm_refuses_is_shown(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let before = Traces::of(stage.machines()?)?;
    let config = "\
kind: Cluster
name: refused
nodes: [controller, worker]
slurm: { main: \"NoSuchOption=1\\n\" }
";
    // Told as soon as it is known, not when the five minutes it might take are over.
    let started = Instant::now();
    let ended = home.call(&["create", "cluster", "--config", "-"]).input(config).end()?.with(1)?;
    ensure!(started.elapsed() < AT_ONCE, "told after {:?}", started.elapsed());
    for word in [
        "slurmctld does not start: ",
        "unrecognized key: NoSuchOption (<stdin>:4: NoSuchOption=1)",
        "stuck at slurmctld",
    ] {
        ensure!(ended.stderr.contains(word), "no `{word}` in {ended}");
    }
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "{:?}", after.since(&before));
    Ok(())
}

/// `--keep-on-failure` leaves everything for inspection, and `delete` removes it.
pub(crate) fn a_failure_can_be_kept(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let before = Traces::of(stage.machines()?)?;
    // Enough time for the network, and too little for as many nodes.
    let words = ["create", "cluster", "kept", "--workers", "16", "--wait", "2s", "--keep-on-failure"];
    let ended = home.run(&words)?.with(1)?;
    ensure!(ended.stderr.contains("kept"), "{ended}");
    let cluster = home.json(&["get", "cluster", "kept"])?;
    ensure!(text(&cluster, "phase")? == "failed", "{cluster}");
    ensure!(text(&cluster, "failure")?.contains("within 2 s"), "{cluster}");
    let kept = Traces::of(stage.machines()?)?;
    ensure!(Traces::kinds(&kept.since(&before)).contains("network"), "{:?}", kept.since(&before));

    home.run(&["delete", "cluster", "kept"])?.ok()?;
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "{:?}", after.since(&before));
    Ok(())
}
