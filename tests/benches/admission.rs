//! How long admission takes in the coordinator itself: read the store, place, choose the network and addresses, seal the seed,
//! one transaction, fsync. 1,000 hosts and a cluster of 10,000 nodes on SQLite, at most 500 ms (median of five).
//!
//! Engines are fake; hosts are surveyed before, outside of what is measured. The coordinator's own log says how long it took.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use shoal_tests::sim::{Wish, World};

const HOSTS: usize = 1000;
/// Beside the controller.
const WORKERS: u32 = 9_999;
const ROUNDS: usize = 5;
const MOST_MS: u64 = 500;

/// What is logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes what was logged of an admission, in milliseconds.
    fn admission(&self) -> Option<u64> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let ms = text.split_once("elapsed_ms=")?.1.split_whitespace().next()?.parse().ok()?;
        bytes.clear();
        Some(ms)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Admits one cluster in a store of its own; what comes after admission is left undone.
fn round(log: &Log, number: u64) -> anyhow::Result<u64> {
    let world = World::registered(number, HOSTS)?;
    world.be_lean();
    let ended = world.live_awake(async |life| {
        let coordinator = life.coordinator("bench").await?;
        let wish = Wish::new("large", WORKERS);
        let admitted = async {
            loop {
                if let Some(ms) = log.admission() {
                    return ms;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            ended = coordinator.create(&wish) => {
                ended?;
                log.admission().context("nothing was logged of the admission")
            }
            ms = admitted => Ok(ms),
        }
    })?;
    ended.context("no crash was armed")?
}

fn main() -> anyhow::Result<()> {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter("shoal_coordinator::admission=debug")
        .with_writer(move || writer.clone())
        .init();
    let mut times = (0..ROUNDS).map(|n| round(&log, 50 + n as u64)).collect::<anyhow::Result<Vec<_>>>()?;
    println!("{HOSTS} hosts, {} nodes, SQLite: {times:?} ms", WORKERS + 1);
    times.sort_unstable();
    let median = times[ROUNDS / 2];
    println!("median {median} ms");
    ensure!(median <= MOST_MS, "{median} ms are more than {MOST_MS} ms");
    Ok(())
}
