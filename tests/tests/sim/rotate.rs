//! Clusters that get other keys: every node is made anew with them, or nothing has changed.

use std::collections::{BTreeMap, BTreeSet};

use shoal_api::RepairedCluster;
use shoal_docker::ContainerState;
use shoal_docker_fake::ContainerTruth;
use shoal_tests::sim::{Coordinator, Life, Rows, World, nothing_wrong};
use tonic::{Code, Status};

use crate::served;

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];
/// Files with a key, or something that was signed by one.
const KEYS: [&str; 4] = [
    "/etc/munge/munge.key",
    "/root/.ssh/id_ed25519",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_ed25519_key-cert.pub",
];

/// Hosts `h1` to `h3` with a cluster `dev` of a controller and five workers, two nodes on each.
fn ready() -> World {
    served::ready(11, HOSTS.len(), 5)
}

/// Node -> host and container, of the nodes that have one.
fn nodes(world: &World) -> BTreeMap<String, (&'static str, ContainerTruth)> {
    let of = |host: &'static str| {
        let containers = world.engine(host).truth().containers.clone();
        let nodes = containers.into_iter().filter(|c| c.spec.labels.contains_key("shoal.node"));
        nodes.map(move |c| (c.spec.hostname.clone().unwrap(), (host, c))).collect::<Vec<_>>()
    };
    HOSTS.into_iter().flat_map(of).collect()
}

/// What a node has in the files of [`KEYS`].
type Keys = [Vec<u8>; KEYS.len()];

/// Node -> what it has.
fn keys(world: &World) -> BTreeMap<String, Keys> {
    let nodes = nodes(world);
    let (keys, _) = command(world, async |_, _| {
        let mut keys = BTreeMap::new();
        for (name, (host, container)) in nodes {
            let engine = world.engine(host).client("somebody");
            let mut of_node = Keys::default();
            for (path, content) in KEYS.iter().zip(&mut of_node) {
                let tar = engine.get_archive(&container.id, path, 1 << 20).await.unwrap();
                *content = tar.unwrap_or_else(|| panic!("{name} has no {path}")).to_vec();
            }
            keys.insert(name, of_node);
        }
        Ok(keys)
    });
    keys.unwrap()
}

fn command<T>(
    world: &World,
    story: impl AsyncFnOnce(&Life, &Coordinator) -> Result<T, Status>,
) -> (Result<T, Status>, Rows) {
    world.command("command", story).unwrap()
}

fn rotate(world: &World, now: bool) -> (Result<RepairedCluster, Status>, Rows) {
    command(world, async |_, c| c.rotate_keys("dev", now).await)
}

/// Every node of `names` has other keys than before, all of the same cluster.
fn exchanged(before: &BTreeMap<String, Keys>, after: &BTreeMap<String, Keys>, names: &BTreeSet<String>) {
    for name in names {
        for (path, (old, new)) in KEYS.iter().zip(before[name].iter().zip(&after[name])) {
            assert_ne!(old, new, "{path} of {name}");
        }
    }
    let munge: BTreeSet<_> = names.iter().map(|name| &after[name][0]).collect();
    assert_eq!(munge.len(), 1, "one cluster");
}

fn all(world: &World) -> BTreeSet<String> {
    nodes(world).into_keys().collect()
}

#[test]
fn every_node_is_made_anew_with_other_keys() {
    let world = ready();
    let (before, were) = (nodes(&world), keys(&world));
    let (rotated, rows) = rotate(&world, false);
    let rotated = rotated.unwrap();
    assert!(rotated.is_well(), "{rotated:?}");
    assert_eq!(rotated.mends.len(), 6, "{rotated:?}");
    let after = nodes(&world);
    for (name, (host, container)) in &before {
        let (now_on, now) = &after[name];
        assert_eq!((now_on, &now.spec.network), (host, &container.spec.network), "{name} is where it was");
        assert_ne!(now.id, container.id, "{name} is another container");
        assert_eq!(now.state, ContainerState::Running, "{name}");
    }
    exchanged(&were, &keys(&world), &all(&world));
    nothing_wrong(&world, &rows);
    let (repaired, _) = command(&world, async |_, c| c.repair(&[], false).await);
    assert!(repaired.unwrap().iter().all(|c| c.is_well() && c.mends.is_empty()), "nothing is left");
}

#[test]
fn nodes_with_jobs_keep_the_keys_unless_nobody_is_to_wait() {
    let world = ready();
    world.job("worker-1", true);
    let (before, were) = (nodes(&world), keys(&world));
    let refused = rotate(&world, false).0.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("worker-1 have jobs"), "{refused}");
    let same: BTreeSet<_> = nodes(&world).into_values().map(|(_, c)| c.id).collect();
    assert_eq!(same, before.into_values().map(|(_, c)| c.id).collect(), "nothing was touched");
    assert_eq!(keys(&world), were);
    let (rotated, rows) = rotate(&world, true);
    assert!(rotated.as_ref().unwrap().is_well(), "{rotated:?}");
    exchanged(&were, &keys(&world), &all(&world));
    nothing_wrong(&world, &rows);
}

#[test]
fn a_host_that_is_away_gets_them_when_it_is_back() {
    let world = ready();
    let were = keys(&world);
    let away = nodes(&world).into_values().map(|(host, _)| host).find(|host| {
        let controller = nodes(&world)["controller"].0;
        *host != controller
    });
    let away = away.unwrap();
    world.power_off(away);
    let (rotated, _) = rotate(&world, false);
    let rotated = rotated.unwrap();
    assert!(!rotated.is_well(), "{rotated:?}");
    world.engine(away).up();
    let (repaired, rows) = command(&world, async |_, c| c.repair(&[], false).await);
    let repaired = repaired.unwrap();
    assert!(repaired[0].is_well(), "{repaired:?}");
    exchanged(&were, &keys(&world), &all(&world));
    nothing_wrong(&world, &rows);
}

#[test]
fn what_is_not_ready_has_no_keys_to_exchange() {
    let world = ready();
    let unknown = command(&world, async |_, c| c.rotate_keys("prod", false).await).0.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "{unknown}");
}
