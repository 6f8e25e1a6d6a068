//! Nodes that end again and again: restarted ever less often, told as failing, and well again once they stay up.

use std::{collections::BTreeMap, time::Duration};

use shoal_api::RepairedCluster;
use shoal_docker::ContainerState;
use shoal_docker_fake::{ContainerTruth, Method};
use shoal_proto::v1;
use shoal_storage::EventFilter;
use shoal_tests::sim::{Coordinator, Life, Rows, World};
use shoal_types::{EventKind, NewEvent, NodeState, Restarts, Timestamp};
use tonic::{Code, Status};

use crate::served;

const HOSTS: [&str; 2] = ["h1", "h2"];
/// A node that is made to end.
const NODE: &str = "worker-1";

/// Hosts `h1` and `h2` with a cluster `dev` of a controller and three workers.
fn ready() -> World {
    served::ready(11, HOSTS.len(), 3)
}

/// The host and the container of a node.
fn container(world: &World, node: &str) -> (&'static str, ContainerTruth) {
    let on = |host: &'static str| {
        let all = world.engine(host).truth().containers.clone();
        let of = all
            .into_iter()
            .find(|c| c.spec.labels.contains_key("shoal.node") && c.spec.hostname.as_deref() == Some(node));
        of.map(|container| (host, container))
    };
    HOSTS.into_iter().find_map(on).unwrap()
}

/// The node ends now, and whenever it is started.
fn doom(world: &World) {
    world.doom(NODE, Duration::from_secs(1), 7);
    let (host, container) = container(world, NODE);
    world.engine(host).end_container(&container.id, 7);
}

/// Upkeep every twenty seconds, for so long, by one coordinator: when the node was started meanwhile, and how it was told at the end.
fn kept(world: &World, time: Duration) -> (Vec<Timestamp>, RepairedCluster, Rows) {
    let story = async |life: &Life, c: &Coordinator| {
        let end = world.now().after(time);
        let (mut starts, mut runs) = (vec![], container(world, NODE).1.runs);
        loop {
            let before = world.now();
            let told = c.upkeep().await?.remove(0);
            let now = container(world, NODE).1.runs;
            assert!(now <= runs + 1, "one repair restarts it once");
            starts.extend((now > runs).then_some(before));
            runs = now;
            if world.now() >= end {
                return Ok::<_, Status>((starts, told));
            }
            life.pass(Duration::from_secs(20)).await;
        }
    };
    let (ended, rows) = world.command("upkeep", story).unwrap();
    let (starts, told) = ended.unwrap();
    (starts, told, rows)
}

fn restarts(rows: &Rows) -> Option<Restarts> {
    rows.nodes.iter().find(|node| node.name.as_str() == NODE).unwrap().restarts.clone()
}

/// The node's events of these kinds.
fn told_of_node(world: &World, kinds: &[EventKind]) -> Vec<String> {
    let (events, _) = world
        .command("events", async |_, c| {
            let filter = EventFilter { realm: None, cluster: None, after: 0, limit: 100_000 };
            c.store.read().await.unwrap().events().list(&filter).await.unwrap()
        })
        .unwrap();
    let of = |event: &NewEvent| event.node.as_ref().is_some_and(|node| node.as_str() == NODE);
    let events =
        events.into_iter().map(|event| event.event).filter(|event| of(event) && kinds.contains(&event.kind));
    events.map(|event| event.message).filter(|m| m.contains("failing") || m.contains("well again")).collect()
}

fn command<T>(
    world: &World,
    story: impl AsyncFnOnce(&Life, &Coordinator) -> Result<T, Status>,
) -> (Result<T, Status>, Rows) {
    world.command("command", story).unwrap()
}

