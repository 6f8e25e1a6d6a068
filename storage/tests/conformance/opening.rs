//! Opening: made on first use and closed to others, found again, refused with the reason when it cannot be used.

use std::{
    error::Error,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use shoal_storage::{SealingKey, Store, StoreError, StoreUrl};

use crate::{
    bed::{Bed, SHORT, START, USER, on_both, server},
    make,
};

const SOON: Duration = Duration::from_secs(30);

async fn open(url: &StoreUrl, key: &Path) -> Result<Store, StoreError> {
    let mut rng = StdRng::seed_from_u64(3);
    let key = SealingKey::load_or_create(key, &mut rng).unwrap();
    Store::open(url, key, START, &mut rng).await
}

/// The error and everything it came from.
fn chain(error: &StoreError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    text
}

on_both! {
    async fn a_store_opened_again_is_the_same_installation(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        tx.hosts().insert(&make::host(1)).await.unwrap();
        tx.commit().await.unwrap();
        let again = bed.again(SOON).await.unwrap();
        assert_eq!(again.installation(), bed.store.installation());
        assert_eq!(again.read().await.unwrap().hosts().list().await.unwrap().len(), 1);
    }

    async fn another_key_is_refused_and_named(bed: &mut Bed) {
        let other = bed.directory().join("other-key");
        match open(&bed.url, &other).await {
            Err(StoreError::WrongKey { store, key_file }) => {
                assert_eq!((store, key_file), (bed.url.to_string(), other));
            }
            outcome => panic!("{outcome:?}"),
        }
        bed.again(SOON).await.unwrap();
    }

    async fn a_store_of_a_newer_version_is_refused(bed: &mut Bed) {
        bed.raw(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 9999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
        match bed.again(SOON).await {
            Err(StoreError::Newer { found: 9999, known, .. }) => assert!(known < 9999),
            outcome => panic!("{outcome:?}"),
        }
    }

    async fn a_store_of_another_schema_is_refused(bed: &mut Bed) {
        bed.raw("UPDATE _sqlx_migrations SET checksum = (SELECT key_check FROM installation)").await;
        let outcome = bed.again(SOON).await;
        assert!(matches!(outcome, Err(StoreError::Altered { version: 1, .. })), "{outcome:?}");
    }

    async fn a_store_that_is_locked_when_it_is_opened_says_so(bed: &mut Bed) {
        let held = bed.store.begin().await.unwrap();
        let outcome = bed.again(SHORT).await;
        assert!(matches!(outcome, Err(StoreError::Locked { .. })), "{outcome:?}");
        held.commit().await.unwrap();
        bed.again(SHORT).await.unwrap();
    }

    async fn an_installation_row_that_is_spoiled_is_corrupt(bed: &mut Bed) {
        bed.raw("UPDATE installation SET id = 'XYZ'").await;
        let outcome = bed.again(SOON).await;
        assert!(matches!(outcome, Err(StoreError::Corrupt { table: "installation", .. })), "{outcome:?}");
    }
}

/// Processes that meet at the first use of an empty place: all open, and all the same installation.
async fn meet(url: StoreUrl, key: &Path) {
    open_key(key);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (url, key) = (url.clone(), key.to_owned());
            tokio::spawn(async move { open(&url, &key).await.unwrap().installation().clone() })
        })
        .collect();
    let mut ids = vec![];
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

fn open_key(key: &Path) {
    SealingKey::load_or_create(key, &mut StdRng::seed_from_u64(1)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn first_use_by_many_at_once_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..5 {
        let url = StoreUrl::file(directory.path().join(format!("state{n}/shoal.db"))).with_lock_wait(SOON);
        meet(url, &directory.path().join("key")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_use_by_many_at_once_postgres() {
    let Some(bed) = Bed::postgres().await else { return };
    bed.store.close().await;
    bed.raw("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    meet(bed.url.clone().with_lock_wait(SOON), &bed.key_file()).await;
}

#[tokio::test]
async fn a_file_is_closed_to_others() {
    let bed = Bed::sqlite().await;
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    let state = bed.directory().join("state");
    assert_eq!(mode(&state), 0o700);
    let mut files = 0;
    for entry in state.read_dir().unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files >= 2, "the file and its log");
}

#[tokio::test]
async fn what_is_no_database_is_damaged_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (path, key) = (directory.path().join("shoal.db"), directory.path().join("key"));
    for content in [b"not a database, but long enough to have a header ".repeat(100), vec![0xff; 8192]] {
        std::fs::write(&path, &content).unwrap();
        let outcome = open(&StoreUrl::file(&path), &key).await;
        assert!(matches!(outcome, Err(StoreError::Damaged { .. })), "{outcome:?}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_database_with_torn_pages_is_damaged() {
    let bed = Bed::sqlite().await;
    let mut tx = bed.store.begin().await.unwrap();
    make::admit(&mut tx, 1, &mut StdRng::seed_from_u64(1)).await;
    tx.commit().await.unwrap();
    bed.store.close().await;
    let path = bed.url.path().unwrap();
    let mut content = std::fs::read(path).unwrap();
    content[100..].fill(0x5a);
    std::fs::write(path, content).unwrap();
    let outcome = bed.again(SOON).await;
    assert!(matches!(outcome, Err(StoreError::Damaged { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_place_that_cannot_hold_a_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(directory.path().join("file"), "x").unwrap();
    for path in
        [directory.path().to_owned(), directory.path().join("file/shoal.db"), "/proc/none/shoal.db".into()]
    {
        let outcome = open(&StoreUrl::file(&path), &key).await;
        let Err(StoreError::Directory { path: named, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(named, path);
    }
}

#[tokio::test]
async fn a_key_file_open_to_others_is_never_used() {
    let bed = Bed::sqlite().await;
    std::fs::set_permissions(bed.key_file(), PermissionsExt::from_mode(0o644)).unwrap();
    let error = SealingKey::load(&bed.key_file()).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn a_server_that_refuses_or_is_not_there_is_told_apart_and_no_password_shown() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    let socket = directory.path().display().to_string();
    let url: StoreUrl = format!("postgres://{USER}:hunter2@localhost/x?host={socket}").parse().unwrap();
    let error = open(&url, &key).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(!chain(&error).contains("hunter2"));

    let Some(server) = server() else { return };
    let socket = server.socket().display();
    for target in
        [format!("{USER}:hunter2@localhost/no_such"), "nobody_such:hunter2@localhost/postgres".into()]
    {
        let url: StoreUrl = format!("postgres://{target}?host={socket}").parse().unwrap();
        let error = open(&url, &key).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
        assert!(!chain(&error).contains("hunter2"));
    }
}

#[tokio::test]
async fn a_database_that_may_not_be_written_or_used_is_told_apart() {
    let Some(bed) = Bed::postgres().await else { return };
    bed.raw(
        "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET default_transaction_read_only = on'; END $$",
    )
    .await;
    let outcome = bed.again(SOON).await;
    assert!(matches!(outcome, Err(StoreError::ReadOnly { .. })), "{outcome:?}");

    let Some(bed) = Bed::postgres().await else { return };
    let guest: StoreUrl = bed.text().replace(&format!("//{USER}:"), "//guest:").parse().unwrap();
    // What it lacks, one after the other, and what it is told to ask for.
    for (sql, advice) in [
        (
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE ROLE guest LOGIN;
             DO $$ BEGIN EXECUTE 'REVOKE CONNECT ON DATABASE ' || current_database() || ' FROM PUBLIC'; END $$",
            "GRANT CONNECT ON DATABASE",
        ),
        (
            "DO $$ BEGIN EXECUTE 'GRANT CONNECT ON DATABASE ' || current_database() || ' TO guest'; END $$",
            "GRANT USAGE, CREATE ON SCHEMA",
        ),
        ("GRANT USAGE ON SCHEMA public TO guest", "GRANT USAGE, CREATE ON SCHEMA"),
    ] {
        bed.raw(sql).await;
        let error = open(&guest, &bed.key_file()).await.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{advice}: {error:?}");
        assert!(error.to_string().contains(advice), "{error}");
    }
    // Another role makes the tables: who may only use them needs nothing more.
    bed.again(SOON).await.unwrap();
    let error = open(&guest, &bed.key_file()).await.unwrap_err();
    assert!(error.to_string().contains("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"), "{error}");
    bed.raw("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest").await;
    let store = open(&guest, &bed.key_file()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let error = tx.hosts().insert(&make::host(1)).await.unwrap_err();
    assert!(error.to_string().contains("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"), "{error}");
    drop(tx);
    bed.raw("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest").await;
    let mut tx = store.begin().await.unwrap();
    tx.hosts().insert(&make::host(1)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_pooler_that_keeps_no_transaction_together_is_told_apart() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pool = server.pool().display().to_string();
    let url: StoreUrl = format!("postgres://{USER}@localhost/each_statement?host={pool}").parse().unwrap();
    let error = open(&url, &directory.path().join("key")).await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("pool_mode = transaction"), "{error}");
}
