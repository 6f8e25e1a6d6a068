//! What placements were decided on: kept in order, gone with the cluster; and who sits where and wants to sit apart.

use shoal_storage::{Crowd, Decision};
use shoal_types::Role;

use crate::{
    bed::{START, on_both},
    make,
};

on_both! {
    async fn decisions_are_kept_in_order_and_go_with_their_cluster(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let decision = |document: &[u8]| Decision {
            cluster: first.cluster.id,
            at: START,
            document: document.into(),
        };
        let both = [decision(b"\x00first"), decision(b"second")];
        for one in &both {
            tx.decisions().add(one).await.unwrap();
        }
        assert_eq!(tx.decisions().of_cluster(first.cluster.id).await.unwrap(), both);
        let mut tx = tx.guard(&first.lease).await.unwrap();
        tx.nodes().delete(&first.nodes.iter().map(|n| n.id).collect::<Vec<_>>()).await.unwrap();
        tx.clusters().delete(first.cluster.id).await.unwrap();
        assert_eq!(tx.decisions().of_cluster(first.cluster.id).await.unwrap(), []);
    }

    async fn who_sits_where_and_who_wants_to_sit_apart(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        assert_eq!(tx.clusters().apart().await.unwrap(), []);
        let mut spec = first.cluster.spec.clone();
        spec.placing.prefer_apart = [Role::Worker].into();
        let next = tx.clusters().set_spec(first.cluster.id, first.cluster.generation, &spec, START).await.unwrap();
        assert_eq!(tx.clusters().apart().await.unwrap(), [], "a wish claims nothing");
        spec.placing.apart = [Role::Controller].into();
        tx.clusters().set_spec(first.cluster.id, next, &spec, START).await.unwrap();
        assert_eq!(tx.clusters().apart().await.unwrap(), [(first.cluster.id, [Role::Controller].into())]);

        let mut crowds = tx.nodes().crowds().await.unwrap();
        crowds.sort_by_key(|crowd| crowd.role);
        let of = |role| u32::try_from(first.nodes.iter().filter(|n| n.role == role).count()).unwrap();
        let crowd = |role| Crowd { host: first.host.id, cluster: first.cluster.id, role, nodes: of(role) };
        assert_eq!(crowds, [crowd(Role::Controller), crowd(Role::Worker)]);
    }
}
