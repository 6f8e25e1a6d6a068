//! Several coordinators that stay on one store, each on a machine of its own: one takes over what another leaves, what is counted for the
//! installation is counted once, and random histories end with every cluster as it should be.
//!
//! `SHOAL_SIM_SERVERS=500` plays that many histories, `SHOAL_SIM_SEED=77` one again, with what happened in it.

use std::{collections::BTreeMap, env, fmt::Write as _, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha12Rng;
use shoal_proto::v1;
use shoal_storage::{EventFilter, Resource};
use shoal_tests::sim::{Coordinator, Life, Rows, Wish, World, forgotten, none, nothing_wrong, problems};
use shoal_types::ClusterPhase;
use tokio::time::timeout;

use crate::served::{self, KEEP, MINUTE, SECOND};

/// Histories of a run that names no number.
const HISTORIES: u64 = 4;
/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(90);
/// No command takes longer.
const ENDLESS: Duration = Duration::from_secs(1800);

async fn servers(life: &Life, count: usize) -> Vec<Coordinator> {
    let mut servers = Vec::new();
    for number in 1..=count {
        let server = life.elsewhere(&format!("server{number}")).await.unwrap();
        server.keep(KEEP);
        servers.push(server);
        // They do not begin at the same time.
        life.pass(3 * SECOND).await;
    }
    servers
}

async fn holder(of: &Coordinator, resource: &Resource) -> Option<String> {
    let lease = of.store.read().await.unwrap().leases().get(resource).await.unwrap()?;
    (!lease.is_released()).then_some(lease.holder.id)
}

async fn told(server: &Coordinator, of: &str) -> usize {
    let filter = EventFilter { realm: None, cluster: None, after: 0, limit: 100_000 };
    let events = server.store.read().await.unwrap().events().list(&filter).await.unwrap();
    events.iter().filter(|event| event.event.message.contains(of)).count()
}

#[test]
fn a_create_whose_server_is_killed_on_another_machine_is_taken_over_when_its_lease_ends() {
    for seed in 0..5 {
        let world = World::registered(30 + seed, 3).unwrap();
        let ended = world.live(async |life| {
            let servers = servers(&life, 3).await;
            let wish = Wish { wait: 10 * MINUTE, ..Wish::new("dev", 5) };
            drop(servers[0].begin(&wish).await.unwrap());
            life.pass(Duration::from_millis(300 * (seed + 1))).await;
            let id = Rows::read(&servers[1].store).await.unwrap().cluster("dev").unwrap().id;
            let resource = Resource::cluster(id);
            assert_eq!(holder(&servers[1], &resource).await.as_deref(), Some("server1"));
            servers[0].kill();
            let killed = world.now();
            while holder(&servers[1], &resource).await.as_deref() == Some("server1") {
                life.pass(SECOND / 10).await;
                let took = world.now().since(killed);
                assert!(took <= LEASE + 5 * SECOND, "not taken over within {took:?}");
            }
            life.pass(2 * MINUTE).await;
            let rows = Rows::read(&servers[1].store).await.unwrap();
            assert_eq!(rows.cluster("dev").unwrap().phase, ClusterPhase::Ready);
            for server in servers.into_iter().skip(1) {
                server.leave().await;
            }
            rows
        });
        nothing_wrong(&world, &ended.unwrap().unwrap());
    }
}

#[test]
fn few_hosts_are_left_in_a_while_whichever_server_does_it() {
    let world = served::ready(41, 8, 14);
    let ended = world.live(async |life| {
        let mut servers = servers(&life, 3).await;
        life.pass(40 * SECOND).await;
        let on = async |server: &Coordinator, host: &str| {
            let mut read = server.store.read().await.unwrap();
            let host = read.hosts().by_name(&host.parse().unwrap()).await.unwrap().unwrap();
            read.nodes().on_host(host.id).await.unwrap()
        };
        // None of the controller's.
        let mut lost = Vec::new();
        for number in 1..=8 {
            let host = format!("h{number}");
            let nodes = on(&servers[0], &host).await;
            if !nodes.is_empty() && nodes.iter().all(|node| node.name.as_str() != "controller") {
                lost.push(host);
            }
        }
        world.power_off(&lost[0]);
        world.power_off(&lost[1]);
        life.pass(4 * MINUTE).await;
        for host in &lost[..2] {
            assert_eq!(on(&servers[0], host).await.len(), 0, "{host}");
        }
        // Who did it is gone, and another host is lost.
        let duty = holder(&servers[0], &Resource::task("upkeep")).await.unwrap();
        let at = servers.iter().position(|server| server.name() == duty).unwrap();
        let gone = servers.swap_remove(at);
        gone.kill();
        world.power_off(&lost[2]);
        life.pass(4 * MINUTE).await;
        assert!(!on(&servers[0], &lost[2]).await.is_empty(), "three within ten minutes");
        assert_eq!(told(&servers[0], "2 hosts were left within 10 minutes").await, 1, "told once");
        let next = holder(&servers[0], &Resource::task("upkeep")).await.unwrap();
        assert_ne!(next, duty);
        life.pass(8 * MINUTE).await;
        assert!(on(&servers[0], &lost[2]).await.is_empty(), "by then it may be");
        for host in &lost[..3] {
            world.engine(host).up();
        }
        life.pass(6 * MINUTE).await;
        let rows = Rows::read(&servers[0].store).await.unwrap();
        drop(gone);
        for server in servers {
            server.leave().await;
        }
        rows
    });
    nothing_wrong(&world, &ended.unwrap().unwrap());
}

/// What happened, line by line, with the simulated time.
#[derive(Clone)]
struct Log {
    world: World,
    text: Arc<std::sync::Mutex<String>>,
}

impl Log {
    fn note(&self, line: &str) {
        let at = self.world.now().0 as f64 / 1000.0 - 1_800_000_000.0;
        let _ = writeln!(self.text.lock().unwrap(), "{at:9.3} {line}");
    }
}

const NAMES: [&str; 3] = ["red", "green", "blue"];

/// One thing that is done to a server.
async fn command(rng: &mut ChaCha12Rng, server: &Coordinator, hosts: usize, log: &Log) {
    let name = *NAMES.choose(rng).unwrap();
    let what = rng.random_range(0..100);
    let host = format!("h{}", rng.random_range(1..=hosts));
    let workers = rng.random_range(1..=6);
    let ended = timeout(ENDLESS, async {
        match what {
            0..50 => server.create(&Wish::new(name, workers)).await.map(drop),
            50..70 => server.delete(&[name]).await,
            70..80 => server.repair(&[name], false).await.map(drop),
            80..90 => {
                let drained = server.drain(&host, true, 60_000).await.map(drop);
                let request = v1::UncordonHostRequest { name: host.clone() };
                drop(server.hosts().uncordon_host(request).await);
                drained
            }
            _ => server.sweep().await.map(drop),
        }
    });
    let how = match ended.await {
        Ok(Ok(())) => "done".to_owned(),
        Ok(Err(status)) => format!("{:?} {}", status.code(), status.message()),
        Err(_) => "ENDLESS".to_owned(),
    };
    log.note(&format!("{}: command {what} of {name}, {host}: {how}", server.name()));
}

/// What befalls a host, and how long: a host that is cut off is back before anything is done for it, as it is not lost.
fn befall(rng: &mut ChaCha12Rng, world: &World, hosts: usize, log: &Log) {
    let host = format!("h{}", rng.random_range(1..=hosts));
    let (ill, back): (&str, u64) = match rng.random_range(0..5) {
        0 => {
            world.engine(&host).cut();
            ("cut", rng.random_range(1..60))
        }
        1 => {
            world.engine(&host).kill();
            ("engine killed", rng.random_range(1..300))
        }
        2 => {
            world.engine(&host).restart();
            ("engine restarted", 0)
        }
        // With and without return: the end of the history brings it back.
        3 => {
            world.power_off(&host);
            ("power cut", rng.random_range(5..600))
        }
        _ => {
            world.power_off(&host);
            ("power cut for good", 86_400)
        }
    };
    log.note(&format!("{host}: {ill}, {back} s"));
    let (world, log) = (world.clone(), log.clone());
    // Ends with the runtime.
    drop(tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(back)).await;
        log.note(&format!("{host}: well"));
        world.engine(&host).up();
    }));
}

