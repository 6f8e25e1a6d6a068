//! Two coordinators on one store at the same time.

use std::time::Duration;

use shoal_proto::v1::CreateClusterResponse;
use shoal_tests::sim::{Coordinator, Life, Rows, Wish, World, nothing_wrong};
use tonic::Code;

#[test]
fn they_make_different_clusters_side_by_side() {
    let world = World::registered(5, 3).unwrap();
    let rows = world.live(async |life| {
        let (a, b) = (life.coordinator("a").await.unwrap(), life.coordinator("b").await.unwrap());
        let (red, blue) = (Wish::new("red", 4), Wish::new("blue", 4));
        let (one, other) = tokio::join!(a.create(&red), b.create(&blue));
        one.unwrap();
        other.unwrap();
        let rows = Rows::read(&a.store).await.unwrap();
        a.shutdown().await;
        b.shutdown().await;
        rows
    });
    let rows = rows.unwrap().expect("no crash was armed");
    assert_eq!(rows.clusters.len(), 2);
    nothing_wrong(&world, &rows);
}

#[test]
fn several_clusters_are_deleted_side_by_side() {
    let world = World::registered(8, 3).unwrap();
    let names = ["red", "blue", "green", "black"];
    let times = world.live(async |life| {
        let a = life.coordinator("a").await.unwrap();
        for name in ["alone"].iter().chain(&names) {
            a.create(&Wish::new(name, 2)).await.unwrap();
        }
        let began = world.now();
        a.delete(&["alone"]).await.unwrap();
        let alone = world.now();
        a.delete(&names).await.unwrap();
        let all = world.now();
        let rows = Rows::read(&a.store).await.unwrap();
        a.shutdown().await;
        nothing_wrong(&world, &rows);
        assert!(rows.clusters.is_empty(), "{:?}", rows.clusters);
        (alone.since(began), all.since(alone))
    });
    let (alone, all) = times.unwrap().expect("no crash was armed");
    assert!(all < alone * 3, "one took {alone:?}, four took {all:?}");
}

#[test]
fn one_of_two_gets_the_name() {
    let world = World::registered(6, 3).unwrap();
    let rows = world.live(async |life| {
        let (a, b) = (life.coordinator("a").await.unwrap(), life.coordinator("b").await.unwrap());
        let dev = Wish::new("dev", 4);
        let answers = tokio::join!(a.create(&dev), b.create(&dev));
        let refused = match answers {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            both => panic!("{both:?}"),
        };
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
        let rows = Rows::read(&a.store).await.unwrap();
        a.shutdown().await;
        b.shutdown().await;
        rows
    });
    let rows = rows.unwrap().expect("no crash was armed");
    assert_eq!(rows.clusters.len(), 1);
    nothing_wrong(&world, &rows);
}

#[test]
fn a_delete_stops_a_create_that_another_has_under_way() {
    // Early, in the middle, and while Slurm is waited for.
    for after_ms in [300, 1000, 2500] {
        let world = World::registered(7, 3).unwrap();
        let rows = world.live(async |life| {
            let (a, b) = (life.coordinator("a").await.unwrap(), life.coordinator("b").await.unwrap());
            let dev = Wish::new("dev", 4);
            let delete = async {
                tokio::time::sleep(std::time::Duration::from_millis(after_ms)).await;
                b.delete(&["dev"]).await
            };
            let (created, deleted) = tokio::join!(a.create(&dev), delete);
            match deleted {
                Ok(()) => assert!(created.is_err() || after_ms > 2000, "created though it was deleted"),
                // It was not admitted yet.
                Err(early) => assert_eq!((early.code(), created.is_ok()), (Code::NotFound, true)),
            }
            let rows = Rows::read(&a.store).await.unwrap();
            a.shutdown().await;
            b.shutdown().await;
            rows
        });
        nothing_wrong(&world, &rows.unwrap().expect("no crash was armed"));
    }
}

