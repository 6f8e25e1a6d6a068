//! Clusters that are made for a while: told before the end, deleted by a server, and never under somebody's hands.

use std::time::Duration;

use shoal_storage::{Acquired, EventFilter, Holder, Resource};
use shoal_tests::sim::{Coordinator, Wish, World, nothing_wrong};
use shoal_types::{ClusterPhase, EventLevel};

use crate::served::{MINUTE, SECOND, served};

const HOUR: Duration = Duration::from_secs(3600);

fn short(name: &str, ttl: Duration) -> Wish {
    Wish { ttl: Some(ttl), ..Wish::new(name, 3) }
}

/// What servers warned of.
async fn warnings(server: &Coordinator, of: &str) -> usize {
    let filter = EventFilter { realm: None, cluster: None, after: 0, limit: 10_000 };
    let events = server.store.read().await.unwrap().events().list(&filter).await.unwrap();
    let warned = events.iter().filter(|e| e.event.level == EventLevel::Warn && e.event.message.contains(of));
    warned.count()
}

async fn phase(server: &Coordinator, name: &str) -> Option<ClusterPhase> {
    let rows = shoal_tests::sim::Rows::read(&server.store).await.unwrap();
    rows.cluster(name).map(|cluster| cluster.phase)
}

#[test]
fn a_cluster_is_told_of_its_end_and_deleted() {
    let world = World::registered(21, 3).unwrap();
    let ((), rows) = served(&world, async |life, server| {
        server.create(&short("dev", HOUR)).await.unwrap();
        server.create(&Wish::new("stays", 2)).await.unwrap();
        let expires = server.status("dev").await.unwrap().cluster.unwrap().expires_ms;
        assert!(expires > world.now().0);
        life.pass(53 * MINUTE).await;
        assert_eq!(warnings(server, "will be deleted in").await, 0);
        life.pass(2 * MINUTE).await;
        assert_eq!(warnings(server, "will be deleted in 6 minutes").await, 1, "told once");
        life.pass(4 * MINUTE).await;
        assert_eq!(phase(server, "dev").await, Some(ClusterPhase::Ready));
        life.pass(3 * MINUTE).await;
        assert_eq!(phase(server, "dev").await, None);
        assert_eq!(warnings(server, "will be deleted in").await, 1);
        assert_eq!(phase(server, "stays").await, Some(ClusterPhase::Ready));
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn more_time_can_be_given_and_all_of_it() {
    let world = World::registered(22, 3).unwrap();
    let ((), rows) = served(&world, async |life, server| {
        server.create(&short("longer", HOUR)).await.unwrap();
        server.create(&short("kept", HOUR)).await.unwrap();
        life.pass(56 * MINUTE).await;
        server.set_ttl("longer", Some(HOUR)).await.unwrap();
        server.set_ttl("kept", None).await.unwrap();
        life.pass(30 * MINUTE).await;
        assert_eq!(phase(server, "longer").await, Some(ClusterPhase::Ready));
        life.pass(35 * MINUTE).await;
        assert_eq!(phase(server, "longer").await, None);
        // One of each before, and one of the new time.
        assert_eq!(warnings(server, "will be deleted in").await, 3);
        life.pass(HOUR).await;
        assert_eq!(phase(server, "kept").await, Some(ClusterPhase::Ready));
        let wrong = server.set_ttl("kept", Some(SECOND)).await.unwrap_err();
        assert_eq!(wrong.code(), tonic::Code::InvalidArgument, "{wrong:?}");
        let unknown = server.set_ttl("nobody", None).await.unwrap_err();
        assert_eq!(unknown.code(), tonic::Code::NotFound, "{unknown:?}");
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn a_cluster_that_somebody_works_on_is_deleted_after_that() {
    let world = World::registered(23, 3).unwrap();
    let ((), rows) = served(&world, async |life, server| {
        server.create(&short("dev", 10 * MINUTE)).await.unwrap();
        life.pass(9 * MINUTE).await;
        let id = shoal_tests::sim::Rows::read(&server.store).await.unwrap().cluster("dev").unwrap().id;
        let (boot_id, pid, pid_start) = ("another machine".to_owned(), 7, 7);
        let holder = Holder { id: "somebody".into(), boot_id, pid, pid_start };
        let mut tx = server.store.begin().await.unwrap();
        let resource = Resource::cluster(id);
        let lease = tx.leases().acquire(&resource, &holder, world.now(), 5 * MINUTE, |_| true).await.unwrap();
        assert!(matches!(lease, Acquired::Granted(_)), "{lease:?}");
        tx.commit().await.unwrap();
        life.pass(4 * MINUTE).await;
        assert_eq!(phase(server, "dev").await, Some(ClusterPhase::Ready));
        life.pass(2 * MINUTE).await;
        assert_eq!(phase(server, "dev").await, None);
        // Calls of whoever did not give the lease back would have ended by then.
        life.pass(5 * MINUTE).await;
    });
    nothing_wrong(&world, &rows);
}

#[test]
fn without_a_server_it_stays_until_there_is_one() {
    let world = World::registered(24, 3).unwrap();
    let (made, _) =
        world.command("create", async |_, c| c.create(&short("dev", HOUR)).await.map(drop)).unwrap();
    made.unwrap();
    world.pass(5 * HOUR).unwrap();
    let (status, rows) = world.command("look", async |_, c| c.status("dev").await).unwrap();
    assert!(status.unwrap().cluster.unwrap().expires_ms < world.now().0);
    assert!(rows.cluster("dev").is_some());
    let ((), rows) = served(&world, async |life, _| life.pass(MINUTE).await);
    assert!(rows.clusters.is_empty(), "{rows:?}");
    nothing_wrong(&world, &rows);
}
