//! The coordinator at scale, on simulated hosts: `cargo xtask bench scale`.
//!
//! Memory: 1,000 hosts with 20,000 nodes, fake engines included, grow this process by at most 400 MB. Speed: small clusters
//! created one after the other on ten hosts, with SQLite, in real time.

use std::{fs, time::Instant};

use anyhow::{Context as _, ensure};
use shoal_tests::sim::{Wish, World};

const HOSTS: usize = 1000;
const CLUSTERS: usize = 20;
/// Beside the controller.
const WORKERS: u32 = 999;
const MEMORY_MAX: u64 = 400 << 20;
/// Small clusters, and their workers.
const SMALL: (usize, u32) = (60, 4);

/// Resident memory of this process in bytes (proc(5), `statm`).
fn resident() -> anyhow::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1).context("statm")?.parse()?;
    Ok(pages * 4096)
}

fn creates(world: &World, count: usize, workers: u32) -> anyhow::Result<()> {
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("bench").await?;
        for number in 0..count {
            coordinator.create(&Wish::new(&format!("c{number}"), workers)).await?;
        }
        anyhow::Ok(resident()?)
    })?;
    let resident = ended.context("no crash was armed")??;
    println!("{count} clusters of {} nodes: {} MiB resident", workers + 1, resident >> 20);
    Ok(())
}

fn memory() -> anyhow::Result<()> {
    let before = resident()?;
    let began = Instant::now();
    let world = World::new(1, HOSTS)?;
    world.be_lean();
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("scale").await?;
        for engine in world.fleet().all() {
            coordinator.register(engine.name()).await?;
        }
        println!("{HOSTS} hosts: {} MiB resident after {:.1?}", resident()? >> 20, began.elapsed());
        for number in 0..CLUSTERS {
            coordinator.create(&Wish::new(&format!("c{number}"), WORKERS)).await?;
            println!("cluster {number}: {} MiB resident after {:.1?}", resident()? >> 20, began.elapsed());
        }
        anyhow::Ok(resident()?)
    })?;
    let grown = ended.context("no crash was armed")??.saturating_sub(before);
    let nodes = CLUSTERS * (WORKERS as usize + 1);
    println!("{HOSTS} hosts, {nodes} nodes: {} MiB more than before", grown >> 20);
    ensure!(grown <= MEMORY_MAX, "{grown} bytes are more than {MEMORY_MAX}");
    Ok(())
}

fn speed() -> anyhow::Result<()> {
    let (count, workers) = SMALL;
    let world = World::registered(2, 10)?;
    let began = Instant::now();
    creates(&world, count, workers)?;
    let minute = count as f64 * 60.0 / began.elapsed().as_secs_f64();
    println!("{minute:.0} creates of {} nodes a minute", workers + 1);
    Ok(())
}

fn main() -> anyhow::Result<()> {
    memory()?;
    speed()
}
