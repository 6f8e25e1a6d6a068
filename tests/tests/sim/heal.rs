//! Hosts that are lost while a server runs: their nodes go to others, once, and only where that is safe.

use std::collections::BTreeMap;

use shoal_docker::ContainerState;
use shoal_docker_fake::ContainerTruth;
use shoal_proto::v1;
use shoal_storage::EventFilter;
use shoal_tests::sim::{Coordinator, World, nothing_wrong, problems};

use crate::served::{self, MINUTE, SECOND, served};

const HOSTS: [&str; 4] = ["h1", "h2", "h3", "h4"];

/// Hosts `h1` to `h4` with a cluster `dev` of a controller and seven workers, two nodes on each.
fn ready() -> World {
    served::ready(7, HOSTS.len(), 7)
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

/// The nodes that the store places on a host.
async fn placed(server: &Coordinator, host: &str) -> Vec<String> {
    let mut read = server.store.read().await.unwrap();
    let host = read.hosts().by_name(&host.parse().unwrap()).await.unwrap().unwrap();
    read.nodes().on_host(host.id).await.unwrap().into_iter().map(|node| node.name.to_string()).collect()
}

/// The host of the controller, and one without it.
fn hosts(world: &World) -> (&'static str, &'static str) {
    let controllers = nodes(world)["controller"][0].0;
    (controllers, HOSTS.into_iter().find(|host| *host != controllers).unwrap())
}

async fn warned(server: &Coordinator, of: &str) -> usize {
    let filter = EventFilter { realm: None, cluster: None, after: 0, limit: 10_000 };
    let events = server.store.read().await.unwrap().events().list(&filter).await.unwrap();
    events.iter().filter(|event| event.event.message.contains(of)).count()
}

async fn is_well(server: &Coordinator) -> bool {
    let status = server.status("dev").await.unwrap();
    status.nodes.iter().all(|node| node.troubles.is_empty()) && status.slurm_error.is_empty()
}

#[test]
fn the_workers_of_a_host_that_lost_power_are_idle_elsewhere() {
    let world = ready();
    let (_, lost) = hosts(&world);
    let before = nodes(&world);
    let ((), rows) = served(&world, async |life, server| {
        world.power_off(lost);
        // The policy of who says nothing: two minutes.
        life.pass(100 * SECOND).await;
        assert_eq!(placed(server, lost).await.len(), 2);
        life.pass(60 * SECOND).await;
        assert_eq!(placed(server, lost).await, Vec::<String>::new());
        assert!(is_well(server).await);
        let after = nodes(&world);
        for (name, was) in &before {
            let [(host, container)] = after[name].as_slice() else { panic!("{name}: {:?}", after[name]) };
            assert_ne!(*host, lost, "{name}");
            assert_eq!(container.address, was[0].1.address, "{name}");
            if was[0].0 != lost {
                assert_eq!(container.id, was[0].1.id, "{name} was not touched");
            }
        }
        // It comes back, and what was left there goes.
        world.engine(lost).up();
        life.pass(5 * MINUTE).await;
        let left = world.engine(lost).truth();
        assert!(left.containers.iter().all(|c| !c.spec.labels.contains_key("shoal.node")));
        assert!(left.networks.iter().all(|network| !network.name.starts_with("dev.")));
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn a_host_that_lives_on_behind_a_cut_cable_is_fenced_first() {
    let world = ready();
    let (_, lost) = hosts(&world);
    let ((), rows) = served(&world, async |life, server| {
        world.engine(lost).cut();
        life.pass(160 * SECOND).await;
        assert_eq!(placed(server, lost).await, Vec::<String>::new());
        assert!(is_well(server).await);
        // Its old nodes run there still, and no other host takes anything from it.
        let twice = nodes(&world).values().filter(|places| places.len() == 2).count();
        assert_eq!(twice, 2);
        let underlay = world.mesh(lost, |mesh| mesh.underlay).unwrap().to_string();
        for host in HOSTS.into_iter().filter(|host| *host != lost) {
            let members: Vec<String> = world.mesh(host, |mesh| {
                mesh.devices.values().flat_map(|device| device.members.values().cloned()).collect()
            });
            assert!(!members.contains(&underlay), "{host} still has {lost} for a member");
        }
        world.engine(lost).up();
        life.pass(5 * MINUTE).await;
        assert!(nodes(&world).values().all(|places| places.len() == 1));
        assert!(is_well(server).await);
    });
    // Its two workers held their addresses there when they began elsewhere: the fence is what kept them apart.
    let wrong: Vec<String> = problems(&world, &rows).iter().map(ToString::to_string).collect();
    let fenced = |problem: &String| problem.contains("is held by") && problem.contains(&format!("{lost}/"));
    assert_eq!(wrong.iter().filter(|problem| fenced(problem)).count(), 2, "{wrong:?}");
    assert_eq!(wrong.iter().find(|problem| !fenced(problem)), None);
}

#[test]
fn a_host_whose_engine_alone_is_down_keeps_its_nodes() {
    let world = ready();
    let (_, lost) = hosts(&world);
    let ((), rows) = served(&world, async |life, server| {
        world.engine(lost).kill();
        life.pass(10 * MINUTE).await;
        assert_eq!(placed(server, lost).await.len(), 2);
        assert_eq!(warned(server, "the engine of its host alone is down").await, 1, "told once");
        world.engine(lost).up();
        life.pass(5 * MINUTE).await;
        assert!(is_well(server).await);
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn what_must_stay_stays() {
    let world = ready();
    let (controllers, _) = hosts(&world);
    let ((), rows) = served(&world, async |life, server| {
        let restart = v1::UpdateClusterRequest {
            realm: "default".into(),
            name: "dev".into(),
            healing_policy: Some(v1::HealingPolicy::Restart.into()),
            ..v1::UpdateClusterRequest::default()
        };
        server.clusters().update_cluster(restart).await.unwrap();
        world.power_off(controllers);
        life.pass(10 * MINUTE).await;
        assert_eq!(placed(server, controllers).await.len(), 2);
        world.engine(controllers).up();
        life.pass(5 * MINUTE).await;
        assert!(is_well(server).await);
        // Most hosts at once: it is our own way to them.
        let others: Vec<&str> = HOSTS.into_iter().filter(|host| *host != controllers).collect();
        for host in &others {
            world.engine(host).cut();
        }
        life.pass(10 * MINUTE).await;
        for host in &others {
            assert_eq!(placed(server, host).await.len(), 2, "{host}");
            world.engine(host).up();
        }
        life.pass(5 * MINUTE).await;
        assert!(is_well(server).await);
    });
    nothing_wrong(&world, &rows);
}