async fn play(life: Life, rng: &mut ChaCha12Rng, hosts: usize, log: Log) -> anyhow::Result<Rows> {
    let world = log.world.clone();
    let mut servers: BTreeMap<usize, Coordinator> = BTreeMap::new();
    let mut dead = Vec::new();
    for number in 1..=3 {
        let server = life.elsewhere(&format!("server{number}")).await?;
        server.keep(KEEP);
        servers.insert(number, server);
    }
    let mut last = 3;
    for _ in 0..rng.random_range(3..=6) {
        let at: Vec<usize> = servers.keys().copied().collect();
        let (first, second) = (*at.choose(rng).unwrap(), *at.choose(rng).unwrap());
        let ills = *[0, 1, 1, 2].choose(rng).unwrap();
        for _ in 0..ills {
            befall(rng, &world, hosts, &log);
        }
        let killed = rng.random_ratio(1, 2).then(|| Duration::from_millis(rng.random_range(0..8_000)));
        let mut others = ChaCha12Rng::seed_from_u64(rng.random());
        let both = async {
            tokio::join!(
                command(rng, &servers[&first], hosts, &log),
                command(&mut others, &servers[&second], hosts, &log)
            );
        };
        match killed {
            None => both.await,
            Some(after) => tokio::select! {
                () = both => {}
                () = tokio::time::sleep(after) => {
                    log.note(&format!("server{first}: killed"));
                    servers[&first].kill();
                }
            },
        }
        if killed.is_some() {
            servers[&first].kill();
            dead.extend(servers.remove(&first));
            last += 1;
            let server = life.elsewhere(&format!("server{last}")).await?;
            server.keep(KEEP);
            servers.insert(last, server);
        }
        life.pass(Duration::from_secs(rng.random_range(0..120))).await;
    }
    log.note("all well");
    for engine in world.fleet().all() {
        engine.up();
    }
    // Longer than leases, remnants and the longest pause between two tries.
    life.pass(20 * MINUTE).await;
    let some = servers.values().next().context("a server")?;
    let rows = Rows::read(&some.store).await?;
    if let Some(cluster) = rows.clusters.iter().find(|c| c.phase != ClusterPhase::Ready) {
        bail!("cluster {} is {}: {:?}", cluster.spec.name, cluster.phase, cluster.failure);
    }
    none(&problems(&world, &rows), "after it has settled")?;
    log.note("the end");
    timeout(ENDLESS, some.delete(&[])).await.context("the last delete did not end")??;
    let rows = Rows::read(&some.store).await?;
    for server in servers.into_values() {
        server.leave().await;
    }
    Ok(rows)
}

