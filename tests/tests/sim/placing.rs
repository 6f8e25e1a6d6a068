//! Rules on where nodes go, through a whole coordinator: they hold between clusters and when a host is lost, and every node's
//! place can be explained.

use std::{collections::BTreeMap, time::Duration};

use shoal_docker_fake::{Action, Method, Rule};
use shoal_proto::v1::{self, hosts_client::HostsClient};
use shoal_storage::EventFilter;
use shoal_tests::sim::{Wish, World};
use tokio::time::sleep;
use tonic::Code;

fn apart() -> v1::Placing {
    v1::Placing { apart: vec![v1::Role::Controller.into()], ..v1::Placing::default() }
}

fn host_of<'c>(cluster: &'c v1::Cluster, node: &str) -> &'c str {
    &cluster.nodes.iter().find(|n| n.name == node).unwrap().host
}

#[test]
fn controllers_of_different_clusters_keep_apart_both_ways() {
    let world = World::registered(31, 2).unwrap();
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        let first = coordinator.create(&Wish { placing: apart(), ..Wish::new("first", 3) }).await.unwrap();
        // The second says nothing of it, and stays away all the same.
        let second = coordinator.create(&Wish::new("second", 3)).await.unwrap();
        assert_ne!(host_of(&first, "controller"), host_of(&second, "controller"));
        let third = Wish { placing: apart(), ..Wish::new("third", 3) };
        let refused = coordinator.create(&third).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.message().contains("2 have a controller of another cluster"), "{refused}");
        let plan = coordinator.plan(third.spec()).await.unwrap();
        assert!(!plan.fits && plan.refusals.iter().all(|r| r.filter() == v1::Filter::Apart), "{plan:?}");
        assert_eq!(plan.hosts.len(), 2);
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}

/// `h2` has an engine of 20.10: root in a node there is root on it.
#[test]
fn a_host_that_denies_privileged_nodes_gets_none_and_keeps_those_it_has() {
    let world = World::registered(34, 3).unwrap();
    let lost = world.engine("h3");
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        let set = async |word: v1::PrivilegedNodes| {
            let request = v1::UpdateHostRequest {
                name: "h2".into(),
                privileged_nodes: Some(word.into()),
                ..v1::UpdateHostRequest::default()
            };
            let mut hosts = HostsClient::new(coordinator.channel());
            hosts.update_host(request).await.unwrap().into_inner().host.unwrap()
        };
        let told = async |cluster: &str| {
            let cluster = (shoal_types::RealmName::default(), cluster.parse().unwrap());
            let filter = EventFilter { realm: None, cluster: None, after: 0, limit: 10_000 };
            let events = coordinator.store.read().await.unwrap().events().list(&filter).await.unwrap();
            let ours = events.into_iter().filter(|e| e.event.cluster.as_ref() == Some(&cluster));
            ours.map(|e| e.event.message).filter(|m| m.starts_with("root in a node")).collect::<Vec<_>>()
        };
        let first = coordinator.create(&Wish::new("first", 5)).await.unwrap();
        assert!(first.nodes.iter().any(|node| node.host == "h2"));
        let warning =
            "root in a node is root on h2, and on every host of this kind (sys-admin) that shares a cluster";
        assert_eq!(told("first").await, [warning]);

        let host = set(v1::PrivilegedNodes::Deny).await;
        assert_eq!(host.privileged_nodes(), v1::PrivilegedNodes::Deny);
        let plan = coordinator.plan(Wish::new("second", 5).spec()).await.unwrap();
        let refused = |r: &v1::Refusal| (r.host == "h2") == (r.filter() == v1::Filter::Privilege);
        assert!(plan.fits && plan.refusals.iter().all(refused) && !plan.refusals.is_empty(), "{plan:?}");
        // A host is lost before anything was started there: its nodes go to the one that is left.
        world.fleet().rule(Rule::on(Method::CreateContainer, Action::Hang).engine("h3"));
        drop(tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            lost.cut();
        }));
        let second = coordinator.create(&Wish::new("second", 5)).await.unwrap();
        assert!(second.nodes.iter().all(|node| node.host == "h1"), "{second:?}");
        assert!(told("second").await.is_empty());
        let why = coordinator.explain("second", "controller").await.unwrap();
        assert!(
            why.refusals.iter().any(|r| r.host == "h2" && r.filter() == v1::Filter::Privilege),
            "{why:?}"
        );
        let pinned = v1::Placing { pins: vec!["controller=h2".into()], ..v1::Placing::default() };
        let refused =
            coordinator.create(&Wish { placing: pinned, ..Wish::new("third", 1) }).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(
            refused.message().contains("denies privileged nodes (root in a node is root there)"),
            "{refused}"
        );
        // What is there stays, and is told of.
        assert_eq!(coordinator.status("first").await.unwrap().nodes.len(), 6);
        let examined = coordinator.examine(&["h2"]).await.unwrap();
        let said: Vec<_> = examined.hosts[0].findings.iter().map(|f| f.message.as_str()).collect();
        assert!(said.iter().any(|m| m.contains("h2 denies privileged nodes, and has")), "{said:?}");

        set(v1::PrivilegedNodes::Allow).await;
        let fourth = coordinator.create(&Wish::new("fourth", 5)).await.unwrap();
        assert!(fourth.nodes.iter().any(|node| node.host == "h2"));
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}