#[test]
fn two_deletes_of_one_cluster_both_end_well() {
    let world = World::registered(8, 3).unwrap();
    let rows = world.live(async |life| {
        let (a, b) = (life.coordinator("a").await.unwrap(), life.coordinator("b").await.unwrap());
        a.create(&Wish::new("dev", 4)).await.unwrap();
        let (one, other) = tokio::join!(a.delete(&["dev"]), b.delete(&["dev"]));
        one.unwrap();
        other.unwrap();
        let rows = Rows::read(&a.store).await.unwrap();
        a.shutdown().await;
        b.shutdown().await;
        rows
    });
    let rows = rows.unwrap().expect("no crash was armed");
    assert!(rows.clusters.is_empty());
    nothing_wrong(&world, &rows);
}

/// A create whose store goes away that much after its admission.
async fn begun_without_a_store(
    life: &Life,
    world: &World,
    after_ms: u64,
) -> (Coordinator, Wish, CreateClusterResponse) {
    let coordinator = life.coordinator("a").await.unwrap();
    let wish = Wish::new("dev", 4);
    let begun = coordinator.begin(&wish).await.unwrap();
    life.pass(Duration::from_millis(after_ms)).await;
    world.points().store_away(true);
    (coordinator, wish, begun)
}

#[test]
fn a_store_that_is_away_is_waited_for() {
    // Before the first container, in the middle, and while Slurm is waited for.
    for after_ms in [100, 600, 2500] {
        let world = World::registered(9, 3).unwrap();
        let rows = world.live(async |life| {
            let (a, dev, begun) = begun_without_a_store(&life, &world, after_ms).await;
            let back = async {
                life.pass(Duration::from_secs(40)).await;
                world.points().store_away(false);
            };
            let (ready, ()) = tokio::join!(a.ready(&dev, begun), back);
            ready.unwrap();
            let rows = Rows::read(&a.store).await.unwrap();
            a.shutdown().await;
            rows
        });
        let rows = rows.unwrap().expect("no crash was armed");
        assert_eq!(rows.clusters.len(), 1, "away after {after_ms} ms");
        nothing_wrong(&world, &rows);
    }
}

#[test]
fn an_interrupt_does_not_wait_for_a_store_that_is_away() {
    let world = World::registered(10, 3).unwrap();
    let rows = world.live(async |life| {
        let (a, dev, begun) = begun_without_a_store(&life, &world, 300).await;
        life.pass(Duration::from_secs(5)).await;
        let interrupted = world.now();
        a.interrupt(&begun).await.unwrap();
        let refused = a.ready(&dev, begun).await.unwrap_err();
        assert_eq!(refused.code(), Code::Cancelled, "{refused:?}");
        assert!(refused.message().contains("the next command goes on with cluster dev"), "{refused:?}");
        let took = world.now().since(interrupted);
        assert!(took < Duration::from_secs(30), "took {took:?}");
        world.points().store_away(false);
        a.kill();
        life.pass(Duration::from_secs(1)).await;
        let b = life.coordinator("b").await.unwrap();
        b.resume().await.unwrap();
        let rows = Rows::read(&b.store).await.unwrap();
        b.shutdown().await;
        rows
    });
    let rows = rows.unwrap().expect("no crash was armed");
    nothing_wrong(&world, &rows);
}

#[test]
fn an_interrupt_while_the_store_is_away_for_a_moment_rolls_back() {
    let world = World::registered(11, 3).unwrap();
    let rows = world.live(async |life| {
        let (a, dev, begun) = begun_without_a_store(&life, &world, 300).await;
        life.pass(Duration::from_millis(100)).await;
        a.interrupt(&begun).await.unwrap();
        let back = async {
            life.pass(Duration::from_secs(2)).await;
            world.points().store_away(false);
        };
        let (refused, ()) = tokio::join!(a.ready(&dev, begun), back);
        assert_eq!(refused.unwrap_err().code(), Code::Cancelled);
        a.resume().await.unwrap();
        let rows = Rows::read(&a.store).await.unwrap();
        a.shutdown().await;
        rows
    });
    let rows = rows.unwrap().expect("no crash was armed");
    assert!(rows.clusters.is_empty(), "{:?}", rows.clusters);
    nothing_wrong(&world, &rows);
}
