//! Hosts that are cordoned and drained: their nodes go to others, with name, address, keys and the controller's state.

use std::{collections::BTreeMap, time::Duration};

use shoal_docker::ContainerState;
use shoal_docker_fake::{ContainerTruth, Method};
use shoal_proto::v1;
use shoal_tests::sim::{Coordinator, Life, Rows, Wish, World, nothing_wrong};
use shoal_types::Scheduling;
use tonic::{Code, Status};

use crate::served;

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// Hosts `h1` to `h3` with a cluster `dev` of a controller and five workers, two nodes on each.
fn ready() -> World {
    served::ready(9, HOSTS.len(), 5)
}

fn command<T>(
    world: &World,
    story: impl AsyncFnOnce(&Life, &Coordinator) -> Result<T, Status>,
) -> (Result<T, Status>, Rows) {
    world.command("command", story).unwrap()
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

fn on(world: &World, host: &str) -> Vec<String> {
    nodes(world).into_iter().filter(|(_, (of, _))| *of == host).map(|(name, _)| name).collect()
}

/// The host of the controller, and one without it.
fn hosts(world: &World) -> (&'static str, &'static str) {
    let controllers = nodes(world)["controller"].0;
    (controllers, HOSTS.into_iter().find(|host| *host != controllers).unwrap())
}

/// Every node runs once, with the address and keys it had, and nothing of the cluster is on `left`.
fn moved(world: &World, rows: &Rows, before: &BTreeMap<String, (&'static str, ContainerTruth)>, left: &str) {
    let after = nodes(world);
    assert_eq!(after.len(), before.len());
    for (name, (host, container)) in &after {
        let (was, old) = &before[name];
        assert_eq!(container.state, ContainerState::Running, "{name}");
        assert_eq!(container.address, old.address, "{name}");
        assert_ne!(*host, left, "{name}");
        if *was != left {
            assert_eq!(container.id, old.id, "{name} was not touched");
        }
    }
    let truth = world.engine(left).truth();
    assert!(truth.networks.iter().all(|network| !network.name.starts_with("dev.")), "{:?}", truth.networks);
    assert!(truth.volumes.iter().all(|volume| !volume.name.starts_with("state.")), "{:?}", truth.volumes);
    nothing_wrong(world, rows);
}

/// What Slurm says of its nodes, each as `name|state|reason`.
async fn sinfo(world: &World) -> String {
    let (host, controller) = nodes(world)["controller"].clone();
    let spec = shoal_docker::ExecSpec::new(shoal_slurm::SINFO_COMMAND.iter().copied());
    let output = world.engine(host).client("somebody").exec(&controller.id, &spec, 4096).await.unwrap();
    String::from_utf8(output.stdout.to_vec()).unwrap()
}

fn slurm(world: &World) -> String {
    command(world, async |_, _| Ok(sinfo(world).await)).0.unwrap()
}

#[test]
fn a_host_is_left_by_all_its_nodes_and_filled_again() {
    let world = ready();
    let (_, host) = hosts(&world);
    let (planned, _) = command(&world, async |_, c| c.plan_drain(host).await);
    let (planned, as_it_is) = planned.unwrap();
    assert_eq!(as_it_is, Scheduling::Schedulable, "a dry run changes nothing");
    assert_eq!(planned[0].moved.len(), 2);
    let before = nodes(&world);
    let (drained, rows) = command(&world, async |_, c| c.drain(host, false, 60_000).await);
    let (clusters, told) = drained.unwrap();
    assert_eq!(told, Scheduling::Drained);
    let [dev] = clusters.as_slice() else { panic!("{clusters:?}") };
    assert!(dev.error.is_none() && dev.left.is_empty() && dev.moved.len() == 2, "{dev:?}");
    moved(&world, &rows, &before, host);
    let all_idle = slurm(&world);
    assert_eq!(all_idle.matches("|idle|none").count(), 5, "{all_idle}");
    // Twice is an error that says how to have it back; a new cluster stays off it until then.
    let (again, _) = command(&world, async |_, c| c.drain(host, false, 60_000).await);
    assert_eq!(again.unwrap_err().code(), Code::FailedPrecondition);
    let place =
        |name: &'static str| async move |_: &Life, c: &Coordinator| c.create(&Wish::new(name, 4)).await;
    command(&world, place("second")).0.unwrap();
    assert_eq!(on(&world, host), Vec::<String>::new());
    command(&world, async |_, c| {
        let request = v1::UncordonHostRequest { name: host.into() };
        c.hosts().uncordon_host(request).await.map(drop)
    })
    .0
    .unwrap();
    command(&world, place("third")).0.unwrap();
    assert!(!on(&world, host).is_empty());
}

#[test]
fn the_controller_takes_what_it_knows_along() {
    let world = ready();
    let (host, _) = hosts(&world);
    // An operator keeps a worker from jobs: only the controller knows.
    let kept = nodes(&world).into_iter().find(|(_, (of, _))| *of != host).unwrap().0;
    let controller = nodes(&world)["controller"].clone();
    command(&world, async |_, _| {
        let words = ["scontrol", "update", &format!("NodeName={kept}"), "State=DRAIN", "Reason=disk"];
        let spec = shoal_docker::ExecSpec::new(words);
        let ran = world.engine(host).client("somebody").exec(&controller.1.id, &spec, 99).await;
        assert_eq!(ran.unwrap().status, 0);
        Ok(())
    })
    .0
    .unwrap();
    let before = nodes(&world);
    let (drained, rows) = command(&world, async |_, c| c.drain(host, false, 60_000).await);
    assert_eq!(drained.unwrap().1, Scheduling::Drained);
    moved(&world, &rows, &before, host);
    let said = slurm(&world);
    assert!(said.contains(&format!("{kept}|drained|disk")), "{said}");
    assert_eq!(said.matches("|idle|none").count(), 4, "{said}");
}

#[test]
fn jobs_are_waited_for_or_not() {
    let world = ready();
    let (_, host) = hosts(&world);
    let worker = on(&world, host).remove(0);
    world.job(&worker, true);
    let before = nodes(&world);
    // They do not end in time: the other node has moved, this one stays, and gets no more jobs.
    let (drained, _) = command(&world, async |_, c| c.drain(host, false, 5_000).await);
    let (clusters, told) = drained.unwrap();
    assert_eq!(told, Scheduling::Draining);
    assert_eq!((clusters[0].left.as_slice(), clusters[0].moved.len()), ([worker.clone()].as_slice(), 1));
    let error = clusters[0].error.clone().unwrap();
    assert!(error.contains("their jobs did not end within 5 s") && error.contains("--now"), "{error}");
    assert!(world.has_job(&worker));
    let said = slurm(&world);
    assert!(said.contains(&format!("{worker}|draining|shoal: host {host} is being drained")), "{said}");
    // Once they end, it goes on by itself.
    let (drained, _) = command(&world, async |life, c| {
        let drain = c.drain(host, false, 60_000);
        let end = async {
            life.pass(Duration::from_secs(8)).await;
            world.job(&worker, false);
        };
        tokio::join!(drain, end).0
    });
    assert_eq!(drained.unwrap().1, Scheduling::Drained);
    let (_, rows) = command(&world, async |_, _| Ok(()));
    moved(&world, &rows, &before, host);
    // Or nobody waits.
    let other = HOSTS.into_iter().find(|of| *of != host && *of != nodes(&world)["controller"].0).unwrap();
    let worker = on(&world, other).remove(0);
    world.job(&worker, true);
    let before = nodes(&world);
    command(&world, async |_, c| {
        c.hosts().uncordon_host(v1::UncordonHostRequest { name: host.into() }).await.map(drop)
    })
    .0
    .unwrap();
    let (drained, rows) = command(&world, async |_, c| c.drain(other, true, 60_000).await);
    let (clusters, told) = drained.unwrap();
    assert_eq!(told, Scheduling::Drained, "{clusters:?}");
    assert!(!world.has_job(&worker), "it is in the queue again");
    moved(&world, &rows, &before, other);
}

#[test]
fn where_there_is_no_room_nothing_changes() {
    let world = ready();
    let (_, host) = hosts(&world);
    command(&world, async |_, c| {
        for other in HOSTS.into_iter().filter(|other| *other != host) {
            c.hosts().cordon_host(v1::CordonHostRequest { name: other.into() }).await?;
        }
        Ok(())
    })
    .0
    .unwrap();
    let before = slurm(&world);
    let there = on(&world, host);
    let (drained, _) = command(&world, async |_, c| c.drain(host, false, 60_000).await);
    let (clusters, told) = drained.unwrap();
    assert_eq!(told, Scheduling::Draining);
    let error = clusters[0].error.clone().unwrap();
    assert!(error.contains("are cordoned"), "{error}");
    assert_eq!(clusters[0].left, there);
    assert_eq!(slurm(&world), before, "Slurm was not told");
    // Whoever ends it meanwhile is heard.
    let (unknown, _) = command(&world, async |_, c| c.drain("h9", false, 1_000).await);
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_host_that_is_given_nodes_again_ends_its_drain() {
    let world = ready();
    let (_, host) = hosts(&world);
    let worker = on(&world, host).remove(0);
    world.job(&worker, true);
    let (drained, _) = command(&world, async |life, c| {
        let drain = c.drain(host, false, 60_000);
        let end = async {
            life.pass(Duration::from_secs(8)).await;
            c.hosts().uncordon_host(v1::UncordonHostRequest { name: host.into() }).await.unwrap();
        };
        tokio::join!(drain, end).0
    });
    let (clusters, told) = drained.unwrap();
    assert_eq!(told, Scheduling::Schedulable);
    assert!(clusters[0].error.as_ref().unwrap().contains("somebody has ended its drain"), "{clusters:?}");
    world.job(&worker, false);
    let said = slurm(&world);
    assert_eq!(said.matches("|idle|none").count(), 5, "{said}");
}

#[test]
fn a_host_that_does_not_answer_keeps_its_nodes() {
    let world = ready();
    let (_, host) = hosts(&world);
    let there = on(&world, host);
    let starts = |world: &World| {
        let calls = world.fleet().all().iter().flat_map(|e| e.truth().calls.clone()).collect::<Vec<_>>();
        calls.into_iter().filter(|(method, _)| *method == Method::Start).map(|(_, count)| count).sum::<u64>()
    };
    let before = starts(&world);
    world.power_off(host);
    let (drained, _) = command(&world, async |_, c| c.drain(host, true, 60_000).await);
    let (clusters, told) = drained.unwrap();
    assert_eq!(told, Scheduling::Draining);
    assert_eq!(clusters[0].left, there);
    assert!(clusters[0].error.is_some());
    assert_eq!(starts(&world), before, "nothing was started elsewhere");
}
