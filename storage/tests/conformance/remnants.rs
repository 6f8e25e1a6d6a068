//! Remnants: remembered once, listed per host, gone with their host or when it was cleared.

use shoal_storage::{NewRemnant, Remnant, StoreError};

use crate::{
    bed::{START, on_both},
    make,
};

on_both! {
    async fn what_is_left_behind_is_remembered_once(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let lost = make::host(2);
        tx.hosts().insert(&lost).await.unwrap();
        let whole = NewRemnant {
            host: lost.id,
            cluster: first.cluster.id,
            realm: first.cluster.spec.realm.clone(),
            name: first.cluster.spec.name.clone(),
            node: None,
            vni: first.network.vni,
            subnet: first.network.subnet,
            reason: "host2 did not answer".into(),
            since: START,
        };
        let node = NewRemnant { node: Some(first.nodes[0].id), ..whole.clone() };
        let elsewhere = NewRemnant { host: first.host.id, ..whole.clone() };
        for remnant in [&whole, &node, &elsewhere, &whole, &node] {
            tx.remnants().add(remnant).await.unwrap();
        }
        let on_lost = tx.remnants().on_host(lost.id).await.unwrap();
        assert_eq!(on_lost.iter().map(|r| &r.what).collect::<Vec<_>>(), [&whole, &node]);
        assert_eq!(tx.remnants().list().await.unwrap().len(), 3);

        let Remnant { id, .. } = on_lost[1];
        tx.remnants().delete(id).await.unwrap();
        tx.remnants().delete(id).await.unwrap();
        assert_eq!(tx.remnants().on_host(lost.id).await.unwrap().len(), 1);
        tx.hosts().delete(lost.id).await.unwrap();
        let rest = tx.remnants().list().await.unwrap();
        assert_eq!(rest.into_iter().map(|r| r.what).collect::<Vec<_>>(), [elsewhere]);
        let error = tx.remnants().add(&whole).await.unwrap_err();
        assert!(matches!(error, StoreError::Referenced { .. }), "{error}");
    }
}
