//! Nodes: placed, reported on, moved, forgotten; never two with one name, index, address or MAC.

use std::{collections::BTreeMap, time::Duration};

use shoal_storage::{Conflict, Node, NodeReport, StoreError};
use shoal_types::{
    Bytes, ClusterId, Generation, MilliCpu, NodeEnd, NodeSize, NodeState, Power, Resources, Restarts,
    SettingsDigest,
};

use crate::{
    bed::{START, on_both},
    make,
};

on_both! {
    async fn nodes_come_back_as_they_went_in(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let second = make::admit(&mut tx, 2, &mut bed.rng).await;
        assert_eq!(tx.nodes().of_cluster(first.cluster.id).await.unwrap(), first.nodes);
        assert_eq!(tx.nodes().on_host(second.host.id).await.unwrap(), second.nodes);
        assert_eq!(tx.nodes().get(first.nodes[1].id).await.unwrap().as_ref(), Some(&first.nodes[1]));
        assert_eq!(tx.nodes().list().await.unwrap(), [first.nodes, second.nodes].concat());
        tx.nodes().insert(&[]).await.unwrap();
    }

    async fn a_thousand_and_one_nodes_go_in_whole(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let mut tx = tx.guard(&first.lease).await.unwrap();
        tx.nodes().delete(&first.nodes.iter().map(|n| n.id).collect::<Vec<_>>()).await.unwrap();
        let mut cluster = first.cluster;
        cluster.spec = make::spec("c1", 1000);
        let mut network = first.network;
        network.subnet = "10.96.0.0/16".parse().unwrap();
        let nodes = make::nodes(&cluster, &network, first.host.id);
        assert_eq!(nodes.len(), 1001);
        tx.nodes().insert(&nodes).await.unwrap();
        assert_eq!(tx.nodes().of_cluster(cluster.id).await.unwrap(), nodes);
    }

    async fn each_unique_constraint_is_told_apart(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        tx.commit().await.unwrap();
        let node = first.nodes[2].clone();
        let fresh = Node {
            id: make::nodes(&first.cluster, &make::network(9), first.host.id)[0].id,
            name: "worker-9".parse().unwrap(),
            index: 9,
            address: "10.96.1.99".parse().unwrap(),
            mac: "02:42:0a:60:01:63".parse().unwrap(),
            ..node.clone()
        };
        for (twin, expected) in [
            (Node { name: node.name.clone(), ..fresh.clone() }, "a node's name in its cluster"),
            (Node { index: node.index, ..fresh.clone() }, "a node's index in its role"),
            (Node { address: node.address, ..fresh.clone() }, "a node's address in its network"),
            (Node { mac: node.mac, ..fresh.clone() }, "a node's MAC address in its network"),
            (Node { id: node.id, ..fresh.clone() }, "a node's id"),
        ] {
            let mut tx = bed.store.begin().await.unwrap();
            match tx.nodes().insert(&[twin]).await {
                Err(StoreError::Conflict(Conflict::Unique { what })) => assert_eq!(what, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
        for stray in [
            Node { host: make::host(9).id, ..fresh.clone() },
            Node { cluster: ClusterId::new(1, [1; 10]), ..fresh.clone() },
        ] {
            let mut tx = bed.store.begin().await.unwrap();
            let error = tx.nodes().insert(&[stray]).await.unwrap_err();
            assert!(matches!(error, StoreError::Referenced { .. }), "{error}");
        }
        let mut tx = bed.store.begin().await.unwrap();
        tx.nodes().insert(&[fresh]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn a_report_of_an_older_generation_is_dropped(bed: &mut Bed) {
        let at = |s| START.after(Duration::from_secs(s));
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let other = make::host(2);
        tx.hosts().insert(&other).await.unwrap();
        let mut tx = tx.guard(&first.lease).await.unwrap();
        let node = &first.nodes[1];
        let report = NodeReport {
            id: node.id,
            generation: node.generation,
            state: NodeState::Starting,
            container: Some("cafe".into()),
            last_error: Some("slow".into()),
        };
        let gone = NodeReport { id: shoal_types::NodeId::new(1, [1; 10]), ..report.clone() };
        assert_eq!(tx.nodes().report(&[report.clone(), gone], at(1)).await.unwrap(), 1);
        assert_eq!(tx.nodes().report(std::slice::from_ref(&report), at(2)).await.unwrap(), 1);
        let seen = tx.nodes().get(node.id).await.unwrap().unwrap();
        let expected = Node {
            state: NodeState::Starting,
            since: at(1),
            container: Some("cafe".into()),
            last_error: Some("slow".into()),
            ..node.clone()
        };
        assert_eq!(seen, expected);

        let next = tx.nodes().place(node.id, node.generation, other.id, at(3)).await.unwrap();
        assert_eq!(next, Generation(2));
        assert_eq!(tx.nodes().report(&[report], at(4)).await.unwrap(), 0);
        let moved = tx.nodes().get(node.id).await.unwrap().unwrap();
        let usage = tx.hosts().usage().await.unwrap();
        assert_eq!((usage[&first.host.id].nodes, usage[&other.id].nodes), (2, 1), "its reservation went with it");
        assert_eq!(moved, Node { host: other.id, generation: next, since: at(3), ..node.clone() });
        let error = tx.nodes().place(node.id, node.generation, other.id, at(5)).await.unwrap_err();
        assert!(matches!(error, StoreError::Stale { .. }), "{error}");
    }

    async fn a_row_says_all_of_a_node_and_numbers_may_be_missing(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let odd = Node {
            id: make::nodes(&first.cluster, &make::network(9), first.host.id)[0].id,
            name: "worker-9".parse().unwrap(),
            index: 9,
            group: 7,
            address: "10.96.1.99".parse().unwrap(),
            mac: "02:42:0a:60:01:63".parse().unwrap(),
            size: NodeSize {
                reserve: Resources { cpu: MilliCpu(1), memory: Bytes(2) },
                cpu_limit: Some(MilliCpu(1500)),
                memory_limit: Bytes(3),
                tmp_size: Bytes(4),
                slurm_cpus: 5,
                slurm_memory: Bytes(6),
            },
            constraints: vec!["gpu=yes".parse().unwrap(), "!slow".parse().unwrap()],
            power: Power::Off,
            settings: SettingsDigest::of("system", &BTreeMap::new(), ["key"]),
            ..first.nodes[2].clone()
        };
        tx.nodes().insert(std::slice::from_ref(&odd)).await.unwrap();
        let nodes = tx.nodes().of_cluster(first.cluster.id).await.unwrap();
        assert_eq!(nodes[3], odd);
        assert_eq!(nodes.iter().map(|n| n.index).collect::<Vec<_>>(), [0, 0, 1, 9]);

        let mut tx = tx.guard(&first.lease).await.unwrap();
        let next = tx.nodes().place(odd.id, odd.generation, first.host.id, START).await.unwrap();
        let placed = tx.nodes().get(odd.id).await.unwrap().unwrap();
        assert_eq!(placed, Node { generation: next, ..odd }, "power, size and settings are its own wherever it goes");
    }

    async fn restarts_are_counted_until_one_lasts_or_the_node_is_placed_anew(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let mut tx = tx.guard(&first.lease).await.unwrap();
        let node = first.nodes[2].clone();
        let end = NodeEnd {
            seen: START.after(Duration::from_secs(1)),
            exit_status: Some(137),
            out_of_memory: true,
            log: vec!["it's \"full\"".into(), "\u{1b}[0m".into()],
        };
        let counted = Restarts { count: 1, last: START, failing: None };
        let failing = Restarts { count: 3, failing: Some(end), ..counted.clone() };
        for restarts in [Some(counted), Some(failing.clone()), None] {
            tx.nodes().set_restarts(node.id, node.generation, restarts.as_ref()).await.unwrap();
            let found = tx.nodes().get(node.id).await.unwrap().unwrap();
            assert_eq!(found, Node { restarts, ..node.clone() });
        }
        let next = node.generation.next();
        let error = tx.nodes().set_restarts(node.id, next, Some(&failing)).await.unwrap_err();
        assert!(matches!(error, StoreError::Stale { what: "node", .. }), "{error}");
        tx.nodes().set_restarts(node.id, node.generation, Some(&failing)).await.unwrap();
        tx.nodes().place(node.id, node.generation, node.host, START).await.unwrap();
        assert_eq!(tx.nodes().get(node.id).await.unwrap().unwrap().restarts, None);
        tx.nodes().delete(&[node.id]).await.unwrap();
        let known = Node { restarts: Some(failing), ..node };
        tx.nodes().insert(std::slice::from_ref(&known)).await.unwrap();
        assert_eq!(tx.nodes().get(known.id).await.unwrap(), Some(known));
    }

    async fn a_row_that_is_spoiled_is_corrupt(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        tx.commit().await.unwrap();
        for (spoil, expected) in [
            ("UPDATE nodes SET settings = 'cafe'", "settings"),
            ("UPDATE nodes SET power = 'dimmed'", "power"),
            ("UPDATE nodes SET constraints = '[7]'", "constraints"),
            ("UPDATE nodes SET restarted_ms = 5, failing = '[7]'", "failing"),
            ("DELETE FROM reservations", "reserved_cpu_milli"),
        ] {
            bed.raw(spoil).await;
            let error = bed.store.read().await.unwrap().nodes().of_cluster(first.cluster.id).await.unwrap_err();
            let StoreError::Corrupt { table: "nodes", column, .. } = &error else {
                panic!("{expected}: {error}");
            };
            assert_eq!(*column, expected);
            bed.raw("UPDATE nodes SET settings = '0000000000000000000000000000000000000000000000000000000000000000', power = 'on', constraints = '[]', failing = NULL").await;
        }
    }

    async fn a_node_forgotten_frees_what_it_had(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let mut tx = tx.guard(&first.lease).await.unwrap();
        let node = &first.nodes[2];
        tx.nodes().delete(&[node.id, node.id]).await.unwrap();
        assert_eq!(tx.hosts().usage().await.unwrap()[&first.host.id].nodes, 2);
        tx.nodes().insert(std::slice::from_ref(node)).await.unwrap();
    }
}
