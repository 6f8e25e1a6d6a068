//! Networks: no VNI twice, no subnets that overlap, revisions that only go up.

use shoal_storage::{Conflict, NewRemnant, SecretKind, StoreError};
use shoal_types::Revision;

use crate::{
    bed::{START, on_both},
    make,
};

on_both! {
    async fn a_network_comes_back_as_it_went_in(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let second = make::admit(&mut tx, 2, &mut bed.rng).await;
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        assert_eq!(tx.networks().of_cluster(first.cluster.id).await.unwrap(), Some(first.network.clone()));
        assert_eq!(tx.networks().list().await.unwrap(), [first.network, second.network]);
    }

    async fn vni_and_subnet_are_given_out_once(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let seed = tx.secrets().put(SecretKind::ClusterSeed, b"x", START, &mut bed.rng).await.unwrap();
        let cluster = make::cluster(2, seed);
        tx.clusters().insert(&cluster).await.unwrap();
        let mut network = make::network(2);

        network.vni = first.network.vni;
        let error = tx.networks().insert(&network).await.unwrap_err();
        assert!(matches!(&error, StoreError::Conflict(Conflict::Vni { vni }) if *vni == network.vni), "{error}");

        network.vni = 4242_u64.try_into().unwrap();
        // The same, one that holds it, one within it: none is equal as text but the first.
        for subnet in ["10.96.1.0/24", "10.96.0.0/16", "10.96.1.128/25"] {
            network.subnet = subnet.parse().unwrap();
            let error = tx.networks().insert(&network).await.unwrap_err();
            assert!(
                matches!(&error, StoreError::Conflict(Conflict::Subnet { other, .. }) if *other == first.network.subnet),
                "{subnet}: {error}"
            );
        }
        network.subnet = "10.96.10.0/24".parse().unwrap();
        tx.networks().insert(&network).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn a_cluster_has_one_network(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let other = make::network(2);
        tx.networks().insert(&other).await.unwrap();
        let error = tx.networks().attach(other.id, first.cluster.id).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(Conflict::Unique { what: "a cluster's network" })), "{error}");
    }

    async fn a_network_may_carry_several_clusters_and_goes_with_the_last(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let seed = tx.secrets().put(SecretKind::ClusterSeed, b"x", START, &mut bed.rng).await.unwrap();
        let second = make::cluster(2, seed);
        tx.clusters().insert(&second).await.unwrap();
        tx.networks().attach(first.network.id, second.id).await.unwrap();
        let on = [(first.cluster.id, first.network.id), (second.id, first.network.id)];
        assert_eq!(tx.networks().attachments().await.unwrap(), on.into());
        assert_eq!(tx.networks().of_cluster(second.id).await.unwrap(), Some(first.network.clone()));
        assert_eq!(tx.networks().list().await.unwrap(), std::slice::from_ref(&first.network), "once");

        let mut tx = tx.guard(&first.lease).await.unwrap();
        tx.clusters().delete(second.id).await.unwrap();
        assert_eq!(tx.networks().of_cluster(first.cluster.id).await.unwrap(), Some(first.network));
        tx.nodes().delete(&first.nodes.iter().map(|n| n.id).collect::<Vec<_>>()).await.unwrap();
        tx.clusters().delete(first.cluster.id).await.unwrap();
        assert_eq!(tx.networks().list().await.unwrap(), []);
    }

    async fn what_is_left_of_a_network_stays_taken(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let gone = NewRemnant {
            host: first.host.id,
            cluster: make::cluster(7, first.cluster.seed).id,
            realm: "default".parse().unwrap(),
            name: "gone".parse().unwrap(),
            node: None,
            vni: 50_u64.try_into().unwrap(),
            subnet: "10.96.7.0/24".parse().unwrap(),
            reason: "host1 was down".into(),
            since: START,
        };
        tx.remnants().add(&gone).await.unwrap();
        let network = (first.network.vni, first.network.subnet);
        assert_eq!(tx.networks().taken().await.unwrap(), [(gone.vni, gone.subnet), network]);

        let seed = tx.secrets().put(SecretKind::ClusterSeed, b"x", START, &mut bed.rng).await.unwrap();
        let cluster = make::cluster(7, seed);
        tx.clusters().insert(&cluster).await.unwrap();
        let error = tx.networks().insert(&make::network(7)).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(Conflict::Subnet { .. })), "{error}");
        let id = tx.remnants().list().await.unwrap()[0].id;
        tx.remnants().delete(id).await.unwrap();
        tx.networks().insert(&make::network(7)).await.unwrap();
    }

    async fn revisions_only_go_up(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let mut tx = tx.guard(&first.lease).await.unwrap();
        for expected in [2, 3] {
            assert_eq!(tx.networks().next_revision(first.network.id).await.unwrap(), Revision(expected));
        }
        let none = make::network(9).id;
        let error = tx.networks().next_revision(none).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }
}