#[test]
fn a_node_that_ends_at_once_is_restarted_ever_less_often_and_told_once() {
    let world = ready();
    doom(&world);
    let (starts, told, rows) = kept(&world, Duration::from_secs(3 * 3600));
    let pauses: Vec<u64> = starts.windows(2).map(|two| two[1].since(two[0]).as_secs()).collect();
    // Upkeep looks every twenty seconds, and each look takes some.
    let least = [10, 20, 40, 80, 160, 320, 640].into_iter().chain(std::iter::repeat(900));
    for (n, (pause, least)) in pauses.iter().zip(least).enumerate() {
        assert!((least..least + 60).contains(pause), "pause {n} of {pauses:?}");
    }
    assert!((16..=19).contains(&starts.len()), "{pauses:?}");
    let known = restarts(&rows).unwrap();
    assert_eq!(usize::try_from(known.count).unwrap(), starts.len());
    let end = known.failing.unwrap();
    assert_eq!(
        (end.exit_status, end.out_of_memory, end.log.last()),
        (Some(7), false, Some(&"no space left in /run".to_owned()))
    );
    assert!(!told.is_well() && told.error.is_none(), "{told:?}");
    assert!(told.troubles.iter().any(|t| t.starts_with("worker-1: failing: ended ")), "{told:?}");
    assert_eq!(
        told_of_node(&world, &[EventKind::NodeFailed, EventKind::NodeReady]),
        ["failing: ended 4 times in a row, last with exit status 7"]
    );
    let (answers, _) = command(&world, async |_, c| {
        let nodes = v1::ListNodesRequest { realm: "default".into(), cluster: "dev".into() };
        Ok((c.status("dev").await?, c.clusters().list_nodes(nodes).await?.into_inner().nodes))
    });
    let (status, nodes) = answers.unwrap();
    let failing: Vec<_> =
        status.nodes.iter().filter_map(|n| Some((n.name.as_str(), n.failing.clone()?))).collect();
    let [(NODE, failing)] = failing.as_slice() else { panic!("{failing:?}") };
    assert_eq!((failing.exit_status, failing.ends), (Some(7), known.count + 1));
    assert!(failing.restart_in_ms.is_some_and(|ms| ms <= 900_000), "{failing:?}");
    let states: BTreeMap<_, _> = nodes.iter().map(|n| (n.name.as_str(), n.state())).collect();
    assert_eq!(states[NODE], v1::NodeState::Failing);
    assert_eq!(states["worker-0"], v1::NodeState::Ready);
}

#[test]
fn a_node_that_stays_up_is_well_again() {
    let world = ready();
    doom(&world);
    let (_, _, rows) = kept(&world, Duration::from_secs(300));
    assert!(restarts(&rows).unwrap().failing.is_some());
    world.spare();
    let (starts, told, rows) = kept(&world, Duration::from_secs(1000));
    assert_eq!(starts.len(), 1, "it is waited for as before");
    assert!(told.is_well(), "{told:?}");
    assert_eq!(restarts(&rows), None);
    let row = rows.nodes.iter().find(|node| node.name.as_str() == NODE).unwrap();
    assert_eq!(row.state, NodeState::Ready);
    let told = told_of_node(&world, &[EventKind::NodeFailed, EventKind::NodeReady]);
    assert_eq!(
        told,
        ["failing: ended 4 times in a row, last with exit status 7", "well again: it stayed up"]
    );
    // It begins anew, without any pause.
    let (host, ended) = container(&world, NODE);
    world.engine(host).end_container(&ended.id, 1);
    let (starts, told, rows) = kept(&world, Duration::from_secs(1));
    assert!(told.is_well() && starts.len() == 1, "{told:?}");
    assert_eq!(restarts(&rows).map(|known| (known.count, known.failing)), Some((1, None)));
}

#[test]
fn a_person_waits_for_nothing_and_is_counted() {
    let world = ready();
    doom(&world);
    let (_, _, rows) = kept(&world, Duration::from_secs(300));
    let before = restarts(&rows).unwrap();
    let runs = container(&world, NODE).1.runs;
    let (repaired, rows) = command(&world, async |_, c| c.repair(&[], false).await);
    let repaired = repaired.unwrap().remove(0);
    assert!(repaired.error.as_ref().unwrap().contains("exit status 7"), "{repaired:?}");
    let (after, made) = (restarts(&rows).unwrap(), container(&world, NODE).1.runs - runs);
    assert!(made >= 1 && u64::from(after.count - before.count) == made, "{before:?} {after:?}");
    // Upkeep goes on from there.
    let (starts, ..) = kept(&world, Duration::from_secs(60));
    assert!(starts.is_empty());
    world.spare();
    let (repaired, _) = command(&world, async |_, c| c.repair(&[], false).await);
    assert!(repaired.unwrap()[0].is_well());
}

