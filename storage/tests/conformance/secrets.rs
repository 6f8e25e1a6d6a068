//! Secrets: opened as they went in, by their kind, in their row; never readable in what the database keeps.

use proptest::{prelude::*, test_runner::TestRunner};
use rand::{SeedableRng, rngs::StdRng};
use shoal_storage::{SecretKind, StoreError};

use crate::bed::{Bed, START, on_both};

on_both! {
    async fn a_secret_opens_by_its_kind_only(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let id = tx.secrets().put(SecretKind::DockerTls, b"key", START, &mut bed.rng).await.unwrap();
        let empty = tx.secrets().put(SecretKind::ClusterSeed, b"", START, &mut bed.rng).await.unwrap();
        tx.commit().await.unwrap();
        let store = bed.again(std::time::Duration::from_secs(10)).await.unwrap();
        let mut view = store.read().await.unwrap();
        let opened = view.secrets().open(id, SecretKind::DockerTls).await.unwrap().unwrap();
        assert_eq!(opened.as_slice(), b"key");
        assert!(view.secrets().open(id, SecretKind::ClusterSeed).await.unwrap().is_none());
        assert_eq!(view.secrets().open(empty, SecretKind::ClusterSeed).await.unwrap().unwrap().as_slice(), b"");
    }

    async fn a_deleted_secret_is_gone(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let id = tx.secrets().put(SecretKind::DockerTls, b"key", START, &mut bed.rng).await.unwrap();
        tx.secrets().delete(id).await.unwrap();
        tx.secrets().delete(id).await.unwrap();
        assert!(tx.secrets().open(id, SecretKind::DockerTls).await.unwrap().is_none());
        let admitted = crate::make::admit(&mut tx, 1, &mut bed.rng).await;
        let error = tx.secrets().delete(admitted.cluster.seed).await.unwrap_err();
        assert!(matches!(error, StoreError::Referenced { .. }), "{error}");
    }

    async fn a_sealed_value_put_into_another_row_does_not_open(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let kind = SecretKind::DockerTls;
        let one = tx.secrets().put(kind, b"one", START, &mut bed.rng).await.unwrap();
        let two = tx.secrets().put(kind, b"two", START, &mut bed.rng).await.unwrap();
        tx.commit().await.unwrap();
        bed.raw("UPDATE secrets SET sealed = (SELECT sealed FROM secrets ORDER BY id LIMIT 1)").await;
        let mut view = bed.store.read().await.unwrap();
        let outcomes = [view.secrets().open(one, kind).await, view.secrets().open(two, kind).await];
        let spoiled = |o: &Result<_, StoreError>| {
            matches!(o, Err(StoreError::Corrupt { table: "secrets", column: "sealed", .. }))
        };
        assert_eq!(outcomes.iter().filter(|o| spoiled(o)).count(), 1, "{outcomes:?}");
    }
}

/// Whatever is put in, no file of the database holds it: not the file, not its log, not before or after they are joined.
#[test]
fn no_file_of_the_database_holds_a_secret() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bed = runtime.block_on(Bed::sqlite());
    let files = || {
        let state = bed.directory().join("state");
        let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry.unwrap().path()).unwrap();
        state.read_dir().unwrap().map(read).collect::<Vec<_>>()
    };
    let holds =
        |secret: &[u8]| files().iter().any(|file| file.windows(secret.len()).any(|window| window == secret));
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() });
    let strategy = (proptest::collection::vec(any::<u8>(), 8..600), any::<u64>());
    let outcome = runner.run(&strategy, |(secret, seed)| {
        runtime.block_on(async {
            let mut tx = bed.store.begin().await.unwrap();
            let mut rng = StdRng::seed_from_u64(seed);
            tx.secrets().put(SecretKind::ClusterSeed, &secret, START, &mut rng).await.unwrap();
            tx.commit().await.unwrap();
        });
        prop_assert!(!holds(&secret));
        Ok(())
    });
    outcome.unwrap();
    let word = SecretKind::ClusterSeed.as_str().as_bytes();
    assert!(holds(word), "the search finds what is in clear");
    runtime.block_on(bed.store.close());
    assert!(holds(word));
}
