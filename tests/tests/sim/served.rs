//! Worlds with a ready cluster, and a server that keeps it.

use std::time::Duration;

use shoal_coordinator::KeepEvents;
use shoal_tests::sim::{Coordinator, Life, Rows, Wish, World};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const KEEP: KeepEvents = KeepEvents { age: Duration::from_secs(30 * 86_400), most: 1_000_000 };

/// So many hosts, `h1` and on, with a cluster `dev` of a controller and so many workers.
pub(crate) fn ready(seed: u64, hosts: usize, workers: u32) -> World {
    let world = World::registered(seed, hosts).unwrap();
    let (created, _) =
        world.command("create", async |_, c| c.create(&Wish::new("dev", workers)).await.map(drop)).unwrap();
    created.unwrap();
    world
}

/// A server that has looked at everything once, for as long as `story` lasts.
pub(crate) fn served<T>(world: &World, story: impl AsyncFnOnce(&Life, &Coordinator) -> T) -> (T, Rows) {
    let told = world.live(async |life| {
        let server = life.coordinator("server").await.unwrap();
        server.keep(KEEP);
        life.pass(10 * SECOND).await;
        let told = story(&life, &server).await;
        let rows = Rows::read(&server.store).await.unwrap();
        server.leave().await;
        (told, rows)
    });
    told.unwrap().unwrap()
}
