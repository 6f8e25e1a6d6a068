//! Ready clusters that are damaged, and what a repair makes of them.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use shoal_api::{Mend, Repair, RepairedCluster};
use shoal_docker::{ContainerState, LabelFilter};
use shoal_docker_fake::{ContainerTruth, Method};
use shoal_proto::v1;
use shoal_tests::sim::{Coordinator, Life, Rows, Wish, World, nothing_wrong};
use tonic::{Code, Status};

use crate::served;

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// Hosts `h1` to `h3` with a cluster `dev` of a controller and five workers, two nodes on each.
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
    nodes(world).values().filter(|(_, c)| c.state == ContainerState::Running).count()
}

fn command<T>(
    world: &World,
    story: impl AsyncFnOnce(&Life, &Coordinator) -> Result<T, Status>,
) -> (Result<T, Status>, Rows) {
    world.command("command", story).unwrap()
}

fn repair(world: &World) -> (RepairedCluster, Rows) {
    let (repaired, rows) = command(world, async |_, c| c.repair(&[], false).await);
    let mut repaired = repaired.unwrap();
    assert_eq!(repaired.len(), 1);
    (repaired.remove(0), rows)
}

fn shown(mends: &[Mend]) -> Vec<String> {
    let shown =
        |m: &Mend| format!("{} {} {}: {}", m.host, m.node.as_deref().unwrap_or("-"), m.kind, m.reason);
    mends.iter().map(shown).collect()
}

/// It is well, and there is nothing to be mended.
fn well(world: &World) {
    let calls = changes(world);
    let (repaired, rows) = repair(world);
    assert!(repaired.is_well() && repaired.mends.is_empty(), "{repaired:?}");
    assert_eq!(changes(world), calls, "a repair of a cluster that is well changes nothing");
    assert_eq!(runs(world), 6);
    nothing_wrong(world, &rows);
}

/// Calls that change something, of all engines.
fn changes(world: &World) -> u64 {
    let all = world.fleet().all();
    let calls = all.iter().flat_map(|engine| engine.truth().calls.clone());
    calls.filter(|(method, _)| method.changes() && *method != Method::Exec).map(|(_, count)| count).sum()
}

#[test]
fn a_cluster_that_is_well_is_left_alone() {
    well(&ready());
}

