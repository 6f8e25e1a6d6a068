//! Copies of a controller's state: taken while a server runs, and what becomes of the controller when its host is lost.
//!
//! Which workers an operator drained is what a simulated controller knows, and keeps in its state directory as its jobs.

use std::{collections::BTreeMap, time::Duration};

use shoal_docker::{ContainerState, ExecSpec};
use shoal_docker_fake::{Action, ContainerTruth, Method, Rule};
use shoal_proto::v1;
use shoal_storage::{EventFilter, StateCopy};
use shoal_tests::sim::{Coordinator, Life, World, nothing_wrong};

use crate::served::{self, KEEP, MINUTE, SECOND, served};

const HOSTS: [&str; 4] = ["h1", "h2", "h3", "h4"];

/// Hosts `h1` to `h4` with a cluster `dev` of a controller and seven workers, two nodes on each.
fn ready(seed: u64) -> World {
    served::ready(seed, HOSTS.len(), 7)
}

/// Node -> host and container, of the nodes that run.
fn nodes(world: &World) -> BTreeMap<String, Vec<(&'static str, ContainerTruth)>> {
    let mut nodes: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for host in HOSTS {
        for container in world.engine(host).truth().containers.clone() {
            if container.spec.labels.contains_key("shoal.node") && container.state == ContainerState::Running
            {
                nodes.entry(container.spec.hostname.clone().unwrap()).or_default().push((host, container));
            }
        }
    }
    nodes
}

/// Where the controller runs, once.
fn controller(world: &World) -> (&'static str, ContainerTruth) {
    let all = nodes(world).remove("controller").unwrap_or_default();
    let [only] = all.as_slice() else { panic!("{} controllers run", all.len()) };
    only.clone()
}

async fn told_slurm(world: &World, words: &[&str]) -> String {
    let (host, container) = controller(world);
    let spec = ExecSpec::new(words.iter().copied());
    let ran = world.engine(host).client("somebody").exec(&container.id, &spec, 4096).await.unwrap();
    assert_eq!(ran.status, 0, "{words:?}");
    String::from_utf8(ran.stdout.to_vec()).unwrap()
}

/// An operator keeps a worker from jobs: the controller knows it from then on.
async fn drain(world: &World, worker: &str, why: &str) {
    let (node, reason) = (format!("NodeName={worker}"), format!("Reason={why}"));
    told_slurm(world, &["scontrol", "update", &node, "State=DRAIN", &reason]).await;
}

/// Worker -> why it gets no jobs, as the controller knows it.
async fn drained(world: &World) -> BTreeMap<String, String> {
    let said = told_slurm(world, shoal_slurm::SINFO_COMMAND).await;
    let lines = said.lines().map(|line| line.split('|').collect::<Vec<_>>());
    lines.filter(|line| line[1] == "drained").map(|line| (line[0].into(), line[2].into())).collect()
}

fn reasons<const N: usize>(of: [(&str, &str); N]) -> BTreeMap<String, String> {
    of.map(|(node, why)| (node.to_owned(), why.to_owned())).into()
}

/// Workers that are not on the controller's host.
fn others(world: &World) -> Vec<String> {
    let host = controller(world).0;
    let all = nodes(world).into_iter().filter(|(name, at)| name != "controller" && at[0].0 != host);
    all.map(|(name, _)| name).collect()
}

async fn copy(server: &Coordinator) -> Option<StateCopy> {
    let mut read = server.store.read().await.unwrap();
    let cluster = read.clusters().list().await.unwrap().remove(0);
    read.state_copies().of_cluster(cluster.id).await.unwrap().into_iter().next()
}

async fn told(server: &Coordinator, of: &str) -> usize {
    let filter = EventFilter { realm: None, cluster: None, after: 0, limit: 10_000 };
    let events = server.store.read().await.unwrap().events().list(&filter).await.unwrap();
    events.iter().filter(|event| event.event.message.contains(of)).count()
}

async fn set(server: &Coordinator, policy: Option<v1::HealingPolicy>, copies_ms: Option<u64>) {
    let change = v1::UpdateClusterRequest {
        realm: "default".into(),
        name: "dev".into(),
        healing_policy: policy.map(Into::into),
        heal_after_ms: None,
        copies_ms,
        ttl_ms: None,
    };
    server.clusters().update_cluster(change).await.unwrap();
}

