//! Copies of nodes' states: sealed, one a node, kept in the order they were taken, given back whole, gone with the node.

use std::time::Duration;

use shoal_storage::{KeptState, StateCopy, StateSource, StoreError};
use shoal_types::{Bytes, Generation};

use crate::{
    bed::{START, on_both},
    make,
};

fn stale<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Stale { what: "state copy", .. })), "{outcome:?}");
}

on_both! {
    async fn a_copy_is_kept_sealed_given_back_and_gone_with_its_node(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        tx.commit().await.unwrap();
        let (node, later) = (first.nodes[0].id, START.after(Duration::from_secs(60)));
        let source = |version| StateSource { node, generation: Generation::FIRST, version };
        let state: Vec<u8> = b"job 1 waits; ".iter().copied().cycle().take(100_000).collect();
        let packed = bed.store.pack_state(node, &state, &mut bed.rng).unwrap();
        let size = packed.size();
        assert!(size < Bytes(2_000), "{size}");
        let mut tx = bed.store.begin().await.unwrap();
        assert_eq!(tx.state_copies().get(node).await.unwrap(), None);
        tx.state_copies().keep(&source(0), packed, START).await.unwrap();
        let kept = KeptState { state: Bytes(100_000), copy: size, taken: START, checked: START };
        let copy = StateCopy { node, version: 1, kept: Some(kept), trouble: None, restore: None };
        let found = tx.state_copies().of_cluster(first.cluster.id).await.unwrap();
        assert_eq!(found, std::slice::from_ref(&copy));
        assert_eq!(tx.state_copies().open(node).await.unwrap().as_deref(), Some(&state));
        // Unchanged: nothing but the time.
        tx.state_copies().checked(&source(1), later).await.unwrap();
        let now = StateCopy { version: 2, kept: Some(KeptState { checked: later, ..kept }), ..copy };
        assert_eq!(tx.state_copies().get(node).await.unwrap(), Some(now.clone()));
        // Whatever the trouble is, the copy before stays.
        tx.state_copies().set_trouble(&source(2), "too large").await.unwrap();
        let troubled = StateCopy { version: 3, trouble: Some("too large".into()), ..now };
        assert_eq!(tx.state_copies().get(node).await.unwrap(), Some(troubled));
        assert_eq!(tx.state_copies().open(node).await.unwrap().as_deref(), Some(&state));
        let packed = bed.store.pack_state(node, b"", &mut bed.rng).unwrap();
        tx.state_copies().keep(&source(3), packed, later).await.unwrap();
        assert_eq!(tx.state_copies().get(node).await.unwrap().unwrap().trouble, None);
        assert_eq!(tx.state_copies().open(node).await.unwrap().as_deref(), Some(&vec![]));
        tx.commit().await.unwrap();
        let mut tx = bed.store.begin().await.unwrap().guard(&first.lease).await.unwrap();
        tx.nodes().delete(&first.nodes.iter().map(|n| n.id).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(tx.state_copies().get(node).await.unwrap(), None);
        assert_eq!(tx.state_copies().open(node).await.unwrap().as_deref(), None);
        tx.clusters().delete(first.cluster.id).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn who_looked_before_somebody_else_changes_nothing(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        tx.commit().await.unwrap();
        let (node, host) = (first.nodes[0].id, first.nodes[0].host);
        let source = |generation, version| StateSource { node, generation: Generation(generation), version };
        let mut pack = |text: &[u8]| bed.store.pack_state(node, text, &mut bed.rng).unwrap();
        let (one, two, three, four) = (pack(b"one"), pack(b"two"), pack(b"three"), pack(b"four"));
        let (five, six) = (pack(b"five"), pack(b"six"));
        let mut tx = bed.store.begin().await.unwrap();
        tx.state_copies().keep(&source(1, 0), one, START).await.unwrap();
        stale(tx.state_copies().keep(&source(1, 0), two, START).await);
        stale(tx.state_copies().checked(&source(1, 0), START).await);
        stale(tx.state_copies().set_trouble(&source(1, 9), "x").await);
        stale(tx.state_copies().keep(&source(2, 1), three, START).await);
        tx.commit().await.unwrap();
        // The node goes elsewhere, and is to begin with what was copied: nobody replaces that meanwhile.
        let mut tx = bed.store.begin().await.unwrap().guard(&first.lease).await.unwrap();
        let next = tx.nodes().place(node, Generation::FIRST, host, START).await.unwrap();
        tx.state_copies().restore_at(node, next).await.unwrap();
        let restore = tx.state_copies().get(node).await.unwrap().unwrap();
        assert_eq!((restore.restore, restore.version), (Some(next), 2));
        stale(tx.state_copies().keep(&source(1, 1), four, START).await);
        stale(tx.state_copies().keep(&source(2, 2), five, START).await);
        stale(tx.state_copies().restored(node, Generation::FIRST).await);
        assert_eq!(tx.state_copies().open(node).await.unwrap().as_deref(), Some(&b"one".to_vec()));
        tx.state_copies().restored(node, next).await.unwrap();
        stale(tx.state_copies().restored(node, next).await);
        tx.state_copies().keep(&source(2, 3), six, START).await.unwrap();
        assert_eq!(tx.state_copies().open(node).await.unwrap().as_deref(), Some(&b"six".to_vec()));
        // Of what was never copied there is nothing to begin with.
        let other = first.nodes[1].id;
        tx.state_copies().restore_at(other, Generation(2)).await.unwrap();
        assert_eq!(tx.state_copies().get(other).await.unwrap(), None);
        tx.commit().await.unwrap();
    }

    async fn a_copy_opens_for_its_node_alone(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        tx.commit().await.unwrap();
        let (node, other) = (first.nodes[0].id, first.nodes[1].id);
        let packed = bed.store.pack_state(node, b"jobs", &mut bed.rng).unwrap();
        let mut tx = bed.store.begin().await.unwrap();
        let source = StateSource { node: other, generation: Generation::FIRST, version: 0 };
        tx.state_copies().keep(&source, packed, START).await.unwrap();
        let opened = tx.state_copies().open(other).await;
        assert!(matches!(opened, Err(StoreError::Corrupt { table: "state_copies", column: "sealed", .. })), "{opened:?}");
    }
}