#[test]
fn a_pin_to_no_host_changes_nothing_and_names_it() {
    let world = World::registered(32, 2).unwrap();
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        let pins = |pin: &str| v1::Placing { pins: vec![pin.into()], ..v1::Placing::default() };
        let lost = Wish { placing: pins("controller=h9"), ..Wish::new("dev", 3) };
        for refused in
            [coordinator.create(&lost).await.unwrap_err(), coordinator.plan(lost.spec()).await.unwrap_err()]
        {
            assert_eq!(refused.code(), Code::NotFound);
            assert!(refused.message().contains("pinned to h9, which is not registered"), "{refused}");
        }
        let there = Wish { placing: pins("worker-[0-2]=h2"), ..Wish::new("dev", 4) };
        let cluster = coordinator.create(&there).await.unwrap();
        for node in ["worker-0", "worker-1", "worker-2"] {
            assert_eq!(host_of(&cluster, node), "h2");
        }
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}

#[test]
fn every_node_can_be_explained() {
    let world = World::registered(33, 4).unwrap();
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        for strategy in ["spread", "round-robin", "metadata", "binpack", "random"] {
            let placing = v1::Placing { max_per_host: Some(4), ..v1::Placing::default() };
            let wish = Wish { scheduler: strategy.into(), placing, ..Wish::new(strategy, 9) };
            let cluster = coordinator.create(&wish).await.unwrap();
            let mut on: BTreeMap<&str, u32> = BTreeMap::new();
            for node in &cluster.nodes {
                *on.entry(&node.host).or_default() += 1;
                let why = coordinator.explain(strategy, &node.name).await.unwrap();
                assert_eq!((why.host.as_str(), why.differs.as_str()), (node.host.as_str(), ""), "{why:?}");
                assert!(why.rank >= 1 && why.rank <= why.candidates, "{why:?}");
                assert_eq!((why.nodes, why.moves, why.scheduler.as_str()), (10, 0, strategy));
                assert_eq!(why.candidates as usize + why.refusals.len(), 4);
                assert_eq!(why.seed.is_some(), strategy == "random");
            }
            assert!(on.values().all(|nodes| *nodes <= 4), "{on:?}");
        }
        let missing = coordinator.explain("spread", "worker-99").await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}

#[test]
fn the_rules_hold_when_nodes_are_placed_anew_and_it_is_told() {
    let world = World::registered(3, 3).unwrap();
    // The host goes with the first container made there: nothing was started on it.
    world.fleet().rule(Rule::on(Method::CreateContainer, Action::Hang).engine("h2"));
    let lost = world.engine("h2");
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        drop(tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            lost.cut();
        }));
        let placing = v1::Placing { max_per_host: Some(3), ..v1::Placing::default() };
        let cluster = coordinator.create(&Wish { placing, ..Wish::new("dev", 4) }).await.unwrap();
        let mut on: BTreeMap<&str, u32> = BTreeMap::new();
        let mut moved = 0;
        for node in &cluster.nodes {
            *on.entry(&node.host).or_default() += 1;
            let why = coordinator.explain("dev", &node.name).await.unwrap();
            assert_eq!((why.host.as_str(), why.differs.as_str()), (node.host.as_str(), ""), "{why:?}");
            assert_eq!(why.moves > 0, why.moved_reason.contains("h2"), "{why:?}");
            if why.moves > 0 {
                moved += 1;
                assert!(why.nodes < 5 && why.refusals.iter().any(|r| r.host == "h2"), "{why:?}");
            }
        }
        assert!(moved > 0);
        let mut counts: Vec<_> = on.into_iter().collect();
        counts.sort_unstable();
        assert!(matches!(counts[..], [("h1", 2 | 3), ("h3", 2 | 3)]), "{counts:?}");
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}
