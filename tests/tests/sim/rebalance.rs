//! Load that is made even: hosts that came back are filled with idle workers, which keep name, address and keys.

use std::collections::BTreeMap;

use shoal_api::{RebalancedCluster, RebalancedHost};
use shoal_docker::ContainerState;
use shoal_docker_fake::ContainerTruth;
use shoal_proto::v1;
use shoal_tests::sim::{Coordinator, Life, Rows, Wish, World, nothing_wrong};
use tonic::{Code, Status};

use crate::served;

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

fn command<T>(
    world: &World,
    story: impl AsyncFnOnce(&Life, &Coordinator) -> Result<T, Status>,
) -> (Result<T, Status>, Rows) {
    world.command("command", story).unwrap()
}

type Nodes = BTreeMap<String, (&'static str, ContainerTruth)>;

/// Node -> host and container, of the nodes that have one.
fn nodes(world: &World) -> Nodes {
    let of = |host: &'static str| {
        let containers = world.engine(host).truth().containers.clone();
        let nodes = containers.into_iter().filter(|c| c.spec.labels.contains_key("shoal.node"));
        nodes.map(move |c| (c.spec.hostname.clone().unwrap(), (host, c))).collect::<Vec<_>>()
    };
    HOSTS.into_iter().flat_map(of).collect()
}

fn on(world: &World, host: &str) -> Vec<String> {
    nodes(world).into_iter().filter(|(_, (of, _))| *of == host).map(|(name, _)| name).collect()
}

/// A controller and eight workers, and a host without any of them that was drained and is schedulable again.
fn came_back() -> (World, &'static str) {
    let world = served::ready(11, HOSTS.len(), 8);
    let controllers = nodes(&world)["controller"].0;
    let host = HOSTS.into_iter().find(|host| *host != controllers).unwrap();
    command(&world, async |_, c| {
        c.drain(host, false, 60_000).await?;
        c.hosts().uncordon_host(v1::UncordonHostRequest { name: host.into() }).await
    })
    .0
    .unwrap();
    assert_eq!(on(&world, host), Vec::<String>::new());
    (world, host)
}

fn rebalance(world: &World, dry_run: bool, most: u32) -> ((RebalancedCluster, Vec<RebalancedHost>), Rows) {
    let (done, rows) = command(world, async |_, c| c.rebalance(dry_run, most).await);
    let (mut clusters, hosts) = done.unwrap();
    assert_eq!(clusters.len(), 1, "{clusters:?}");
    ((clusters.remove(0), hosts), rows)
}

fn counts(world: &World) -> Vec<usize> {
    let mut counts: Vec<usize> = HOSTS.iter().map(|host| on(world, host).len()).collect();
    counts.sort_unstable();
    counts
}

/// Every node runs once with the address that it had; those that are where they were are the same containers.
fn whole(world: &World, rows: &Rows, before: &Nodes) {
    let after = nodes(world);
    assert_eq!(after.len(), before.len());
    for (name, (host, container)) in &after {
        let (was, old) = &before[name];
        assert_eq!(container.state, ContainerState::Running, "{name}");
        assert_eq!(container.address, old.address, "{name}");
        assert_eq!(container.id == old.id, host == was, "{name} was not touched unless it moved");
    }
    nothing_wrong(world, rows);
}

fn slurm(world: &World) -> String {
    command(world, async |_, _| {
        let (host, controller) = nodes(world)["controller"].clone();
        let spec = shoal_docker::ExecSpec::new(shoal_slurm::SINFO_COMMAND.iter().copied());
        let output = world.engine(host).client("somebody").exec(&controller.id, &spec, 4096).await.unwrap();
        Ok(String::from_utf8(output.stdout.to_vec()).unwrap())
    })
    .0
    .unwrap()
}

#[test]
fn a_host_that_came_back_is_filled_and_once_more_changes_nothing() {
    let (world, host) = came_back();
    let before = nodes(&world);
    let ((planned, hosts), _) = rebalance(&world, true, 0);
    assert_eq!(planned.moves.len(), 3, "{planned:?}");
    assert!(planned.moves.iter().all(|moved| moved.to == host && moved.from != host));
    let back = hosts.iter().find(|of| of.name == host).unwrap();
    assert_eq!((back.nodes_before, back.nodes_after, back.load_before_millionths), (0, 3, 0));
    assert!(back.load_after_millionths > 0);
    assert_eq!(counts(&world), [0, 4, 5], "a plan changes nothing");
    let ((done, now), rows) = rebalance(&world, false, 0);
    assert!(done.error.is_none() && done.stay.is_empty(), "{done:?}");
    assert_eq!((done.moves.len(), counts(&world)), (3, vec![3, 3, 3]));
    assert_eq!(now.iter().map(|host| host.nodes_after).collect::<Vec<_>>(), [3, 3, 3]);
    whole(&world, &rows, &before);
    let said = slurm(&world);
    assert_eq!(said.matches("|idle|none").count(), 8, "{said}");
    let before = nodes(&world);
    let ((again, _), rows) = rebalance(&world, false, 0);
    assert!(again.moves.is_empty() && again.error.is_none(), "{again:?}");
    whole(&world, &rows, &before);
}

