//! The way without faults: a cluster is made, used and deleted, and nothing of it is left.

use shoal_proto::v1::ClusterPhase;
use shoal_tests::sim::{Rows, Wish, World, problems};

#[test]
fn a_cluster_comes_and_goes() -> anyhow::Result<()> {
    let world = World::registered(1, 3)?;
    let began = world.now();
    let rows = world.live(async |life| {
        let coordinator = life.coordinator("a").await?;
        let cluster = coordinator.create(&Wish::new("dev", 4)).await?;
        assert_eq!((cluster.phase(), cluster.nodes.len()), (ClusterPhase::Ready, 5));
        let rows = Rows::read(&coordinator.store).await?;
        coordinator.shutdown().await;
        anyhow::Ok(rows)
    })?;
    let rows = rows.expect("no crash was armed")?;
    assert_eq!(problems(&world, &rows), vec![]);
    let took = world.now().since(began).as_secs();
    assert!(took < 20, "{took} simulated seconds");
    let rows = world.live(async |life| {
        let coordinator = life.coordinator("b").await?;
        coordinator.delete(&["dev"]).await?;
        let rows = Rows::read(&coordinator.store).await?;
        coordinator.shutdown().await;
        anyhow::Ok(rows)
    })?;
    let rows = rows.expect("no crash was armed")?;
    assert_eq!(rows.clusters.len(), 0);
    assert_eq!(problems(&world, &rows), vec![]);
    Ok(())
}
