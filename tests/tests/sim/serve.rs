//! A coordinator that stays: what is damaged while it serves is mended by itself, what is not is left alone, and its end leaves what
//! is under way to the next one.

use std::{collections::BTreeMap, time::Duration};

use shoal_coordinator::KeepEvents;
use shoal_docker::{ContainerState, LabelFilter};
use shoal_docker_fake::{ContainerTruth, Method};
use shoal_storage::EventFilter;
use shoal_tests::sim::{Life, Rows, Wish, World, nothing_wrong};
use shoal_types::ClusterPhase;
use tonic::Code;

use crate::served::{self, KEEP, MINUTE, SECOND, served};

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Hosts `h1` to `h3` with a cluster `dev` of a controller and five workers.
fn ready() -> World {
    served::ready(5, HOSTS.len(), 5)
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

fn runs(world: &World) -> usize {
    nodes(world).values().filter(|(_, c)| c.state == ContainerState::Running && c.address.is_some()).count()
}

/// How long it takes until this holds.
async fn until(life: &Life, world: &World, limit: Duration, holds: impl Fn() -> bool) -> Duration {
    let began = world.now();
    while !holds() {
        let took = world.now().since(began);
        assert!(took < limit, "not within {limit:?}: {:?}", nodes(world).keys());
        life.pass(LOOK).await;
    }
    world.now().since(began)
}

/// Calls that change something, of all engines.
fn changes(world: &World) -> u64 {
    let all = world.fleet().all();
    let calls = all.iter().flat_map(|engine| engine.truth().calls.clone());
    calls.filter(|(method, _)| method.changes() && *method != Method::Exec).map(|(_, count)| count).sum()
}

/// Somebody removes a container by hand.
async fn remove(world: &World, (host, container): &(&'static str, ContainerTruth)) {
    world.engine(host).client("somebody").remove_container(&container.id).await.unwrap();
}

/// Once it has settled, nothing is done any more, whatever its own actions woke.
async fn rests(life: &Life, world: &World) {
    life.pass(MINUTE).await;
    let before = (changes(world), nodes(world).values().map(|(_, c)| c.runs).sum::<u64>());
    life.pass(10 * MINUTE).await;
    let after = (changes(world), nodes(world).values().map(|(_, c)| c.runs).sum::<u64>());
    assert_eq!(before, after, "something is done although nothing happens");
}

#[test]
fn nodes_that_are_removed_killed_or_cut_off_come_back_by_themselves() {
    let world = ready();
    let before = nodes(&world);
    let ((), rows) = served(&world, async |life, _| {
        remove(&world, &before["worker-0"]).await;
        let took = until(life, &world, 5 * SECOND, || runs(&world) == 6).await;
        assert!(took > Duration::ZERO);
        // While the first is waited for.
        let (host, killed) = &before["worker-1"];
        world.engine(host).end_container(&killed.id, 137);
        until(life, &world, 5 * SECOND, || runs(&world) == 6).await;
        life.pass(MINUTE).await;
        let (host, cut) = &before["worker-2"];
        world.engine(host).disconnect(&cut.id);
        until(life, &world, 5 * SECOND, || runs(&world) == 6).await;
        rests(life, &world).await;
    });
    let after = nodes(&world);
    for (name, (host, container)) in &before {
        assert_eq!((*host, &container.spec.network), (after[name].0, &after[name].1.spec.network), "{name}");
    }
    assert_eq!(after["worker-1"].1.id, before["worker-1"].1.id, "what has only ended is started");
    nothing_wrong(&world, &rows);
}

#[test]
fn an_agent_and_a_network_that_are_removed_come_back() {
    let world = ready();
    let ((), rows) = served(&world, async |life, _| {
        let agents = |host: &str| {
            let truth = world.engine(host).truth();
            let is_agent = |c: &ContainerTruth| c.spec.labels.get("shoal.role").is_some_and(|r| r == "agent");
            truth.containers.iter().filter(|c| is_agent(c)).cloned().collect::<Vec<_>>()
        };
        let agent = agents("h1").remove(0);
        remove(&world, &("h1", agent.clone())).await;
        let is_new = || agents("h1").iter().any(|a| a.id != agent.id && a.state == ContainerState::Running);
        until(life, &world, 10 * SECOND, is_new).await;
        rests(life, &world).await;
        // With the network its nodes must go.
        for (_, node) in nodes(&world).into_iter().filter(|(_, (host, _))| *host == "h2") {
            remove(&world, &node).await;
        }
        let engine = world.engine("h2").client("somebody");
        for network in engine.list_networks(&LabelFilter::all().with_key("shoal.cluster")).await.unwrap() {
            // What is mended meanwhile may be on it already.
            drop(engine.remove_network(&network.id).await);
        }
        until(life, &world, 20 * SECOND, || runs(&world) == 6).await;
        rests(life, &world).await;
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn a_host_that_reboots_has_its_nodes_again() {
    let world = ready();
    let ((), rows) = served(&world, async |life, _| {
        for (host, off) in [("h2", 5 * SECOND), ("h3", 10 * MINUTE)] {
            world.power_off(host);
            life.pass(off).await;
            let calls = changes(&world);
            assert!(runs(&world) < 6);
            life.pass(SECOND).await;
            assert_eq!(changes(&world), calls, "what is there of the others is as it should be");
            world.engine(host).up();
            until(life, &world, 45 * SECOND, || runs(&world) == 6).await;
        }
        world.engine("h1").restart();
        until(life, &world, 15 * SECOND, || runs(&world) == 6).await;
        rests(life, &world).await;
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn what_cannot_be_mended_is_tried_ever_more_seldom() {
    let world = ready();
    let (host, container) = nodes(&world).remove("worker-3").unwrap();
    world.doom("worker-3", SECOND, 7);
    served(&world, async |life, _| {
        world.engine(host).end_container(&container.id, 7);
        life.pass(60 * MINUTE).await;
        let runs = nodes(&world)["worker-3"].1.runs;
        assert!((3..60).contains(&runs), "started {runs} times within an hour");
        let all = nodes(&world);
        let others = all.iter().filter(|(name, _)| *name != "worker-3");
        assert!(others.into_iter().all(|(_, (_, c))| c.state == ContainerState::Running));
    });
}

#[test]
fn nothing_happens_where_nothing_is_wrong() {
    let world = ready();
    let calls = changes(&world);
    let ((), rows) = served(&world, async |life, _| rests(life, &world).await);
    assert_eq!(changes(&world), calls);
    nothing_wrong(&world, &rows);
}

#[test]
fn the_end_of_a_server_leaves_a_create_to_the_next_one() {
    let world = World::registered(7, HOSTS.len()).unwrap();
    let left = world.live(async |life| {
        let server = life.coordinator("first").await.unwrap();
        server.keep(KEEP);
        let wish = Wish::new("dev", 5);
        let begun = server.begin(&wish).await.unwrap();
        let mut steps = server.follow(&wish, begun).await.unwrap();
        until(&life, &world, 20 * SECOND, || !nodes(&world).is_empty()).await;
        let rows = Rows::read(&server.store).await.unwrap();
        assert_eq!(rows.cluster("dev").unwrap().phase, ClusterPhase::Creating);
        let told = async {
            loop {
                match steps.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the stream ended without a word"),
                    Err(status) => return status,
                }
            }
        };
        tokio::join!(told, server.leave()).0
    });
    let told = left.unwrap().unwrap();
    assert_eq!(told.code(), Code::Aborted, "{told:?}");
    assert!(told.message().contains("left as it is"), "{told:?}");
    let there = nodes(&world).len();
    assert!(there > 0, "nothing is rolled back");
    let (leases, rows) = world
        .command("look", async |_, c| c.store.read().await.unwrap().leases().list().await.unwrap())
        .unwrap();
    assert_eq!(rows.cluster("dev").unwrap().phase, ClusterPhase::Creating);
    assert!(leases.iter().all(shoal_storage::Lease::is_released), "{leases:?}");
    let ((), rows) = served(&world, async |life, _| {
        until(life, &world, 30 * SECOND, || runs(&world) == 6).await;
        life.pass(30 * SECOND).await;
    });
    assert_eq!(rows.cluster("dev").unwrap().phase, ClusterPhase::Ready);
    nothing_wrong(&world, &rows);
}

#[test]
fn what_somebody_asked_to_undo_is_undone_although_the_server_ends() {
    let world = World::registered(8, HOSTS.len()).unwrap();
    let ended = world.live(async |life| {
        let server = life.coordinator("first").await.unwrap();
        server.keep(KEEP);
        let begun = server.begin(&Wish::new("dev", 5)).await.unwrap();
        until(&life, &world, 20 * SECOND, || !nodes(&world).is_empty()).await;
        server.interrupt(&begun).await.unwrap();
        server.leave().await;
    });
    ended.unwrap().unwrap();
    let ((), rows) = served(&world, async |life, _| life.pass(2 * MINUTE).await);
    assert!(rows.cluster("dev").is_none() && nodes(&world).is_empty(), "{rows:?}");
}

#[test]
fn a_killed_process_is_finished_and_others_are_left_to_their_work() {
    let world = World::registered(9, HOSTS.len()).unwrap();
    let ((), rows) = served(&world, async |life, server| {
        let other = life.coordinator("other").await.unwrap();
        let begun = other.begin(&Wish::new("killed", 3)).await.unwrap();
        drop(begun);
        until(life, &world, 20 * SECOND, || !nodes(&world).is_empty()).await;
        other.kill();
        // Meanwhile another process makes a cluster, and the server one.
        let busy = life.coordinator("busy").await.unwrap();
        let (theirs, own) = (Wish::new("theirs", 3), Wish::new("own", 3));
        let (made, owned) = tokio::join!(busy.create(&theirs), server.create(&own));
        made.and(owned).unwrap();
        busy.shutdown().await;
        life.pass(2 * MINUTE).await;
        rests(life, &world).await;
    });
    for name in ["killed", "theirs", "own"] {
        assert_eq!(rows.cluster(name).unwrap().phase, ClusterPhase::Ready, "{name}");
    }
    nothing_wrong(&world, &rows);
}

#[test]
fn what_was_left_on_a_host_goes_when_it_is_back() {
    let world = ready();
    let ((), rows) = served(&world, async |life, server| {
        world.power_off("h3");
        server.delete(&["dev"]).await.unwrap_err();
        life.pass(10 * MINUTE).await;
        assert!(Rows::read(&server.store).await.unwrap().cluster("dev").is_some());
        world.engine("h3").up();
        life.pass(15 * MINUTE).await;
        assert!(nodes(&world).is_empty());
    });
    assert!(rows.clusters.is_empty() && rows.remnants.is_empty(), "{rows:?}");
    nothing_wrong(&world, &rows);
}

#[test]
fn a_host_that_is_registered_later_is_watched_too() {
    let world = World::new(11, 1).unwrap();
    served(&world, async |life, server| {
        server.register("h1").await.unwrap();
        server.create(&Wish::new("dev", 1)).await.unwrap();
        life.pass(5 * SECOND).await;
        let on_h1 = || {
            let truth = world.engine("h1").truth();
            let node = |c: &ContainerTruth| c.spec.hostname.as_deref() == Some("worker-0");
            truth.containers.iter().find(|c| node(c)).cloned()
        };
        let before = on_h1().unwrap();
        remove(&world, &("h1", before.clone())).await;
        let is_new = || on_h1().is_some_and(|c| c.id != before.id && c.state == ContainerState::Running);
        until(life, &world, 5 * SECOND, is_new).await;
    });
}

#[test]
fn old_events_go_and_the_last_stays() {
    let world = ready();
    let all = EventFilter { realm: None, cluster: None, after: 0, limit: 10_000 };
    let kept = world.live(async |life| {
        let server = life.coordinator("server").await.unwrap();
        let before = server.store.read().await.unwrap().events().list(&all).await.unwrap();
        life.pass(30 * SECOND).await;
        server.keep(KeepEvents { age: MINUTE, most: 1_000_000 });
        life.pass(10 * SECOND).await;
        let young = server.store.read().await.unwrap().events().list(&all).await.unwrap();
        // That of the first copy of the controller's state came in addition.
        assert_eq!(young.len(), before.len() + 1, "all of them are young");
        life.pass(90 * MINUTE).await;
        let kept = server.store.read().await.unwrap().events().list(&all).await.unwrap();
        server.leave().await;
        (young.last().unwrap().seq, kept)
    });
    let (last, kept) = kept.unwrap().unwrap();
    assert_eq!(kept.iter().map(|event| event.seq).collect::<Vec<_>>(), [last]);
}