#[test]
fn a_limit_holds_and_the_next_goes_on() {
    let (world, host) = came_back();
    let ((done, _), _) = rebalance(&world, false, 1);
    assert_eq!((done.moves.len(), on(&world, host).len()), (1, 1));
    let ((done, _), rows) = rebalance(&world, false, 0);
    assert_eq!((done.moves.len(), counts(&world)), (2, vec![3, 3, 3]));
    nothing_wrong(&world, &rows);
}

#[test]
fn workers_with_jobs_stay_and_others_go_in_their_place() {
    let (world, host) = came_back();
    // All workers of one host have jobs.
    let full = HOSTS.into_iter().find(|of| *of != host && *of != nodes(&world)["controller"].0).unwrap();
    let busy = on(&world, full);
    busy.iter().for_each(|worker| world.job(worker, true));
    let before = nodes(&world);
    let ((done, _), rows) = rebalance(&world, false, 0);
    assert!(done.error.is_none(), "{done:?}");
    assert!(!done.stay.is_empty() && done.stay.iter().all(|node| busy.contains(&node.node)), "{done:?}");
    assert!(!on(&world, host).is_empty());
    assert_eq!(on(&world, full), busy, "none with a job moved");
    assert!(busy.iter().all(|worker| world.has_job(worker)));
    whole(&world, &rows, &before);
    let said = slurm(&world);
    assert!(!said.contains("drain"), "nobody is kept from jobs: {said}");
    // Once the jobs have ended it goes on.
    busy.iter().for_each(|worker| world.job(worker, false));
    rebalance(&world, false, 0);
    assert_eq!(counts(&world), [3, 3, 3]);
}

#[test]
fn what_an_operator_says_of_a_host_or_a_worker_holds() {
    let (world, host) = came_back();
    command(&world, async |_, c| c.hosts().cordon_host(v1::CordonHostRequest { name: host.into() }).await)
        .0
        .unwrap();
    let ((done, _), _) = rebalance(&world, false, 0);
    assert!(done.moves.is_empty() && done.error.is_none(), "{done:?}");
    command(&world, async |_, c| {
        c.hosts().uncordon_host(v1::UncordonHostRequest { name: host.into() }).await
    })
    .0
    .unwrap();
    // Somebody's own word on a worker goes along.
    let (controllers, controller) = nodes(&world)["controller"].clone();
    command(&world, async |_, _| {
        for number in 0..8 {
            let words =
                ["scontrol", "update", &format!("NodeName=worker-{number}"), "State=DRAIN", "Reason=disk"];
            let spec = shoal_docker::ExecSpec::new(words);
            let engine = world.engine(controllers).client("somebody");
            assert_eq!(engine.exec(&controller.id, &spec, 99).await.unwrap().status, 0);
        }
        Ok(())
    })
    .0
    .unwrap();
    let ((done, _), rows) = rebalance(&world, false, 0);
    assert_eq!(done.moves.len(), 3, "{done:?}");
    nothing_wrong(&world, &rows);
    let said = slurm(&world);
    assert_eq!(said.matches("|drained|disk").count(), 8, "{said}");
}

#[test]
fn a_host_that_does_not_answer_neither_gives_nor_gets() {
    let (world, host) = came_back();
    let before = nodes(&world);
    world.power_off(host);
    let (done, _) = command(&world, async |_, c| c.rebalance(false, 0).await);
    let (clusters, _) = done.unwrap();
    assert!(clusters[0].moves.is_empty(), "{clusters:?}");
    assert_eq!(nodes(&world).len(), before.len());
}

#[test]
fn clusters_are_asked_for_by_name_and_one_that_is_not_there_is_told() {
    let (world, host) = came_back();
    command(&world, async |_, c| c.create(&Wish::new("second", 4)).await).0.unwrap();
    let ask = |names: &[&str]| v1::RebalanceRequest {
        realm: "default".into(),
        names: names.iter().map(ToString::to_string).collect(),
        dry_run: true,
        max_moves: 0,
    };
    let unknown = ask(&["nope"]);
    let (told, _) = command(&world, async |_, c| c.upkeep_client().rebalance(unknown).await.map(drop));
    assert_eq!(told.unwrap_err().code(), Code::NotFound);
    // A plan of several counts what the ones before would move.
    let (planned, _) = command(&world, async |_, c| c.rebalance(true, 0).await);
    let (clusters, hosts) = planned.unwrap();
    assert_eq!(clusters.len(), 2);
    let total: u32 = hosts.iter().map(|host| host.nodes_after).sum();
    assert_eq!(total, hosts.iter().map(|host| host.nodes_before).sum::<u32>());
    assert!(hosts.iter().any(|of| of.name == host && of.nodes_after > of.nodes_before));
}