#[test]
fn nodes_that_ended_are_started_and_those_that_are_gone_made_anew() {
    let world = ready();
    let before = nodes(&world);
    let (ended, gone, cut) = (&before["worker-0"], &before["worker-1"], &before["worker-2"]);
    world.engine(ended.0).end_container(&ended.1.id, 137);
    let (removed, _) = command(&world, async |_, _| {
        let engine = world.engine(gone.0).client("somebody");
        engine.remove_container(&gone.1.id).await.unwrap();
        Ok(())
    });
    removed.unwrap();
    world.engine(cut.0).disconnect(&cut.1.id);
    let (planned, _) = command(&world, async |_, c| c.repair(&["dev"], true).await);
    let planned = planned.unwrap().remove(0);
    let mut expected = [
        format!("{} worker-0 start: its container exited, exit status 137", ended.0),
        format!("{} worker-1 create: it has no container", gone.0),
        format!("{} worker-2 recreate: it is not on the cluster's network", cut.0),
    ];
    expected.sort();
    let mut told = shown(&planned.mends);
    told.sort();
    assert_eq!(told, expected);
    assert!(!planned.is_well() && runs(&world) == 4, "a dry run changes nothing");
    let (repaired, _) = repair(&world);
    assert_eq!(repaired.mends, planned.mends);
    assert!(repaired.is_well(), "{repaired:?}");
    let after = nodes(&world);
    let place = |(host, c): &(&'static str, ContainerTruth)| (*host, c.spec.network.clone());
    for (name, node) in &before {
        assert_eq!(place(&after[name]), place(node), "{name} is where it was, with its address");
    }
    assert_eq!(after["worker-0"].1.id, ended.1.id, "what has only ended is started");
    assert_ne!(after["worker-2"].1.id, cut.1.id);
    well(&world);
}

#[test]
fn a_host_that_was_off_has_its_nodes_again() {
    let world = ready();
    world.power_off("h2");
    world.engine("h2").up();
    assert_eq!(runs(&world), 4);
    let (repaired, rows) = repair(&world);
    assert!(repaired.is_well(), "{repaired:?}");
    assert!(repaired.mends.iter().all(|m| m.host == "h2") && repaired.mends.len() >= 2, "{repaired:?}");
    assert_eq!(runs(&world), 6);
    nothing_wrong(&world, &rows);
    well(&world);
}

#[test]
fn the_controller_keeps_its_volume() {
    let world = ready();
    let controller = nodes(&world).remove("controller").unwrap();
    let (removed, _) = command(&world, async |_, _| {
        let engine = world.engine(controller.0).client("somebody");
        engine.remove_container(&controller.1.id).await.unwrap();
        Ok(())
    });
    removed.unwrap();
    let made = |method| world.engine(controller.0).truth().calls.get(&method).copied().unwrap_or(0);
    let removals = made(Method::RemoveVolume);
    assert!(repair(&world).0.is_well());
    assert_eq!(made(Method::RemoveVolume), removals);
    well(&world);
}

#[test]
fn a_host_that_is_down_keeps_nobody_else_from_being_mended() {
    let world = ready();
    let before = nodes(&world);
    let (down, other) = ("h3", before.iter().find(|(_, (host, _))| *host == "h2").unwrap());
    world.engine(down).kill();
    world.engine("h2").end_container(&other.1.1.id, 1);
    let began = world.now();
    let (repaired, _) = repair(&world);
    assert_eq!(shown(&repaired.mends).len(), 1, "{repaired:?}");
    assert!(!repaired.is_well());
    assert!(repaired.troubles.iter().any(|t| t.starts_with("h3: ")), "{repaired:?}");
    assert!(repaired.error.as_ref().unwrap().contains("h3"), "{repaired:?}");
    assert!(!repaired.troubles.iter().any(|t| t.starts_with(other.0)), "{repaired:?}");
    assert_eq!(nodes(&world)[other.0].1.state, ContainerState::Running);
    let took = world.now().since(began);
    assert!(took < Duration::from_secs(60), "{} s", took.as_secs());
    world.engine(down).up();
    assert!(repair(&world).0.is_well());
    well(&world);
}

#[test]
fn a_host_with_another_address_is_told_to_all() {
    let world = ready();
    let moved = Ipv4Addr::new(10, 77, 0, 99);
    world.mesh("h2", |mesh| mesh.underlay = Some(moved));
    let (set, _) = command(&world, async |_, c| {
        let request = v1::UpdateHostRequest {
            name: "h2".into(),
            underlay: Some(moved.to_string()),
            ..Default::default()
        };
        c.hosts().update_host(request).await.map(drop)
    });
    set.unwrap();
    let (repaired, _) = repair(&world);
    assert!(repaired.is_well(), "{repaired:?}");
    let told = shown(&repaired.mends);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.iter().all(|t| t.contains("- mesh: its agent was told other underlay addresses")),
        "{told:?}"
    );
    let remote = world.mesh("h1", |mesh| mesh.devices.values().next().unwrap().members.clone());
    assert!(remote.values().any(|host| *host == moved.to_string()), "{remote:?}");
    well(&world);
}

#[test]
fn an_agent_or_a_tunnel_that_is_gone_comes_back() {
    let world = ready();
    let truth = world.engine("h1").truth();
    let agent =
        truth.containers.iter().find(|c| c.spec.labels.get("shoal.role").is_some_and(|r| r == "agent"));
    let agent = agent.unwrap().id.clone();
    let (removed, _) = command(&world, async |_, _| {
        let engine = world.engine("h1").client("somebody");
        engine.remove_container(&agent).await.unwrap();
        Ok(())
    });
    removed.unwrap();
    world.mesh("h1", |mesh| (mesh.kept.clear(), mesh.devices.clear()));
    let (repaired, _) = repair(&world);
    assert!(repaired.is_well(), "{repaired:?}");
    assert!(shown(&repaired.mends)[0].starts_with("h1 - agent: "), "{repaired:?}");
    assert_eq!(world.mesh("h1", |mesh| mesh.devices.len()), 1);
    well(&world);
}

#[test]
fn a_node_that_ends_whenever_it_is_started_is_told() {
    let world = ready();
    let (host, container) = nodes(&world).remove("worker-3").unwrap();
    world.doom("worker-3", Duration::from_secs(1), 7);
    world.engine(host).end_container(&container.id, 7);
    let (repaired, rows) = repair(&world);
    let error = repaired.error.unwrap();
    assert!(error.contains("worker-3 on") && error.contains("exit status 7"), "{error}");
    assert_eq!(
        rows.cluster("dev").map(|c| c.phase),
        Some(shoal_types::ClusterPhase::Ready),
        "nothing is rolled back"
    );
}

