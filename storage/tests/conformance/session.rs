//! Units of work: whole or not at all, one writer at a time, readers never in the way.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use shoal_storage::{EventFilter, Host, Node, SealingKey, Store, StoreError, StoreUrl};
use shoal_types::{EventKind, EventLevel, NewEvent};

use crate::{
    bed::{Bed, SHORT, START, on_both},
    make,
};

on_both! {
    async fn what_is_dropped_never_was(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        make::admit(&mut tx, 1, &mut bed.rng).await;
        drop(tx);
        let mut tx = bed.store.begin().await.unwrap();
        assert_eq!(tx.clusters().list().await.unwrap(), []);
        make::admit(&mut tx, 1, &mut bed.rng).await;
        tx.commit().await.unwrap();
        assert_eq!(bed.store.read().await.unwrap().clusters().list().await.unwrap().len(), 1);
    }

    async fn a_view_does_not_change_and_is_in_nobodys_way(bed: &mut Bed) {
        let mut view = bed.store.read().await.unwrap();
        assert_eq!(view.hosts().list().await.unwrap(), []);
        let mut tx = bed.store.begin().await.unwrap();
        tx.hosts().insert(&make::host(1)).await.unwrap();
        let mut during = bed.store.read().await.unwrap();
        assert_eq!(during.hosts().list().await.unwrap(), [], "not yet committed");
        tx.commit().await.unwrap();
        assert_eq!(view.hosts().list().await.unwrap(), []);
        assert_eq!(view.placement_version().await.unwrap(), 0);
        assert_eq!(bed.store.read().await.unwrap().hosts().list().await.unwrap().len(), 1);
    }

    async fn after_a_failed_statement_nothing_is_committed(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::admit(&mut tx, 1, &mut bed.rng).await;
        let stray = Node { host: make::host(9).id, name: "stray".parse().unwrap(), ..first.nodes[0].clone() };
        tx.nodes().insert(&[stray]).await.unwrap_err();
        let error = tx.hosts().list().await.unwrap_err();
        assert!(matches!(&error, StoreError::Aborted { operation } if operation == "INSERT on nodes"), "{error}");
        let error = tx.commit().await.unwrap_err();
        assert!(matches!(error, StoreError::Aborted { .. }), "{error}");
        assert_eq!(bed.store.read().await.unwrap().clusters().list().await.unwrap(), []);
    }

    async fn an_expected_refusal_ends_nothing(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let host = make::host(1);
        tx.hosts().insert(&host).await.unwrap();
        let twin = Host { name: host.name.clone(), ..make::host(2) };
        tx.hosts().insert(&twin).await.unwrap_err();
        tx.hosts().delete(twin.id).await.unwrap_err();
        tx.commit().await.unwrap();
        assert_eq!(bed.store.read().await.unwrap().hosts().list().await.unwrap(), [host]);
    }

    async fn a_writer_waits_for_the_one_before_it(bed: &mut Bed) {
        let other = bed.again(Duration::from_secs(30)).await.unwrap();
        let mut first = bed.store.begin().await.unwrap();
        let second = tokio::spawn(async move {
            let mut tx = other.begin().await.unwrap();
            tx.hosts().list().await.unwrap().len()
        });
        first.hosts().insert(&make::host(1)).await.unwrap();
        first.commit().await.unwrap();
        assert_eq!(second.await.unwrap(), 1);
    }

    async fn a_writer_that_waited_too_long_is_told_who_is_locked(bed: &mut Bed) {
        let other = bed.again(SHORT).await.unwrap();
        let first = bed.store.begin().await.unwrap();
        match other.begin().await {
            Err(StoreError::Locked { store, .. }) => assert_eq!(store, bed.url.to_string()),
            outcome => panic!("{outcome:?}"),
        }
        drop(first);
        bed.store.begin().await.unwrap().commit().await.unwrap();
        other.begin().await.unwrap().commit().await.unwrap();
    }
}

/// Names the store and its key to a test that is to be the writer that is killed.
const WRITE_TO: &str = "SHOAL_TEST_WRITE_TO";

/// Writes transactions of two changes each until it is killed, and says so after each commit.
async fn write_for_ever(url: &str, key: &str) {
    let mut rng = StdRng::seed_from_u64(4);
    let key = SealingKey::load(key.as_ref()).unwrap();
    // The server may take its time to notice that the writer before this one is gone.
    let url = url.parse::<StoreUrl>().unwrap().with_lock_wait(Duration::from_secs(60));
    let store = Store::open(&url, key, START, &mut rng).await.unwrap();
    loop {
        let event = NewEvent {
            at: START,
            level: EventLevel::Info,
            kind: EventKind::Step,
            cluster: None,
            node: None,
            host: None,
            message: "x".repeat(5000),
            progress: None,
            user: None,
        };
        let mut tx = store.begin().await.unwrap();
        let version = tx.placement_version().await.unwrap();
        tx.events().append(&event).await.unwrap();
        tx.bump_placement_version(version).await.unwrap();
        tx.commit().await.unwrap();
        println!("committed");
    }
}

/// Starts this test anew as the writer, kills it in the middle of its work, and looks at what it left; several times.
async fn kill_writers(bed: &Bed, test: &str) {
    let mut told = 0;
    for commits in [1, 7, 30] {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(WRITE_TO, format!("{} {}", bed.key_file().display(), bed.text()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        told += lines.map_while(Result::ok).filter(|line| line.ends_with("committed")).take(commits).count()
            as u64;
        writer.kill().unwrap();
        writer.wait().unwrap();

        let again = bed.again(Duration::from_secs(60)).await.unwrap();
        let mut view = again.read().await.unwrap();
        let all = EventFilter { realm: None, cluster: None, after: 0, limit: u32::MAX };
        let events = view.events().list(&all).await.unwrap().len() as u64;
        assert_eq!(view.placement_version().await.unwrap(), events, "both changes or none");
        assert!(events >= told, "what was said to be committed is there: {events} of {told}");
    }
    assert_eq!(told, 38, "the writers wrote");
}

#[tokio::test]
async fn a_killed_writer_leaves_whole_transactions_sqlite() {
    match std::env::var(WRITE_TO).as_deref().map(|to| to.split_once(' ').unwrap()) {
        Ok((key, url)) => write_for_ever(url, key).await,
        Err(_) => {
            kill_writers(&Bed::sqlite().await, "session::a_killed_writer_leaves_whole_transactions_sqlite")
                .await
        }
    }
}

#[tokio::test]
async fn a_killed_writer_leaves_whole_transactions_postgres() {
    match std::env::var(WRITE_TO).as_deref().map(|to| to.split_once(' ').unwrap()) {
        Ok((key, url)) => write_for_ever(url, key).await,
        Err(_) => {
            if let Some(bed) = Bed::postgres().await {
                kill_writers(&bed, "session::a_killed_writer_leaves_whole_transactions_postgres").await;
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_said_and_replaced() {
    let Some(bed) = Bed::postgres().await else { return };
    let mut tx = bed.store.begin().await.unwrap();
    tx.hosts().insert(&make::host(1)).await.unwrap();
    bed.raw(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'shoal'",
    )
    .await;
    let error = tx.hosts().list().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    drop(tx);
    let mut tx = bed.store.begin().await.unwrap();
    assert_eq!(tx.hosts().list().await.unwrap(), []);
    tx.commit().await.unwrap();
}