fn history(seed: u64, log: &mut Option<Log>) -> anyhow::Result<()> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let hosts = rng.random_range(4..=6);
    let world = World::registered(seed, hosts)?;
    let log = log.insert(Log { world: world.clone(), text: Arc::default() }).clone();
    let rows = world
        .live(async |life| play(life, &mut rng, hosts, log.clone()).await)?
        .context("a crash nobody armed")??;
    ensure!(!log.text.lock().unwrap().contains("ENDLESS"), "a command did not end");
    none(&forgotten(&world, &rows), "after the last delete")
}

#[test]
fn whatever_happens_three_servers_end_with_every_cluster_as_it_should_be() -> anyhow::Result<()> {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>()).transpose();
    let only = number("SHOAL_SIM_SEED")?;
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..number("SHOAL_SIM_SERVERS")?.unwrap_or(HISTORIES),
    };
    let mut failed = Vec::new();
    for seed in seeds {
        eprintln!("seed {seed}");
        let mut log = None;
        let ended = history(seed, &mut log);
        if let (Some(log), true) = (&log, only.is_some() || ended.is_err()) {
            print!("{}", log.text.lock().unwrap());
        }
        if let Err(error) = ended {
            println!("SHOAL_SIM_SEED={seed}: {error:#}\n");
            failed.push(seed);
        }
    }
    ensure!(failed.is_empty(), "histories failed: {failed:?}");
    Ok(())
}
