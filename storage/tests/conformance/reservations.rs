//! Reservations: what nodes and others hold of hosts, summed over all of them.

use shoal_storage::{Conflict, Reservation, ReservationOwner, StoreError, Usage};
use shoal_types::{Bytes, MilliCpu, Resources};

use crate::{bed::on_both, make};

fn container(id: &str) -> ReservationOwner {
    ReservationOwner::Container(id.into())
}

on_both! {
    async fn a_node_has_one_and_a_container_may_have_one(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let before = tx.hosts().usage().await.unwrap()[&first.host.id];
        let other = Reservation {
            owner: container("builder"),
            host: first.host.id,
            amount: Resources { cpu: MilliCpu(250), memory: Bytes::mib(100) },
        };
        tx.reservations().insert(std::slice::from_ref(&other)).await.unwrap();
        let of_node = |node: &shoal_storage::Node| Reservation {
            owner: ReservationOwner::Node(node.id),
            host: node.host,
            amount: node.size.reserve,
        };
        let mut expected: Vec<_> = first.nodes.iter().map(of_node).chain([other.clone()]).collect();
        expected.sort_by_key(|r| r.owner.to_string());
        assert_eq!(tx.reservations().list().await.unwrap(), expected);
        let reserved = Resources {
            cpu: MilliCpu(before.reserved.cpu.0 + 250),
            memory: Bytes(before.reserved.memory.0 + Bytes::mib(100).0),
        };
        let usage = tx.hosts().usage().await.unwrap();
        assert_eq!(usage[&first.host.id], Usage { reserved, nodes: before.nodes }, "the sum; it is no node");

        let error = tx.hosts().delete(first.host.id).await.unwrap_err();
        assert!(matches!(error, StoreError::Referenced { .. }), "{error}");
    }

    async fn a_host_with_no_node_is_kept_by_what_others_hold_of_it(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let (one, two) = (make::host(1), make::host(2));
        tx.hosts().insert(&one).await.unwrap();
        tx.hosts().insert(&two).await.unwrap();
        let held = Reservation { owner: container("builder"), host: one.id, amount: Resources::default() };
        tx.reservations().insert(std::slice::from_ref(&held)).await.unwrap();
        tx.reservations().set_host(&held.owner, two.id).await.unwrap();
        tx.hosts().delete(one.id).await.unwrap();
        tx.commit().await.unwrap();

        let mut tx = bed.store.begin().await.unwrap();
        let error = tx.hosts().delete(two.id).await.unwrap_err();
        assert!(matches!(error, StoreError::Referenced { .. }), "{error}");
        drop(tx);
        let mut tx = bed.store.begin().await.unwrap();
        tx.reservations().delete(&held.owner).await.unwrap();
        tx.reservations().delete(&held.owner).await.unwrap();
        tx.hosts().delete(two.id).await.unwrap();
        assert!(tx.hosts().usage().await.unwrap().is_empty());
    }

    async fn an_owner_has_one(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let host = make::host(1);
        tx.hosts().insert(&host).await.unwrap();
        let held = Reservation { owner: container("builder"), host: host.id, amount: Resources::default() };
        let error = tx.reservations().insert(&[held.clone(), held.clone()]).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Conflict(Conflict::Unique { what: "a reservation's owner" })),
            "{error}"
        );
        drop(tx);
        let mut tx = bed.store.begin().await.unwrap();
        let error = tx.reservations().set_host(&held.owner, host.id).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }
}
