//! Admission: of those that decided on the same placements one goes on, the others read again.

use std::time::Duration;

use shoal_storage::{Store, StoreError};

use crate::bed::on_both;

/// Reads the version and counts it up, as often as it takes; how often someone else was first.
async fn place(store: Store) -> u32 {
    let mut stale = 0;
    loop {
        let version = store.read().await.unwrap().placement_version().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        match tx.bump_placement_version(version).await {
            Ok(()) => {
                tx.commit().await.unwrap();
                return stale;
            }
            Err(StoreError::Stale { .. }) => stale += 1,
            Err(other) => panic!("{other}"),
        }
    }
}

on_both! {
    async fn a_decision_on_old_placements_is_refused(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let version = tx.placement_version().await.unwrap();
        tx.bump_placement_version(version).await.unwrap();
        let error = tx.bump_placement_version(version).await.unwrap_err();
        assert!(matches!(error, StoreError::Stale { .. }), "{error}");
        assert_eq!(tx.placement_version().await.unwrap(), version + 1);
    }

    async fn all_who_place_at_once_get_their_turn(bed: &mut Bed) {
        let other = bed.again(Duration::from_secs(30)).await.unwrap();
        let stores = [&bed.store, &other];
        let tasks: Vec<_> = (0..12).map(|n| tokio::spawn(place(stores[n % 2].clone()))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(bed.store.read().await.unwrap().placement_version().await.unwrap(), 12);
    }
}