#[test]
fn only_ready_clusters_are_repaired() {
    let world = ready();
    let (unknown, _) = command(&world, async |_, c| c.repair(&["nope"], false).await);
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    let (both, _) = command(&world, async |_, c| {
        let begun = c.begin(&Wish::new("other", 1)).await?;
        let repaired = c.repair(&["other"], false).await?;
        c.ready(&Wish::new("other", 1), begun).await?;
        Ok(repaired)
    });
    let refused = both.unwrap().remove(0);
    assert_eq!(
        refused.error.as_deref(),
        Some(
            "cluster other is creating: only a cluster that was ready is repaired; `shoal resume` finishes what was interrupted"
        )
    );
}

#[test]
fn what_would_be_mended_is_not_well() {
    let world = ready();
    let (host, cut) = nodes(&world).remove("worker-2").unwrap();
    world.engine(host).disconnect(&cut.id);
    let (planned, _) = command(&world, async |_, c| c.repair(&[], true).await);
    let dry = Repair { dry_run: true, clusters: planned.unwrap() };
    assert_eq!(dry.clusters[0].mends.len(), 1, "{dry:?}");
    assert!(!dry.is_well(), "{dry:?}");
    assert!(repair(&world).0.is_well());
    well(&world);
}

#[test]
fn a_docker_network_that_is_gone_is_made_with_its_nodes() {
    let world = ready();
    let before = nodes(&world);
    world.power_off("h2");
    world.engine("h2").up();
    let (removed, _) = command(&world, async |_, _| {
        let engine = world.engine("h2").client("somebody");
        for network in engine.list_networks(&LabelFilter::default()).await.unwrap() {
            if network.labels.contains_key("shoal.cluster") {
                engine.remove_network(&network.id).await.unwrap();
            }
        }
        Ok(())
    });
    removed.unwrap();
    let (repaired, _) = repair(&world);
    let told = shown(&repaired.mends);
    assert!(told.iter().any(|t| t == "h2 - network: the cluster's Docker network is not there"), "{told:?}");
    assert!(repaired.is_well(), "{repaired:?}");
    let after = nodes(&world);
    for (name, (host, container)) in &before {
        let (now, anew) = &after[name];
        // A network of the same name has another id.
        assert_eq!((now, anew.spec.network == container.spec.network), (host, *host != "h2"), "{name}");
    }
    well(&world);
}

/// The worst that could be: a row leads to the engine of another host, where the cluster has other nodes.
#[test]
fn nodes_of_another_hosts_engine_are_not_touched() {
    let world = ready();
    let (host, ended) = nodes(&world).remove("worker-3").unwrap();
    let other = HOSTS.into_iter().find(|name| *name != host).unwrap();
    world.engine(host).end_container(&ended.id, 1);
    world.engine(other).change_facts(|facts| "ANOTHER".clone_into(&mut facts.id));
    let removals = || world.engine(other).truth().calls.get(&Method::RemoveContainer).copied().unwrap_or(0);
    let before = (removals(), world.engine(other).truth().containers.len());
    let (repaired, _) = repair(&world);
    assert!(!repaired.is_well(), "{repaired:?}");
    assert!(repaired.error.as_ref().unwrap().contains(other), "{repaired:?}");
    assert!(repaired.mends.iter().all(|mend| mend.host == host), "{repaired:?}");
    assert_eq!((removals(), world.engine(other).truth().containers.len()), before);
    assert_eq!(nodes(&world)["worker-3"].1.state, ContainerState::Running, "the others are mended");
}

#[test]
fn an_interrupted_repair_begins_nothing_and_the_next_takes_each_cluster_once() {
    let world = ready();
    let (host, container) = nodes(&world).remove("worker-0").unwrap();
    world.engine(host).end_container(&container.id, 1);
    let (created, _) =
        world.command("create", async |_, c| c.create(&Wish::new("other", 1)).await.map(drop)).unwrap();
    created.unwrap();
    let calls = changes(&world);
    let (left, _) = command(&world, async |_, c| {
        // The client goes away at once.
        drop(c.begin_repair().await?);
        Ok(())
    });
    left.unwrap();
    assert_eq!(changes(&world), calls, "it was interrupted before it began");
    let (repaired, _) = command(&world, async |_, c| c.repair(&["other", "dev", "dev"], false).await);
    let repaired = repaired.unwrap();
    assert!(repaired.len() == 2 && repaired.iter().all(RepairedCluster::is_well), "{repaired:?}");
    assert_eq!(repaired.iter().map(|cluster| cluster.mends.len()).sum::<usize>(), 1, "{repaired:?}");
}
