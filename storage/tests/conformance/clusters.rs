//! Clusters: admitted, moved through their phases by whoever is first, forgotten when nothing is left.

use std::time::Duration;

use shoal_storage::{Cluster, Conflict, Resource, SecretKind, StoreError};
use shoal_types::{
    ClusterMtu, ClusterPhase, CopyPeriod, Expiry, Generation, HealAfter, Healing, HealingPolicy, Ttl,
};

use crate::{
    bed::{START, on_both},
    make,
};

on_both! {
    async fn a_cluster_comes_back_as_it_went_in(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let seed = tx.secrets().put(SecretKind::ClusterSeed, b"x", START, &mut bed.rng).await.unwrap();
        let first = make::cluster(1, seed);
        let mut other = Cluster {
            slurm_version: Some("22.05.8".into()),
            failure: Some("worker-0: munge did not start".into()),
            phase: ClusterPhase::Failed,
            keep_on_failure: false,
            ..make::cluster(2, seed)
        };
        other.spec.realm = "lab".parse().unwrap();
        other.spec.name = first.spec.name.clone();
        other.spec.mtu = Some(ClusterMtu::LEAST);
        other.spec.ttl = Some(Ttl::try_from(60_000).unwrap());
        other.expiry = other.spec.ttl.map(|ttl| ttl.ends(START));
        other.healing = Healing {
            policy: HealingPolicy::None,
            after_ms: HealAfter::try_from(90_000).unwrap(),
            copies_ms: CopyPeriod::NEVER,
        };
        other.spec.slurm.main.insert("base".into(), "SlurmctldDebug=debug\n".into());
        for cluster in [&other, &first] {
            tx.clusters().insert(cluster).await.unwrap();
        }
        tx.commit().await.unwrap();

        let mut view = bed.store.read().await.unwrap();
        assert_eq!(view.clusters().list().await.unwrap(), [first.clone(), other.clone()]);
        assert_eq!(view.clusters().in_realm(&other.spec.realm).await.unwrap(), std::slice::from_ref(&other));
        assert_eq!(view.clusters().get(first.id).await.unwrap(), Some(first.clone()));
        let found = view.clusters().by_name(&other.spec.realm, &other.spec.name).await.unwrap();
        assert_eq!(found, Some(other));
        let none = view.clusters().by_name(&"void".parse().unwrap(), &first.spec.name).await.unwrap();
        assert_eq!(none, None);
    }

    async fn a_name_is_unique_in_its_realm(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let seed = tx.secrets().put(SecretKind::ClusterSeed, b"x", START, &mut bed.rng).await.unwrap();
        let first = make::cluster(1, seed);
        tx.clusters().insert(&first).await.unwrap();
        let twin = Cluster { spec: first.spec.clone(), ..make::cluster(2, seed) };
        let error = tx.clusters().insert(&twin).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Conflict(Conflict::ClusterName { name, .. }) if *name == first.spec.name),
            "{error}"
        );
        let error = tx.clusters().insert(&Cluster { id: first.id, ..make::cluster(3, seed) }).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(Conflict::Unique { what: "a cluster's id" })), "{error}");
    }

    async fn of_two_that_change_the_phase_one_is_first(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let cluster = make::admit(&mut tx, 1, &mut bed.rng).await.cluster;
        let later = START.after(Duration::from_secs(1));
        let (creating, ready, deleting) =
            (ClusterPhase::Creating, ClusterPhase::Ready, ClusterPhase::Deleting);
        tx.clusters().set_phase(cluster.id, creating, deleting, later).await.unwrap();
        let error = tx.clusters().set_phase(cluster.id, creating, ready, later).await.unwrap_err();
        assert!(matches!(error, StoreError::Stale { .. }), "{error}");
        let found = tx.clusters().get(cluster.id).await.unwrap().unwrap();
        assert_eq!(found, Cluster { phase: deleting, updated: later, ..cluster });
    }

    async fn how_a_cluster_heals_can_be_changed_and_its_wish_stays(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let cluster = make::admit(&mut tx, 1, &mut bed.rng).await.cluster;
        let later = START.after(Duration::from_secs(1));
        for policy in HealingPolicy::ALL {
            let copies_ms = CopyPeriod::try_from(3_600_000).unwrap();
            let healing = Healing { policy, after_ms: HealAfter::try_from(604_800_000).unwrap(), copies_ms };
            tx.clusters().set_healing(cluster.id, healing, later).await.unwrap();
            let found = tx.clusters().get(cluster.id).await.unwrap().unwrap();
            assert_eq!(found, Cluster { healing, updated: later, ..cluster.clone() });
        }
        let nobody = make::cluster(9, cluster.seed).id;
        let error = tx.clusters().set_healing(nobody, Healing::default(), START).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }

    async fn the_end_of_a_cluster_is_set_and_taken_back(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let cluster = make::admit(&mut tx, 1, &mut bed.rng).await.cluster;
        let later = START.after(Duration::from_secs(1));
        let told = Expiry { at: later, told: Some(START) };
        for expiry in [Some(told), Some(Expiry { told: None, ..told }), None] {
            tx.clusters().set_expiry(cluster.id, expiry, later).await.unwrap();
            let found = tx.clusters().get(cluster.id).await.unwrap().unwrap();
            assert_eq!(found, Cluster { expiry, updated: later, ..cluster.clone() });
        }
        let nobody = make::cluster(9, cluster.seed).id;
        let error = tx.clusters().set_expiry(nobody, None, START).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }

    async fn a_changed_specification_is_a_new_generation(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let cluster = make::admit(&mut tx, 1, &mut bed.rng).await.cluster;
        let spec = make::spec("c1", 5);
        let next = tx.clusters().set_spec(cluster.id, cluster.generation, &spec, START).await.unwrap();
        assert_eq!(next, Generation(2));
        let found = tx.clusters().get(cluster.id).await.unwrap().unwrap();
        assert_eq!((found.spec, found.generation), (spec.clone(), next));
        let error = tx.clusters().set_spec(cluster.id, cluster.generation, &spec, START).await.unwrap_err();
        assert!(matches!(error, StoreError::Stale { .. }), "{error}");
        let renamed = make::spec("c2", 5);
        let error = tx.clusters().set_spec(cluster.id, next, &renamed, START).await.unwrap_err();
        assert!(matches!(error, StoreError::Stale { .. }), "a name is for life: {error}");
    }

    async fn the_owner_records_what_became_of_it(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let admitted = make::admit(&mut tx, 1, &mut bed.rng).await;
        let id = admitted.cluster.id;
        let mut tx = tx.guard(&admitted.lease).await.unwrap();
        tx.clusters().set_slurm_version(id, "22.05.8", START).await.unwrap();
        tx.clusters().set_failure(id, Some("host1 is down"), START).await.unwrap();
        let found = tx.clusters().get(id).await.unwrap().unwrap();
        assert_eq!(found.slurm_version.as_deref(), Some("22.05.8"));
        assert_eq!(found.failure.as_deref(), Some("host1 is down"));
        tx.clusters().set_failure(id, None, START).await.unwrap();
        assert_eq!(tx.clusters().get(id).await.unwrap().unwrap().failure, None);
        let error = tx.clusters().set_failure(make::cluster(9, admitted.cluster.seed).id, None, START).await;
        assert!(matches!(error, Err(StoreError::Missing { .. })), "{error:?}");
    }

    async fn another_seed_takes_the_place_of_the_first(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let admitted = make::admit(&mut tx, 1, &mut bed.rng).await;
        let (id, first) = (admitted.cluster.id, admitted.cluster.seed);
        let kind = SecretKind::ClusterSeed;
        let mut tx = tx.guard(&admitted.lease).await.unwrap();
        let second = tx.secrets().put(kind, &[7; 32], START, &mut bed.rng).await.unwrap();
        tx.clusters().set_seed(id, second, START).await.unwrap();
        assert_eq!(tx.clusters().get(id).await.unwrap().unwrap().seed, second);
        assert!(tx.secrets().open(first, kind).await.unwrap().is_none(), "the first is forgotten");
        assert_eq!(tx.secrets().open(second, kind).await.unwrap().unwrap().as_slice(), [7; 32]);
        let unknown = make::cluster(9, second).id;
        let error = tx.clusters().set_seed(unknown, second, START).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }

    async fn a_cluster_goes_last_and_leaves_nothing(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let admitted = make::admit(&mut tx, 1, &mut bed.rng).await;
        let (id, seed) = (admitted.cluster.id, admitted.cluster.seed);
        tx.commit().await.unwrap();

        let tx = bed.store.begin().await.unwrap();
        let mut tx = tx.guard(&admitted.lease).await.unwrap();
        let error = tx.clusters().delete(id).await.unwrap_err();
        assert!(matches!(error, StoreError::Referenced { .. }), "it has nodes: {error}");
        drop(tx);
        let mut view = bed.store.read().await.unwrap();
        assert!(view.clusters().deleted().await.unwrap().is_empty(), "half a deletion is none");
        drop(view);

        let tx = bed.store.begin().await.unwrap();
        let mut tx = tx.guard(&admitted.lease).await.unwrap();
        let nodes: Vec<_> = admitted.nodes.iter().map(|n| n.id).collect();
        tx.nodes().delete(&nodes).await.unwrap();
        tx.clusters().delete(id).await.unwrap();
        tx.commit().await.unwrap();

        let mut view = bed.store.read().await.unwrap();
        assert_eq!(view.clusters().list().await.unwrap(), []);
        assert_eq!(view.networks().list().await.unwrap(), []);
        assert_eq!(view.nodes().list().await.unwrap(), []);
        assert_eq!(view.secrets().open(seed, SecretKind::ClusterSeed).await.unwrap(), None);
        assert_eq!(view.leases().get(&Resource::cluster(id)).await.unwrap(), None);
        assert_eq!(view.clusters().deleted().await.unwrap(), [id].into(), "but that it was deleted");
        drop(view);
        let tx = bed.store.begin().await.unwrap();
        let error = tx.guard(&admitted.lease).await.unwrap_err();
        assert!(matches!(error, StoreError::LeaseLost { .. }), "{error}");
    }
}
