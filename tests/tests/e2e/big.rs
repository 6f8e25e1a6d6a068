//! A cluster as large as a small machine carries.

use std::collections::BTreeSet;

use anyhow::ensure;
use shoal_tests::{Stage, Traces};

/// The most an agent may have allocated: 4.2 MiB when it is new, 15 after `streams` had it hold 14 for readers that stopped, which
/// the allocator keeps (2026-11-26).
const AGENT_KIB_MAX: u64 = 20 << 10;

/// 64 workers, all IDLE, on both kinds of engine; deleted, nothing of them is on any host.
pub(crate) fn sixty_four_workers_come_and_go_without_a_trace(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let before = Traces::of(stage.machines()?)?;
    home.run(&["create", "cluster", "big", "--workers", "64"])?.ok()?;
    let big = home.cluster("big", stage.machines()?)?;
    ensure!(
        big.workers().count() == 64 && big.nodes.iter().all(|node| node.state == "ready"),
        "{:?}",
        big.nodes
    );
    let engines: BTreeSet<String> = big.workers().map(|node| node.machine.engine().to_string()).collect();
    ensure!(engines.len() == 2 && big.one_worker_per_host().len() == 3, "workers on {engines:?}");

    // As Slurm itself tells.
    let said = home.run(&["exec", "big", "--", "sinfo", "--noheader", "--Node", "--format=%N %T"])?.ok()?;
    let idle: BTreeSet<&str> = said.lines().filter_map(|line| line.trim().strip_suffix(" idle")).collect();
    ensure!(idle.len() == 64, "{said}");
    let said = home.run(&["exec", "big", "--", "srun", "-N", "64", "hostname"])?.ok()?;
    let ran: BTreeSet<&str> = said.lines().collect();
    ensure!(ran.len() == 64, "{said}");

    for machine in stage.machines()? {
        let memory = machine.agent_memory_kib()?;
        println!("agent of {}: {memory} KiB", machine.name());
        ensure!(memory <= AGENT_KIB_MAX, "the agent of {} has {memory} KiB", machine.name());
    }

    let there = Traces::of(stage.machines()?)?;
    let kinds = Traces::kinds(&there.since(&before));
    ensure!(kinds.len() == 6, "a cluster is made of more than {kinds:?}");
    home.run(&["delete", "cluster", "big"])?.ok()?;
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "left: {:?}; lost: {:?}", after.since(&before), before.since(&after));
    home.run(&["get", "cluster", "big"])?.with(3).map(drop)
}
