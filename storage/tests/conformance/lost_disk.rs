//! A disk that is full or read-only: said so, nothing half written, and all well again once it is mended.
//!
//! Each test runs on a thread with a mount namespace of its own (which needs root), so that what it mounts is seen by
//! nobody else and goes with the thread. The threads of SQLite are started from it and share the namespace.

use std::{convert::Infallible, path::Path};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};
use rand::{SeedableRng, rngs::StdRng};
use shoal_storage::{SealingKey, Store, StoreError, StoreUrl};
use shoal_types::{EventKind, EventLevel, NewEvent};

use crate::bed::START;

/// Runs `test` with a directory of its own on a file system of `kib` KiB.
fn on_small_disk<F: Future<Output = ()>>(
    kib: u32,
    test: impl FnOnce(std::path::PathBuf) -> F + Send + 'static,
) {
    if !geteuid().is_root() {
        println!("skipped: needs root, to mount a file system");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let size = format!("size={kib}k");
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(path));
    });
    thread.join().unwrap();
}

fn remount(path: &Path, flags: MsFlags) {
    let none: Option<&str> = None;
    mount(none, path, none, MsFlags::MS_REMOUNT | flags, none).unwrap();
}

async fn open(directory: &Path) -> Result<Store, StoreError> {
    let mut rng = StdRng::seed_from_u64(1);
    let key = directory.join("key");
    let key = SealingKey::load_or_create(&key, &mut rng).unwrap();
    Store::open(&StoreUrl::file(directory.join("shoal.db")), key, START, &mut rng).await
}

/// Writes until it can no more.
async fn fill(store: &Store) -> Result<Infallible, StoreError> {
    let event = NewEvent {
        at: START,
        level: EventLevel::Info,
        kind: EventKind::Step,
        cluster: None,
        node: None,
        host: None,
        message: "x".repeat(30_000),
        progress: None,
        user: None,
    };
    loop {
        let mut tx = store.begin().await?;
        tx.events().append(&event).await?;
        tx.commit().await?;
    }
}

#[test]
fn a_full_disk_is_said_and_survived() {
    on_small_disk(2048, |directory| async move {
        let store = open(&directory).await.unwrap();
        let error = fill(&store).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        let before = store.read().await.unwrap().events().latest_seq().await.unwrap();
        assert!(before > 0, "what was committed before is there");
        store.close().await;

        let error = fill(&open(&directory).await.unwrap()).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "still: {error:?}");
        let none: Option<&str> = None;
        mount(none, &directory, none, MsFlags::MS_REMOUNT, Some("size=8192k")).unwrap();
        let store = open(&directory).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let version = tx.placement_version().await.unwrap();
        tx.bump_placement_version(version).await.unwrap();
        tx.commit().await.unwrap();
    });
}

#[test]
fn no_room_for_a_new_store_is_said() {
    on_small_disk(16, |directory| async move {
        let error = open(&directory).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    });
}

#[test]
fn a_read_only_disk_is_said() {
    on_small_disk(2048, |directory| async move {
        let key = directory.join("key");
        SealingKey::load_or_create(&key, &mut StdRng::seed_from_u64(1)).unwrap();
        remount(&directory, MsFlags::MS_RDONLY);
        let error = open(&directory).await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "new: {error:?}");
        remount(&directory, MsFlags::empty());
        open(&directory).await.unwrap().close().await;
        remount(&directory, MsFlags::MS_RDONLY);
        let error = open(&directory).await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "existing: {error:?}");
        assert!(error.to_string().contains(&directory.display().to_string()));
    });
}