#[test]
fn what_is_missing_or_elsewhere_on_the_network_has_not_ended() {
    let world = ready();
    for _ in 0..5 {
        let (host, there) = container(&world, NODE);
        let (removed, _) = command(&world, async |_, _| {
            world.engine(host).client("somebody").remove_container(&there.id).await.unwrap();
            Ok(())
        });
        removed.unwrap();
        let upkeep = || command(&world, async |_, c| c.upkeep().await);
        assert!(upkeep().0.unwrap()[0].is_well());
        let (host, there) = container(&world, NODE);
        world.engine(host).disconnect(&there.id);
        let (told, rows) = upkeep();
        assert!(told.unwrap()[0].is_well());
        assert_eq!(restarts(&rows), None);
    }
}

#[test]
fn a_failing_node_keeps_no_other_from_being_mended() {
    let world = ready();
    doom(&world);
    kept(&world, Duration::from_secs(100));
    let (host, other) = container(&world, "worker-2");
    world.engine(host).end_container(&other.id, 1);
    let (_, told, _) = kept(&world, Duration::from_secs(1));
    assert_eq!(container(&world, "worker-2").1.state, ContainerState::Running);
    assert!(told.troubles.iter().all(|trouble| trouble.starts_with(NODE)), "{told:?}");
    // The controller, too: Slurm is waited for where it can be.
    let world = ready();
    world.doom("controller", Duration::from_secs(1), 3);
    let (host, controller) = container(&world, "controller");
    world.engine(host).end_container(&controller.id, 3);
    kept(&world, Duration::from_secs(100));
    let (host, other) = container(&world, "worker-2");
    world.engine(host).end_container(&other.id, 1);
    kept(&world, Duration::from_secs(1));
    assert_eq!(container(&world, "worker-2").1.state, ContainerState::Running);
}

#[test]
fn a_cluster_that_does_not_heal_is_mended_by_a_person_alone() {
    let world = ready();
    let change = |name: &'static str, policy| v1::UpdateClusterRequest {
        realm: "default".into(),
        name: name.into(),
        healing_policy: Some(policy),
        heal_after_ms: None,
        ttl_ms: None,
        copies_ms: None,
    };
    let (none, restart) = (v1::HealingPolicy::None.into(), v1::HealingPolicy::Restart.into());
    let (changed, rows) = command(&world, async |_, c| {
        Ok(c.clusters().update_cluster(change("dev", none)).await?.into_inner())
    });
    let healing = changed.unwrap().cluster.unwrap().healing.unwrap();
    assert_eq!((healing.policy(), healing.after_ms), (v1::HealingPolicy::None, 120_000));
    assert_eq!(rows.cluster("dev").unwrap().spec.healing, shoal_types::Healing::default(), "the wish stays");
    let calls = |world: &World| {
        let all = world.fleet().all();
        let calls = all.iter().flat_map(|engine| engine.truth().calls.clone());
        calls.filter(|(m, _)| m.changes() && *m != Method::Exec).map(|(_, count)| count).sum::<u64>()
    };
    let (host, ended) = container(&world, NODE);
    world.engine(host).end_container(&ended.id, 1);
    let before = calls(&world);
    let (_, told, _) = kept(&world, Duration::from_secs(60));
    assert_eq!(calls(&world), before, "it is left alone");
    assert!(!told.is_well() && told.mends.is_empty() && told.error.is_none(), "{told:?}");
    let (repaired, _) = command(&world, async |_, c| c.repair(&[], false).await);
    assert!(repaired.unwrap()[0].is_well());
    let (changed, _) =
        command(&world, async |_, c| c.clusters().update_cluster(change("dev", restart)).await.map(drop));
    changed.unwrap();
    let (host, ended) = container(&world, NODE);
    world.engine(host).end_container(&ended.id, 1);
    assert!(kept(&world, Duration::from_secs(30)).1.is_well());
    for (name, policy, code) in [
        ("nope", none, Code::NotFound),
        ("dev", 99, Code::InvalidArgument),
        ("dev", 0, Code::InvalidArgument),
    ] {
        let (refused, _) =
            command(&world, async |_, c| c.clusters().update_cluster(change(name, policy)).await.map(drop));
        assert_eq!(refused.unwrap_err().code(), code, "{name} {policy}");
    }
}