/// All nodes run once, none of them on this host, and Slurm answers.
async fn is_elsewhere(world: &World, server: &Coordinator, lost: &str) {
    let all = nodes(world);
    assert_eq!(all.len(), 8);
    assert!(all.values().all(|at| at.len() == 1 && at[0].0 != lost), "{:?}", all.keys());
    let status = server.status("dev").await.unwrap();
    assert_eq!(status.slurm_error, "");
}

/// The host is back: nothing of the cluster is left there.
async fn is_cleared(world: &World, life: &Life, host: &str) {
    world.engine(host).up();
    life.pass(5 * MINUTE).await;
    let left = world.engine(host).truth();
    assert!(left.containers.iter().all(|c| !c.spec.labels.contains_key("shoal.node")));
    assert!(left.networks.iter().all(|network| !network.name.starts_with("dev.")));
    assert!(left.volumes.iter().all(|volume| !volume.name.starts_with("state.")), "{:?}", left.volumes);
}

#[test]
fn the_controller_of_a_lost_host_goes_on_elsewhere_with_what_it_knew() {
    let world = ready(7);
    let (lost, before) = controller(&world);
    let kept = others(&world).remove(0);
    let ((), rows) = served(&world, async |life, server| {
        assert_eq!(told(server, "has a copy in the store from now on").await, 1);
        drain(&world, &kept, "disk").await;
        life.pass(20 * SECOND).await;
        let shown = server.status("dev").await.unwrap().state_copy.unwrap();
        assert!(shown.age_ms.is_some_and(|ms| ms < 60_000) && shown.trouble.is_empty(), "{shown:?}");
        world.power_off(lost);
        life.pass(170 * SECOND).await;
        is_elsewhere(&world, server, lost).await;
        let (now, after) = controller(&world);
        assert_ne!(now, lost);
        assert_eq!(after.address, before.address);
        assert_eq!(drained(&world).await, reasons([(&kept, "disk")]));
        assert_eq!(told(server, "begins with the newest copy of its state").await, 1);
        // From now on it has its own, which is copied in turn.
        let second = others(&world).into_iter().find(|name| *name != kept).unwrap();
        drain(&world, &second, "fan").await;
        life.pass(20 * SECOND).await;
        is_cleared(&world, life, lost).await;
        world.power_off(now);
        life.pass(170 * SECOND).await;
        is_elsewhere(&world, server, now).await;
        assert_eq!(drained(&world).await, reasons([(&kept, "disk"), (&second, "fan")]));
        is_cleared(&world, life, now).await;
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn what_is_not_copied_or_not_any_more_keeps_its_host() {
    let world = ready(8);
    let (lost, _) = controller(&world);
    served(&world, async |_, server| assert!(copy(server).await.unwrap().kept.is_some()));
    // No server ran for a while: nobody knows what happened meanwhile.
    world.power_off(lost);
    world.pass(30 * MINUTE).unwrap();
    let ((), rows) = served(&world, async |life, server| {
        life.pass(10 * MINUTE).await;
        assert!(!nodes(&world).contains_key("controller"));
        assert_eq!(told(server, "was older than 10 minutes when its host fell silent").await, 1, "told once");
        // A person says that it may all the same.
        set(server, Some(v1::HealingPolicy::Reschedule), None).await;
        life.pass(MINUTE).await;
        is_elsewhere(&world, server, lost).await;
        is_cleared(&world, life, lost).await;
        set(server, Some(v1::HealingPolicy::Default), Some(0)).await;
        let (lost, _) = controller(&world);
        world.power_off(lost);
        life.pass(10 * MINUTE).await;
        assert!(!nodes(&world).contains_key("controller"));
        assert_eq!(told(server, "its state is not copied (--state-copies none)").await, 1, "told once");
        world.engine(lost).up();
        life.pass(5 * MINUTE).await;
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn a_host_that_dies_while_its_state_is_read_leaves_the_copy_before() {
    let world = ready(9);
    let (lost, _) = controller(&world);
    let [first, second] = &others(&world)[..2] else { panic!() };
    let ((), rows) = served(&world, async |life, server| {
        drain(&world, first, "disk").await;
        life.pass(20 * SECOND).await;
        let before = copy(server).await.unwrap();
        world.fleet().rule(Rule::on(Method::GetArchive, Action::Hang).engine(lost));
        drain(&world, second, "fan").await;
        life.pass(8 * SECOND).await;
        world.power_off(lost);
        life.pass(MINUTE).await;
        assert_eq!(copy(server).await.unwrap(), before);
        life.pass(2 * MINUTE).await;
        world.fleet().clear_rules();
        is_elsewhere(&world, server, lost).await;
        // What it learned after the last copy is lost.
        assert_eq!(drained(&world).await, reasons([(first, "disk")]));
        is_cleared(&world, life, lost).await;
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn a_state_that_changes_while_it_is_read_is_not_kept() {
    let world = ready(10);
    let (host, _) = controller(&world);
    let worker = others(&world).remove(0);
    let ((), rows) = served(&world, async |life, server| {
        let before = copy(server).await.unwrap();
        world.fleet().rule(Rule::on(Method::GetArchive, Action::Slow(SECOND)).engine(host));
        for n in 0..100 {
            drain(&world, &worker, &format!("disk {n}")).await;
            life.pass(Duration::from_millis(400)).await;
        }
        let torn = copy(server).await.unwrap();
        assert_eq!(torn.kept.map(|kept| kept.taken), before.kept.map(|kept| kept.taken));
        assert_eq!(torn.trouble.as_deref(), Some("it changes whenever it is read"));
        assert_eq!(told(server, "is not copied: it changes whenever it is read").await, 1, "told once");
        world.fleet().clear_rules();
        // What took long is not tried again at once.
        life.pass(70 * SECOND).await;
        let whole = copy(server).await.unwrap();
        assert_eq!((whole.trouble, told(server, "is copied again").await), (None, 1));
        assert!(whole.kept.unwrap().taken > before.kept.unwrap().taken);
        // And nothing is written of what does not change, but for the time.
        life.pass(10 * MINUTE).await;
        let later = copy(server).await.unwrap();
        assert_eq!(later.kept.unwrap().taken, whole.kept.unwrap().taken);
        assert!((8..=12).contains(&(later.version - whole.version)), "{} {}", later.version, whole.version);
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn what_was_read_of_a_controller_that_has_moved_since_is_not_kept() {
    let world = ready(11);
    let (host, _) = controller(&world);
    let worker = others(&world).remove(0);
    let ((), rows) = served(&world, async |life, server| {
        // It is being read while the controller is taken elsewhere by another process.
        world
            .fleet()
            .rule(Rule::on(Method::GetArchive, Action::Slow(20 * SECOND)).client("server").engine(host));
        drain(&world, &worker, "disk").await;
        life.pass(8 * SECOND).await;
        let other = life.coordinator("other").await.unwrap();
        other.drain(host, true, 60_000).await.unwrap();
        let moved = world.now();
        assert_ne!(controller(&world).0, host);
        other.shutdown().await;
        for _ in 0..60 {
            life.pass(SECOND).await;
            let taken = copy(server).await.unwrap().kept.unwrap().taken;
            assert!(
                taken.since(moved) > Duration::ZERO || moved.since(taken) > 8 * SECOND,
                "{taken:?} {moved:?}"
            );
        }
        assert!(copy(server).await.unwrap().kept.unwrap().taken > moved);
        world.fleet().clear_rules();
        let (lost, _) = controller(&world);
        world.power_off(lost);
        life.pass(170 * SECOND).await;
        assert_eq!(drained(&world).await, reasons([(&worker, "disk")]));
        world.engine(lost).up();
        life.pass(5 * MINUTE).await;
    });
    nothing_wrong(&world, &rows);
}

/// The server ends whenever it may while a controller is being moved: the next one goes on, and the controller has its state.
#[test]
fn whoever_restores_a_state_may_be_killed_at_any_time() {
    for (seed, at) in (20..).zip([121_u32, 123, 125, 127, 130, 135]) {
        let world = ready(seed);
        let (lost, _) = controller(&world);
        let worker = others(&world).remove(0);
        let told = world.live(async |life| {
            let first = life.coordinator("server").await.unwrap();
            first.keep(KEEP);
            life.pass(15 * SECOND).await;
            drain(&world, &worker, "disk").await;
            life.pass(20 * SECOND).await;
            world.power_off(lost);
            life.pass(at * SECOND).await;
            first.kill();
            let second = life.coordinator("second").await.unwrap();
            second.keep(KEEP);
            life.pass(5 * MINUTE).await;
            is_elsewhere(&world, &second, lost).await;
            let kept = drained(&world).await;
            second.leave().await;
            kept
        });
        assert_eq!(told.unwrap().unwrap(), reasons([(&worker, "disk")]), "killed after {at} s");
    }
}
