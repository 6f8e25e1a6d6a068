//! Events: in order, filtered, never missed by a reader that follows them.

use shoal_storage::EventFilter;
use shoal_types::{EventKind, EventLevel, NewEvent, Progress};

use crate::bed::{START, on_both};

fn event(cluster: Option<(&str, &str)>, message: &str) -> NewEvent {
    NewEvent {
        at: START,
        level: EventLevel::Info,
        kind: EventKind::Step,
        cluster: cluster.map(|(realm, name)| (realm.parse().unwrap(), name.parse().unwrap())),
        node: None,
        host: None,
        message: message.into(),
        progress: None,
        user: None,
    }
}

const ALL: EventFilter = EventFilter { realm: None, cluster: None, after: 0, limit: 1000 };

on_both! {
    async fn events_come_back_in_order_and_by_filter(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        assert_eq!(tx.events().latest_seq().await.unwrap(), 0);
        let full = NewEvent {
            level: EventLevel::Error,
            kind: EventKind::NodeFailed,
            node: Some("worker-0".parse().unwrap()),
            host: Some("host1".parse().unwrap()),
            progress: Some(Progress { done_bytes: 3 << 40, total_bytes: Some(4 << 40) }),
            ..event(Some(("default", "dev")), "slurmd: \u{1f41f} 'x'; --")
        };
        let events = [
            event(None, "host registered"),
            full,
            event(Some(("default", "big")), "admitted"),
            event(Some(("lab", "dev")), "admitted"),
        ];
        let mut seqs = vec![];
        for event in &events {
            seqs.push(tx.events().append(event).await.unwrap());
        }
        assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
        assert_eq!(tx.events().latest_seq().await.unwrap(), seqs[3]);
        let found = tx.events().list(&ALL).await.unwrap();
        assert_eq!(found.iter().map(|e| e.seq).collect::<Vec<_>>(), seqs);
        assert_eq!(found.into_iter().map(|e| e.event).collect::<Vec<_>>(), events);
        for (filter, expected) in [
            (EventFilter { realm: Some("default".parse().unwrap()), ..ALL }, &seqs[1..3]),
            (EventFilter { cluster: Some("dev".parse().unwrap()), realm: Some("lab".parse().unwrap()), ..ALL }, &seqs[3..]),
            (EventFilter { after: seqs[1], ..ALL }, &seqs[2..]),
            (EventFilter { after: seqs[0], limit: 2, ..ALL }, &seqs[1..3]),
            (EventFilter { after: seqs[3], ..ALL }, &[]),
        ] {
            let found: Vec<_> = tx.events().list(&filter).await.unwrap().into_iter().map(|e| e.seq).collect();
            assert_eq!(found, expected, "{filter:?}");
        }
    }

    async fn old_events_go_in_pieces_and_the_last_stays(bed: &mut Bed) {
        const TEN: u64 = 10;
        let at = |n: u64| START.after(std::time::Duration::from_secs(n));
        let seqs = |found: Vec<shoal_types::Event>| found.into_iter().map(|e| e.seq).collect::<Vec<_>>();
        let mut tx = bed.store.begin().await.unwrap();
        assert!(!tx.events().prune(at(99), TEN, TEN).await.unwrap(), "there are none");
        let mut all = vec![];
        for n in 0..TEN {
            all.push(tx.events().append(&NewEvent { at: at(n), ..event(None, "old") }).await.unwrap());
        }
        assert!(!tx.events().prune(at(0), TEN, TEN).await.unwrap());
        assert_eq!(seqs(tx.events().list(&ALL).await.unwrap()), all, "all are young, and no more than allowed");
        assert!(tx.events().prune(at(4), TEN, 3).await.unwrap(), "the fourth is left for the next time");
        assert_eq!(seqs(tx.events().list(&ALL).await.unwrap()), all[3..]);
        assert!(!tx.events().prune(at(4), TEN, 3).await.unwrap());
        assert_eq!(seqs(tx.events().list(&ALL).await.unwrap()), all[4..]);
        assert!(!tx.events().prune(at(0), 2, TEN).await.unwrap());
        assert_eq!(seqs(tx.events().list(&ALL).await.unwrap()), all[8..], "young, and too many");
        assert!(!tx.events().prune(at(99), TEN, TEN).await.unwrap());
        assert_eq!(seqs(tx.events().list(&ALL).await.unwrap()), all[9..]);
        let next = tx.events().append(&event(None, "new")).await.unwrap();
        assert!(next > all[9], "no number is given twice");
        tx.commit().await.unwrap();
    }

    async fn a_reader_is_woken_by_the_commit_and_by_nothing_else(bed: &mut Bed) {
        let mut committed = bed.store.committed_events();
        let mut tx = bed.store.begin().await.unwrap();
        tx.events().append(&event(None, "rolled back")).await.unwrap();
        drop(tx);
        bed.store.begin().await.unwrap().commit().await.unwrap();
        assert!(!committed.has_changed().unwrap());
        let mut tx = bed.store.begin().await.unwrap();
        let seq = tx.events().append(&event(None, "done")).await.unwrap();
        assert!(!committed.has_changed().unwrap());
        tx.commit().await.unwrap();
        assert_eq!(*committed.wait_for(|last| *last > 0).await.unwrap(), seq);
    }

    /// Writers in two processes, a reader that asks for events after its last one: the reader sees all, in order.
    async fn a_follower_misses_nothing(bed: &mut Bed) {
        const EACH: usize = 40;
        let other = bed.again(std::time::Duration::from_secs(30)).await.unwrap();
        let write = |store: shoal_storage::Store, name: &'static str| async move {
            for n in 0..EACH {
                let mut tx = store.begin().await.unwrap();
                tx.events().append(&event(None, &format!("{name} {n}"))).await.unwrap();
                // Every fourth is given up: numbers may be skipped, never reused out of order.
                if n % 4 != 3 {
                    tx.commit().await.unwrap();
                }
            }
        };
        let writers = [tokio::spawn(write(bed.store.clone(), "a")), tokio::spawn(write(other, "b"))];
        let mut seen: Vec<shoal_types::Event> = vec![];
        let mut done = false;
        loop {
            let after = seen.last().map_or(0, |e| e.seq);
            let filter = EventFilter { after, limit: 7, ..ALL };
            let next = bed.store.read().await.unwrap().events().list(&filter).await.unwrap();
            if next.is_empty() && done {
                break;
            }
            // What ended before a read is in that read.
            done = writers.iter().all(tokio::task::JoinHandle::is_finished);
            seen.extend(next);
            tokio::task::yield_now().await;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        for name in ["a", "b"] {
            let mine: Vec<_> =
                seen.iter().filter(|e| e.event.message.starts_with(name)).map(|e| e.event.message.clone()).collect();
            let expected: Vec<_> = (0..EACH).filter(|n| n % 4 != 3).map(|n| format!("{name} {n}")).collect();
            assert_eq!(mine, expected);
        }
        assert!(seen.is_sorted_by(|a, b| a.seq < b.seq));
    }
}
