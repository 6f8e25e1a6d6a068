//! Where subnets of clusters come from: the default, what is set, and that decisions are made again.

use shoal_types::Pools;

use crate::bed::on_both;

on_both! {
    async fn ranges_are_kept_and_given_up(bed: &mut Bed) {
        let mut view = bed.store.read().await.unwrap();
        assert_eq!(view.pools().await.unwrap(), Pools::default());
        let before = view.placement_version().await.unwrap();
        drop(view);
        let pools: Pools = "172.20.0.0/16, 10.96.0.0/12".parse().unwrap();
        let mut tx = bed.store.begin().await.unwrap();
        tx.set_pools(Some(&pools)).await.unwrap();
        tx.commit().await.unwrap();
        let store = bed.again(std::time::Duration::from_secs(10)).await.unwrap();
        let mut view = store.read().await.unwrap();
        assert_eq!(view.pools().await.unwrap(), pools);
        assert!(view.placement_version().await.unwrap() > before, "who decided before decides again");
        drop(view);
        let mut tx = store.begin().await.unwrap();
        tx.set_pools(None).await.unwrap();
        assert_eq!(tx.pools().await.unwrap(), Pools::default());
        tx.commit().await.unwrap();
    }
}
