//! Stores of versions before this one, with clusters in them: opened, they say the same in the new form.

use shoal_storage::{Node, Reservation, ReservationOwner, Store, StoreError, Usage};
use shoal_types::{
    Bytes, ClusterId, ClusterPhase, Healing, HostId, MilliCpu, NetworkId, NodeId, NodeSize, NodeState, Power,
    PrivilegedNodes, Resources, Scheduling, SecretId, SpecNode, SubnetPlan,
};

use crate::{
    bed::{START, on_both},
    make,
};

const SOON: std::time::Duration = std::time::Duration::from_secs(30);

fn ten(n: u8) -> [u8; 10] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, n]
}

fn host(n: u8) -> HostId {
    HostId::new(START.0, ten(n))
}

fn cluster(n: u8) -> ClusterId {
    ClusterId::new(START.0, ten(n))
}

fn network(n: u8) -> NetworkId {
    NetworkId::new(START.0, ten(n))
}

fn node(n: u8) -> NodeId {
    NodeId::new(START.0, ten(n))
}

/// The rows, with real ids in the places of `HOST1`, `NODE11` and the like.
fn rows() -> String {
    let mut text = include_str!("upgrade/of_0006.sql").to_owned();
    let engine = serde_json::to_string(&make::engine(1)).unwrap();
    text = text.replace("{ENGINE}", &engine);
    // The longer first: NODE11 begins as NODE1 would.
    for n in (1..=50).rev() {
        text = text.replace(&format!("NODE{n}"), &node(n).to_string());
        text = text.replace(&format!("HOST{n}"), &host(n).to_string());
        text = text.replace(&format!("CLUSTER{n}"), &cluster(n).to_string());
        text = text.replace(&format!("NETWORK{n}"), &network(n).to_string());
        text = text.replace(&format!("SEED{n}"), &SecretId::new(START.0, ten(n)).to_string());
    }
    text
}

async fn nodes(store: &Store, of: ClusterId) -> Vec<Node> {
    store.read().await.unwrap().nodes().of_cluster(of).await.unwrap()
}

