//! What is told of each thing that does not hold.

use super::*;
use crate::soak::{
    model::{Away, Cluster, Fault},
    rows::{LeaseRow, RemnantRow},
};

/// The MAC of a node's address, as admission gives it.
fn mac(last: u8) -> String {
    format!("02:42:0a:60:00:{last:02x}")
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 96, 0, last)
}

fn node(name: &str, host: &str, last: u8) -> NodeRow {
    NodeRow {
        id: format!("nod_{name}"),
        cluster: "clu_1".into(),
        name: name.into(),
        host: host.into(),
        address: address(last),
        mac: mac(last),
        generation: "1".into(),
        memory_bytes: 64,
    }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn container(name: &str, last: u8) -> Container {
    let node = format!("nod_{name}");
    Container {
        name: format!("{name}.ada"),
        labels: labels(&[("shoal.cluster", "clu_1"), ("shoal.node", &node), ("shoal.generation", "1")]),
        running: true,
        state: "running".into(),
        addresses: vec![(address(last), mac(last))],
    }
}

/// A host with one node, and a node elsewhere.
fn host(here: Container, to: [u8; 4], other: u8) -> HostSeen {
    let agent = Container {
        name: "shoal-agent".into(),
        labels: labels(&[("shoal.role", "agent")]),
        running: true,
        state: "running".into(),
        addresses: vec![],
    };
    let network = Thing { name: "ada".into(), labels: labels(&[("shoal.cluster", "clu_1")]) };
    let volume = Thing { name: "shoal-agent".into(), labels: labels(&[("shoal.role", "agent")]) };
    let (bridge, device) = ("sbabc000010".to_owned(), "svabc000010".to_owned());
    HostSeen {
        containers: vec![agent, here],
        networks: vec![network],
        volumes: vec![volume],
        devices: [(bridge.clone(), None), (device.clone(), Some(bridge.clone()))].into(),
        tunnels: [(device.clone(), mac(other), to.into())].into(),
        sticky: [(device, mac(other))].into(),
        neighbours: [(bridge, address(other), mac(other))].into(),
        sessions: 0,
    }
}

/// A cluster of two nodes on two hosts, all as it should be.
fn whole() -> (Seen, Model) {
    let cluster = ClusterRow { name: "ada".into(), phase: ClusterPhase::Ready, vni: Some(16) };
    let rows = Rows {
        installation: "abc".into(),
        clusters: [("clu_1".to_owned(), cluster)].into(),
        nodes: vec![node("controller", "host1", 2), node("worker-0", "host2", 3)],
        remnants: vec![],
        leases: vec![],
    };
    let (one, two) = ([10, 77, 0, 1], [10, 77, 0, 2]);
    let hosts = [
        ("host1".to_owned(), host(container("controller", 2), two, 3)),
        ("host2".to_owned(), host(container("worker-0", 3), one, 2)),
    ];
    let seen = Seen {
        rows,
        hosts: hosts.into(),
        addresses: [("host1".to_owned(), one.into()), ("host2".to_owned(), two.into())].into(),
        processes: vec![],
        cleared: None,
        told: Some([("host1".to_owned(), (1, 64)), ("host2".to_owned(), (1, 64))].into()),
    };
    let mut model = Model { hosts: 2, ..Model::default() };
    model.clusters.insert("ada".into(), Cluster { workers: 1, should: Should::Ready, wounded: false });
    (seen, model)
}

/// What is told after one thing was changed.
fn told(change: impl FnOnce(&mut Seen, &mut Model)) -> Vec<String> {
    let (mut seen, mut model) = whole();
    change(&mut seen, &mut model);
    violations(&seen, &model, None)
}

fn host1(seen: &mut Seen) -> &mut HostSeen {
    seen.hosts.get_mut("host1").unwrap()
}

#[test]
fn nothing_is_told_of_what_holds() {
    assert_eq!(told(|_, _| {}), [""; 0]);
}

#[test]
fn the_store_is_held_against_the_model() {
    let row = |seen: &mut Seen, phase| seen.rows.clusters.get_mut("clu_1").unwrap().phase = phase;
    let found = told(|seen, _| row(seen, ClusterPhase::Creating));
    assert_eq!(found, ["store: ada is creating, and should be Ready"]);
    let found = told(|_, model| model.clusters.clear());
    assert_eq!(found, ["store: ada (clu_1) is ready, and should be gone"]);
    let found = told(|seen, _| seen.rows = Rows { installation: "abc".into(), ..Rows::default() });
    assert!(found.contains(&"store: ada is gone, and should be Ready".to_owned()), "{found:?}");
}

#[test]
fn what_is_half_removed_waits_for_a_host_that_is_away_and_for_nothing_else() {
    let (mut seen, mut model) = whole();
    seen.rows.clusters.get_mut("clu_1").unwrap().phase = ClusterPhase::Deleting;
    model.clusters.get_mut("ada").unwrap().should = Should::Open;
    model.away = Some(Away { host: 1, fault: Fault::Power, steps: 0 });
    (seen.told, _) = (None, seen.rows.nodes.remove(0));
    let there = seen.hosts.remove("host1").unwrap();
    seen.hosts.remove("host2");
    assert_eq!(violations(&seen, &model, Some("host2")), [""; 0]);
    assert_eq!(violations(&seen, &model, Some("host1")), ["store: ada is deleting, and should be Open"]);
    // Everything of it goes from where it can.
    seen.hosts.insert("host1".into(), there);
    let found = violations(&seen, &model, Some("host2"));
    for what in ["container controller.ada", "network ada", "device sbabc000010", "device svabc000010"] {
        assert!(
            found.iter().any(|line| line.contains(what) && line.contains("explained by no row")),
            "{found:?}"
        );
    }
}

#[test]
fn what_was_left_is_explained_while_it_is_remembered_and_no_longer_than_needed() {
    let thing = || Thing { name: "x".into(), labels: labels(&[("shoal.cluster", "clu_9")]) };
    let left = |cleared| {
        told(|seen, _| {
            let since = Timestamp(1000);
            let (host, reason) = ("host1".to_owned(), "cut".to_owned());
            seen.rows.remnants = vec![RemnantRow { host, cluster: "clu_9".into(), vni: 9, since, reason }];
            seen.cleared = cleared;
            let host = host1(seen);
            let mut old = container("controller", 2);
            old.labels.insert("shoal.cluster".into(), "clu_9".into());
            old.labels.insert("shoal.node".into(), "nod_old".into());
            old.running = false;
            host.containers.push(old);
            host.networks.push(thing());
            host.volumes.push(thing());
            host.devices.extend(["sbabc000009", "svabc000009"].map(|device| (device.to_owned(), None)));
        })
    };
    assert_eq!(left(None), [""; 0]);
    assert_eq!(left(Some(Timestamp(1000))), [""; 0]);
    assert_eq!(left(Some(Timestamp(1001))), ["store: something is still remembered as left on host1: cut"]);
}

#[test]
fn leases_processes_and_sessions_end() {
    let lease = |resource: &str, lives| LeaseRow { resource: resource.into(), pid: 7, lives };
    let found = told(|seen, _| seen.rows.leases.push(lease("cluster/clu_1", false)));
    assert_eq!(found, [""; 0], "one of a dead process is taken over at once");
    let found = told(|seen, _| seen.rows.leases.push(lease("cluster/clu_1", true)));
    assert_eq!(found, ["store: process 7 lives and holds cluster/clu_1"]);
    let found = told(|seen, _| seen.rows.leases.push(lease("cluster/clu_2", false)));
    assert_eq!(found, ["store: a lease runs on cluster/clu_2, which is gone"]);
    let found = told(|seen, _| seen.processes.push("9 shoal create".into()));
    assert_eq!(found, ["a shoal process is left: 9 shoal create"]);
    let found = told(|seen, _| host1(seen).sessions = 2);
    assert_eq!(found, ["host1: 2 sessions with the agent are open"]);
}

#[test]
fn reservations_are_the_sum_of_the_rows() {
    let found = told(|seen, _| seen.told.as_mut().unwrap().extend([("host1".into(), (2, 128))]));
    assert_eq!(found, ["host1: get hosts says 2 nodes with 128 bytes, the rows are 1 with 64"]);
}

#[test]
fn a_ready_node_runs_as_its_row_says() {
    let of = |change: fn(&mut Container)| told(|seen, _| change(&mut host1(seen).containers[1]));
    let stopped = |c: &mut Container| (c.running, c.state) = (false, "exited".into());
    assert_eq!(of(stopped), ["host1: controller of ada, which is ready, is exited"]);
    let found = of(|c| c.addresses = vec![(address(9), mac(2))]);
    assert!(found[0].starts_with("host1: controller of ada, which is ready, has [(10.96.0.9"), "{found:?}");
    let found = of(|c| drop(c.labels.insert("shoal.generation".into(), "2".into())));
    let (unexplained, missing) = (
        "host1: container controller.ada (running) is explained by no row",
        "host1: controller of ada, which is ready, has no container",
    );
    assert_eq!(found, [unexplained, missing]);
    let found = told(|seen, _| drop(host1(seen).containers.remove(1)));
    assert_eq!(found, ["host1: controller of ada, which is ready, has no container"]);
    let found = told(|seen, _| drop(host1(seen).containers.remove(0)));
    assert_eq!(found, ["host1: its agents are []"]);
    let found = told(|seen, model| {
        stopped(&mut host1(seen).containers[1]);
        model.clusters.get_mut("ada").unwrap().wounded = true;
    });
    assert_eq!(found, [""; 0], "its host was without power");
}

#[test]
fn an_address_is_held_once_over_all_hosts() {
    let found = told(|seen, _| {
        let twin = container("controller", 2);
        seen.hosts.get_mut("host2").unwrap().containers.push(twin);
    });
    for what in ["10.96.0.2", "02:42:0a:60:00:02"] {
        let line = format!("{what} is held by controller.ada on host1 and by controller.ada on host2");
        assert!(found.contains(&line), "{found:?}");
    }
}

#[test]
fn networks_volumes_and_devices_are_explained() {
    let thing = |id: &str| Thing { name: "x".into(), labels: labels(&[("shoal.cluster", id)]) };
    let found = told(|seen, _| host1(seen).volumes.push(thing("clu_9")));
    assert_eq!(found, ["host1: volume x is explained by no row"]);
    let found = told(|seen, _| host1(seen).networks.push(thing("clu_9")));
    assert_eq!(found, ["host1: network x is explained by no row"]);
    let found = told(|seen, _| host1(seen).networks.push(thing("clu_1")));
    assert_eq!(found, ["host1: ada has 2 networks"]);
    let found = told(|seen, _| host1(seen).networks.clear());
    assert_eq!(found, ["host1: ada has 0 networks"]);
    let found = told(|seen, _| drop(host1(seen).devices.insert("svabc000011".into(), None)));
    assert_eq!(found, ["host1: device svabc000011 is explained by no row"]);
    let found = told(|seen, _| drop(host1(seen).devices.insert("svabc000010".into(), None)));
    assert_eq!(found, ["host1: device svabc000010 of ada is no port of its bridge"]);
}

#[test]
fn entries_are_those_of_the_nodes_elsewhere() {
    for (change, what) in [
        (
            (|h| h.tunnels.clear()) as fn(&mut HostSeen),
            "host1: tunnel entries of ada: missing [(\"svabc000010\"",
        ),
        (|h| h.sticky.clear(), "host1: bridge entries of ada: missing [(\"svabc000010\""),
        (|h| h.neighbours.clear(), "host1: neighbours of ada: missing [(\"sbabc000010\", 10.96.0.3"),
        (
            |h| h.neighbours.extend([("sbabc000010".into(), address(7), mac(7))]),
            "host1: neighbours of ada: missing [], too many [(\"sbabc000010\", 10.96.0.7",
        ),
    ] {
        let found = told(|seen, _| change(host1(seen)));
        assert!(found.len() == 1 && found[0].starts_with(what), "{what}: {found:?}");
    }
}
