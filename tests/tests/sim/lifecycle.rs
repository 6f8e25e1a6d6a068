//! The way without faults: a cluster is made, used and deleted, and nothing of it is left.

use shoal_proto::v1::ClusterPhase;
use shoal_tests::sim::{Wish, World, problems};

#[test]
fn a_cluster_comes_and_goes() -> anyhow::Result<()> {
    let world = World::registered(1, 3)?;
    let began = world.now();
    let (cluster, rows) = world.command("a", async |_, c| c.create(&Wish::new("dev", 4)).await)?;
    let cluster = cluster?;
    assert_eq!((cluster.phase(), cluster.nodes.len()), (ClusterPhase::Ready, 5));
    assert_eq!(problems(&world, &rows), vec![]);
    let took = world.now().since(began).as_secs();
    assert!(took < 20, "{took} simulated seconds");
    let (deleted, rows) = world.command("b", async |_, c| c.delete(&["dev"]).await)?;
    deleted?;
    assert_eq!(rows.clusters.len(), 0);
    assert_eq!(problems(&world, &rows), vec![]);
    Ok(())
}