on_both! {
    async fn every_node_has_the_size_its_specification_gave_it(bed: &mut Bed) {
        bed.as_of(6, &rows()).await;
        let store = bed.again(SOON).await.unwrap();
        let clusters = store.read().await.unwrap().clusters().list().await.unwrap();
        let phases: Vec<_> = clusters.iter().map(|c| (c.spec.name.as_str(), c.phase)).collect();
        assert_eq!(
            phases,
            [
                ("plain", ClusterPhase::Ready),
                ("sized", ClusterPhase::Creating),
                ("going", ClusterPhase::Deleting),
                ("told", ClusterPhase::Failed),
            ]
        );
        let mut seen = 0;
        for cluster in &clusters {
            for node in nodes(&store, cluster.id).await {
                let wished = |wish: &SpecNode<'_>| wish.name == node.name;
                let wish = cluster.spec.numbered().find(wished).unwrap();
                assert_eq!((node.role, node.index), (wish.group.role, wish.index), "{}", node.name);
                assert_eq!(node.group, wish.group_number, "{}", node.name);
                assert_eq!(node.size, wish.group.size(&cluster.spec.slurm), "{}", node.name);
                assert_eq!(node.constraints, wish.group.constraints, "{}", node.name);
                assert_eq!(node.settings, cluster.spec.settings(), "{}", node.name);
                assert_eq!(node.power, Power::On, "{}", node.name);
                seen += 1;
            }
        }
        assert_eq!(seen, 11);
    }

    async fn what_rows_said_before_they_say_still(bed: &mut Bed) {
        bed.as_of(6, &rows()).await;
        let store = bed.again(SOON).await.unwrap();
        let subnet = SubnetPlan { subnet: "10.96.1.0/24".parse().unwrap() };
        let expected = Node {
            id: node(13),
            cluster: cluster(1),
            network: network(1),
            name: "worker-1".parse().unwrap(),
            role: shoal_types::Role::Worker,
            index: 1,
            group: 1,
            host: host(2),
            address: subnet.node(2).unwrap(),
            mac: "02:42:0a:60:01:04".parse().unwrap(),
            size: NodeSize {
                reserve: Resources { cpu: MilliCpu(50), memory: Bytes::mib(64) },
                cpu_limit: None,
                memory_limit: Bytes::mib(512),
                tmp_size: Bytes::mib(256),
                slurm_cpus: 1,
                slurm_memory: Bytes::mib(512),
            },
            constraints: vec![],
            power: Power::On,
            settings: nodes(&store, cluster(1)).await[0].settings.clone(),
            state: NodeState::Stopped,
            since: shoal_types::Timestamp(1_700_000_007_000),
            container: Some("c13".into()),
            generation: shoal_types::Generation(1),
            last_error: Some("exited".into()),
            restarts: None,
        };
        assert_eq!(nodes(&store, cluster(1)).await[2], expected);
        // The first group of workers is the first of all, the second the last.
        let sized: Vec<_> = nodes(&store, cluster(2)).await;
        let told: Vec<_> = sized
            .iter()
            .map(|n| format!("{} {} {} {:?}", n.name, n.group, n.size.slurm_cpus, n.size.cpu_limit))
            .collect();
        assert_eq!(
            told,
            [
                "controller 1 1 None",
                "submitter 2 1 None",
                "worker-0 0 3 Some(MilliCpu(2500))",
                "worker-1 3 1 None",
                "worker-2 3 1 None",
            ]
        );
        let told = nodes(&store, cluster(3)).await[1].size;
        assert_eq!((told.slurm_cpus, told.slurm_memory), (128, Bytes(536_870_912_000)));
        assert_eq!(told.memory_limit, Bytes::mib(512));
        assert_eq!(nodes(&store, cluster(4)).await[0].index, 2);

        let mut read = store.read().await.unwrap();
        let usage = read.hosts().usage().await.unwrap();
        let reserved = |cpu, memory| Resources { cpu: MilliCpu(cpu), memory: Bytes::mib(memory) };
        let one = Usage { reserved: reserved(2800, 64 + 64 + 1024 + 64 + 128 + 64 + 64), nodes: 7 };
        let two = Usage { reserved: reserved(200, 4 * 64), nodes: 4 };
        assert_eq!(usage, [(host(1), one), (host(2), two)].into());
        let reservations = read.reservations().list().await.unwrap();
        assert_eq!(reservations.len(), 11);
        assert_eq!(
            reservations[0],
            Reservation { owner: ReservationOwner::Node(node(11)), host: host(1), amount: reserved(50, 64) }
        );
        let networks = read.networks().list().await.unwrap();
        assert_eq!(networks.len(), 4);
        assert_eq!(networks[3].revision, shoal_types::Revision(7));
        for n in 1..=4 {
            let on = read.networks().of_cluster(cluster(n)).await.unwrap().unwrap();
            assert_eq!((on.id, u8::try_from(on.vni.get()).unwrap()), (network(n), 100 + n));
        }
        let hosts = read.hosts().list().await.unwrap();
        let versions: Vec<_> = hosts.iter().map(|h| (h.name.as_str(), h.version, h.health.failures)).collect();
        assert_eq!(versions, [("host1", 1, 0), ("host2", 3, 2)]);
        assert!(hosts.iter().all(|host| host.settings.privileged_nodes == PrivilegedNodes::Allow));
        assert!(hosts.iter().all(|host| host.settings.mtu.is_none()));
        assert!(hosts.iter().all(|host| host.settings.scheduling == Scheduling::Schedulable));
        assert_eq!(read.hosts().left(shoal_types::Timestamp(0)).await.unwrap(), [].into());
        let clusters = read.clusters().list().await.unwrap();
        assert!(clusters.iter().all(|cluster| cluster.spec.mtu.is_none()));
        assert!(clusters.iter().all(|cluster| cluster.healing == Healing::default()));
        assert!(clusters.iter().all(|cluster| cluster.expiry.is_none() && cluster.spec.ttl.is_none()));
        assert!(read.nodes().list().await.unwrap().iter().all(|node| node.restarts.is_none()));
        assert_eq!(read.state_copies().of_cluster(cluster(1)).await.unwrap(), []);
        assert_eq!(read.remnants().list().await.unwrap().len(), 1);
        assert_eq!(read.decisions().of_cluster(cluster(1)).await.unwrap()[0].document, [0x0a, 0x0b]);
        assert_eq!(read.leases().list().await.unwrap().len(), 1);
    }

    /// The constraints hold, and whatever is done to a cluster can be done to these.
    async fn clusters_of_before_go_as_others_do(bed: &mut Bed) {
        bed.as_of(6, &rows()).await;
        let store = bed.again(SOON).await.unwrap();
        let first = nodes(&store, cluster(1)).await;
        for twin in [
            Node { id: node(60), index: 9, address: "10.96.1.9".parse().unwrap(), ..first[1].clone() },
            Node { id: node(60), index: 9, name: "worker-9".parse().unwrap(), ..first[1].clone() },
        ] {
            let mut tx = store.begin().await.unwrap();
            let error = tx.nodes().insert(&[twin]).await.unwrap_err();
            assert!(matches!(error, StoreError::Conflict(_)), "{error}");
        }
        let mut tx = store.begin().await.unwrap();
        assert!(matches!(tx.hosts().delete(host(1)).await, Err(StoreError::Referenced { .. })));
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        let resource = shoal_storage::Resource::cluster(cluster(1));
        let acquired = tx.leases().acquire(&resource, &make::holder("me"), START, make::TTL, |_| true).await;
        let shoal_storage::Acquired::Granted(lease) = acquired.unwrap() else { panic!("held") };
        let mut tx = tx.guard(&lease).await.unwrap();
        tx.nodes().place(first[2].id, first[2].generation, host(1), START).await.unwrap();
        tx.nodes().delete(&first.iter().map(|n| n.id).collect::<Vec<_>>()).await.unwrap();
        tx.clusters().delete(cluster(1)).await.unwrap();
        tx.commit().await.unwrap();
        let mut read = store.read().await.unwrap();
        assert_eq!(read.networks().list().await.unwrap().len(), 3);
        assert_eq!(read.reservations().list().await.unwrap().len(), 8);
    }

    /// A node that its specification does not explain has no size: the store stays as it was, and says which row it is.
    async fn a_node_nothing_explains_ends_the_upgrade_and_nothing_is_changed(bed: &mut Bed) {
        bed.as_of(6, &rows()).await;
        bed.raw("UPDATE nodes SET idx = 5 WHERE name = 'worker-2' AND idx = 2").await;
        let outcome = bed.again(SOON).await;
        assert!(matches!(outcome, Err(StoreError::Corrupt { table: "nodes", column: "idx", .. })), "{outcome:?}");
        bed.raw("UPDATE nodes SET idx = 2, reserved_cpu_milli = 60 WHERE idx = 5").await;
        let store = bed.again(SOON).await.unwrap();
        assert_eq!(nodes(&store, cluster(4)).await[0].size.reserve.cpu, MilliCpu(60));
    }

    /// What a process of the earlier version wrote next would be of that version.
    async fn a_store_that_somebody_works_with_is_not_upgraded(bed: &mut Bed) {
        bed.as_of(6, &rows()).await;
        bed.raw("UPDATE leases SET until_ms = 1800000060000").await;
        match bed.again(SOON).await {
            Err(StoreError::Older { holder, found: 6, known, .. }) => {
                assert_eq!((holder.as_str(), known > 6), ("process 7 (me)", true));
            }
            outcome => panic!("{outcome:?}"),
        }
        bed.raw("UPDATE leases SET until_ms = 0").await;
        let store = bed.again(SOON).await.unwrap();
        assert_eq!(nodes(&store, cluster(2)).await.len(), 5);
        // One that is up to date is opened whoever works with it.
        bed.raw("UPDATE leases SET until_ms = 1800000060000").await;
        bed.again(SOON).await.unwrap();
    }

    async fn of_many_that_open_it_at_once_one_upgrades_it(bed: &mut Bed) {
        bed.as_of(6, &rows()).await;
        let (a, b, c, d) = tokio::join!(bed.again(SOON), bed.again(SOON), bed.again(SOON), bed.again(SOON));
        for store in [a, b, c, d].map(Result::unwrap) {
            assert_eq!(nodes(&store, cluster(2)).await.len(), 5);
        }
    }
}
