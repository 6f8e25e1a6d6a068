//! MTUs that are set: of the path between hosts, and of a cluster's nodes. An interface of a simulated host has 1500.

use shoal_docker_fake::Method;
use shoal_proto::v1::{self, Verdict};
use shoal_tests::sim::{Coordinator, Wish, World, nothing_wrong};
use tonic::{Code, Status};

fn wish(name: &str, mtu: u32) -> Wish {
    Wish { mtu: Some(mtu), ..Wish::new(name, 5) }
}

async fn set(coordinator: &Coordinator, host: &str, mtu_bytes: u32) -> Result<v1::Host, Status> {
    let mtu_bytes = Some(mtu_bytes);
    let request = v1::UpdateHostRequest { name: host.into(), mtu_bytes, ..v1::UpdateHostRequest::default() };
    Ok(coordinator.hosts().update_host(request).await?.into_inner().host.unwrap())
}

fn mtu_of(cluster: &v1::Cluster) -> u32 {
    cluster.network.as_ref().unwrap().mtu
}

#[test]
fn the_network_of_a_cluster_has_the_mtu_that_is_asked_for() {
    let world = World::registered(71, 3).unwrap();
    let ask = async |c: &Coordinator| c.create(&wish("dev", 1400)).await.unwrap();
    let (cluster, rows) = world.command("a", async |_, c| ask(c).await).unwrap();
    nothing_wrong(&world, &rows);
    assert_eq!(mtu_of(&cluster), 1400);
    for host in ["h1", "h2", "h3"] {
        let networks = world.engine(host).truth().networks;
        assert!(networks.iter().any(|n| n.mtu == Some(1400) && !n.labels.is_empty()), "{host}: {networks:?}");
        let kept: Vec<_> = world.mesh(host, |mesh| mesh.kept.values().map(|state| state.mtu).collect());
        assert_eq!(kept, [1400], "{host}");
    }
}

#[test]
fn more_than_any_host_leaves_is_refused_and_nothing_is_made() {
    let world = World::registered(72, 3).unwrap();
    let refused = async |c: &Coordinator| {
        let plan = c.plan(wish("dev", 1451).spec()).await.unwrap();
        assert!(!plan.fits && plan.refusals.len() == 3, "{plan:?}");
        for refusal in &plan.refusals {
            assert_eq!(refusal.filter(), v1::Filter::Mtu);
            assert_eq!(refusal.reason, "leaves nodes an MTU of 1450, not 1451");
        }
        c.create(&wish("dev", 1451)).await.unwrap_err()
    };
    let (refused, rows) = world.command("a", async |_, c| refused(c).await).unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let told = "0/3 hosts fit: 3 leave nodes too small an MTU (need 1451, most 1450)";
    assert!(refused.message().contains(told), "{refused}");
    nothing_wrong(&world, &rows);
    assert!(rows.clusters.is_empty() && rows.networks.is_empty(), "{rows:?}");
    for engine in world.fleet().all() {
        assert_eq!(engine.truth().calls.get(&Method::CreateNetwork), None, "{}", engine.name());
    }
}

#[test]
fn what_is_set_of_a_host_counts_instead_of_its_interface() {
    let world = World::registered(73, 3).unwrap();
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        let host = set(&coordinator, "h1", 1400).await.unwrap();
        assert_eq!((host.mtu_bytes, host.set_mtu_bytes), (1400, Some(1400)));
        assert_eq!(mtu_of(&coordinator.create(&Wish::new("small", 5)).await.unwrap()), 1350);

        // Two hosts with jumbo frames: what wishes for them goes there, what wishes for nothing everywhere.
        for host in ["h2", "h3"] {
            set(&coordinator, host, 9000).await.unwrap();
        }
        let large = coordinator.create(&wish("large", 8950)).await.unwrap();
        assert_eq!(mtu_of(&large), 8950);
        assert!(large.nodes.iter().all(|node| node.host != "h1"), "{large:?}");
        let why = coordinator.explain("large", "controller").await.unwrap();
        assert!(
            why.differs.is_empty()
                && why.refusals.iter().any(|r| r.host == "h1" && r.filter() == v1::Filter::Mtu),
            "{why:?}"
        );
        let pins = vec!["controller=h1".into()];
        let pinned = Wish { placing: v1::Placing { pins, ..v1::Placing::default() }, ..wish("no", 8950) };
        let refused = coordinator.create(&pinned).await.unwrap_err();
        assert!(refused.message().contains("1 leaves nodes too small an MTU"), "{refused}");

        // Back to the interfaces; a network that is there keeps its MTU.
        for host in ["h1", "h2", "h3"] {
            let host = set(&coordinator, host, 0).await.unwrap();
            assert_eq!((host.mtu_bytes, host.set_mtu_bytes), (1500, None));
        }
        assert_eq!(mtu_of(&coordinator.create(&Wish::new("plain", 5)).await.unwrap()), 1450);
        let status = coordinator.status("large").await.unwrap();
        assert_eq!(mtu_of(&status.cluster.unwrap()), 8950);

        for bytes in [1, 625, 65_536] {
            let refused = set(&coordinator, "h1", bytes).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
            assert!(refused.message().contains("not an MTU between hosts: 626 to 65535 bytes"), "{refused}");
        }
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}

#[test]
fn a_path_that_carries_less_is_found_and_what_was_set_of_it_passes() {
    let world = World::registered(74, 2).unwrap();
    for host in ["h1", "h2"] {
        world.mesh(host, |mesh| mesh.largest_packet = Some(1420));
    }
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        let found = coordinator.examine(&[]).await.unwrap();
        for pair in &found.pairs {
            let fix = format!(
                "raise the MTU on the way to 1500; or `shoal set host {} --mtu 1420`, `shoal set host {} --mtu 1420`, and create clusters anew",
                pair.from, pair.to
            );
            assert_eq!((pair.verdict(), pair.largest_bytes, &pair.fix), (Verdict::Fail, 1420, &fix));
        }
        for host in ["h1", "h2"] {
            set(&coordinator, host, 1420).await.unwrap();
        }
        let found = coordinator.examine(&[]).await.unwrap();
        for pair in &found.pairs {
            assert_eq!((pair.verdict(), pair.message.as_str()), (Verdict::Pass, "packets of 1420 bytes arrive"));
        }
        assert_eq!((found.pairs.len(), mtu_of(&coordinator.create(&Wish::new("dev", 3)).await.unwrap())), (2, 1370));
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}
