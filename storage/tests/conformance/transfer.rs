//! A store as a file and back, between the databases: nothing is lost, and what cannot be imported changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use rand::{SeedableRng as _, rngs::StdRng};
use shoal_storage::{
    Decision, ImageFacts, ImageOnHost, Import, NewRemnant, RegistryCredentials, Resource, SealingKey,
    SecretKind, StateSource, Store, StoreUrl, TransferError,
};
use shoal_types::{EventKind, EventLevel, NewEvent};

use crate::{
    bed::{Bed, START, on_both},
    make,
    users::user,
};

const NOBODY: fn(&shoal_storage::Holder) -> bool = |_| false;

/// An empty store on SQLite with the same key.
async fn empty(bed: &Bed, name: &str) -> Store {
    let url = StoreUrl::file(bed.directory().join(name).join("shoal.db"));
    Store::open(&url, bed.key(), START, &mut StdRng::seed_from_u64(9)).await.unwrap()
}

/// A store with something in every table.
async fn fill(bed: &mut Bed) {
    let mut tx = bed.store.begin().await.unwrap();
    let first = make::admit(&mut tx, 1, &mut bed.rng).await;
    let gone = make::admit(&mut tx, 2, &mut bed.rng).await;
    tx.secrets().put(SecretKind::DockerTls, b"pem", START, &mut bed.rng).await.unwrap();
    tx.users().insert(&user(1, "ann", "a,b")).await.unwrap();
    tx.users().set_authority("PEM", b"key", START, &mut bed.rng).await.unwrap();
    let node = &first.nodes[0];
    let source = StateSource { node: node.id, generation: node.generation, version: 0 };
    let packed = bed.store.pack_state(node.id, b"state", &mut bed.rng).unwrap();
    tx.state_copies().keep(&source, packed, START).await.unwrap();
    for n in 0..40 {
        let text = format!("event {n}: \"quoted\", \u{1F980}\n\t");
        let event = NewEvent::new(START, EventLevel::Info, EventKind::Step, text);
        tx.events().append(&event).await.unwrap();
    }
    let document = vec![0, 255, 10];
    tx.decisions().add(&Decision { cluster: first.cluster.id, at: START, document }).await.unwrap();
    let remnant = NewRemnant {
        host: first.host.id,
        cluster: gone.cluster.id,
        realm: gone.cluster.spec.realm.clone(),
        name: gone.cluster.spec.name.clone(),
        node: None,
        vni: gone.network.vni,
        subnet: gone.network.subnet,
        reason: "lost".into(),
        since: START,
    };
    tx.remnants().add(&remnant).await.unwrap();
    let image = ImageOnHost {
        host: first.host.id,
        reference: "a:1".into(),
        image_id: "sha256:1".into(),
        seen: START,
    };
    tx.images().add(&image).await.unwrap();
    let facts = ImageFacts {
        architecture: "amd64".into(),
        slurm_version: None,
        accounts: BTreeMap::new(),
        said_by: BTreeSet::new(),
    };
    tx.images().set_facts("sha256:1", &facts).await.unwrap();
    tx.images().set_loaded("a:1", "sha256:1", START).await.unwrap();
    let credentials =
        RegistryCredentials { username: "ann".into(), password: b"one".to_vec().into(), hosts: None };
    tx.registries().set("a.example", &credentials, START, &mut bed.rng).await.unwrap();
    let mut tx = tx.guard(&gone.lease).await.unwrap();
    tx.nodes().delete(&gone.nodes.iter().map(|n| n.id).collect::<Vec<_>>()).await.unwrap();
    tx.clusters().delete(gone.cluster.id).await.unwrap();
    tx.commit().await.unwrap();
    bed.raw("DELETE FROM events WHERE seq < 11").await;
    let text = exported(&bed.store).await.unwrap();
    assert!(tables(&text).values().all(|rows| !rows.is_empty()), "{text}");
}

async fn exported(store: &Store) -> Result<String, TransferError> {
    let mut out = Vec::new();
    store.export(&mut out, START, NOBODY).await?;
    Ok(String::from_utf8(out).unwrap())
}

/// Table -> rows, in no order; without the first line.
fn tables(text: &str) -> BTreeMap<String, BTreeSet<BTreeMap<String, String>>> {
    let (mut tables, mut columns) = (BTreeMap::<String, BTreeSet<_>>::new(), (String::new(), vec![]));
    for line in text.lines().skip(1) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(row) = line.as_array() {
            let row = columns.1.iter().cloned().zip(row.iter().map(ToString::to_string)).collect();
            tables.get_mut(&columns.0).unwrap().insert(row);
        } else if line.get("table").is_some() {
            let names = line["columns"].as_array().unwrap().iter();
            columns.0 = line["table"].as_str().unwrap().to_owned();
            columns.1 = names.map(|pair| pair[0].as_str().unwrap().to_owned()).collect();
            tables.insert(columns.0.clone(), BTreeSet::new());
        } else {
            assert!(line.get("end").is_some(), "{line}");
        }
    }
    tables
}

async fn import(store: &Store, text: &str, key: &SealingKey) -> Result<u64, TransferError> {
    let import = Import::begin(text.as_bytes(), key)?;
    Ok(import.into_store(store, START, NOBODY).await?.rows)
}

on_both! {
    /// There, to SQLite, and back into the same kind of database.
    async fn everything_goes_to_another_database_and_back(bed: &mut Bed) {
        fill(bed).await;
        let text = exported(&bed.store).await.unwrap();
        let other = empty(bed, "other").await;
        let rows = import(&other, &text, &bed.key()).await.unwrap();
        assert!(rows > 40, "{rows}");
        other.close().await;
        let other = empty(bed, "other").await;
        assert_eq!(other.installation(), bed.store.installation());
        let again = exported(&other).await.unwrap();
        assert_eq!(tables(&again), tables(&text));
        // Emptied, the first takes it back.
        bed.raw(
            "DELETE FROM events; DELETE FROM reservations; DELETE FROM nodes; DELETE FROM attachments;
             DELETE FROM networks; DELETE FROM clusters; DELETE FROM hosts; DELETE FROM registries; DELETE FROM image_facts;
             DELETE FROM loaded_images; DELETE FROM deleted_clusters; DELETE FROM users; DELETE FROM authority;
             DELETE FROM secrets",
        )
        .await;
        import(&bed.store, &again, &bed.key()).await.unwrap();
        assert_eq!(tables(&exported(&bed.store).await.unwrap()), tables(&text));
        // Numbers go on after those that came.
        let mut tx = bed.store.begin().await.unwrap();
        let event = NewEvent::new(START, EventLevel::Info, EventKind::Step, "next");
        assert_eq!(tx.events().append(&event).await.unwrap(), 41);
        tx.commit().await.unwrap();
        // And what was sealed opens.
        let mut read = bed.store.read().await.unwrap();
        let cluster = read.clusters().list().await.unwrap().remove(0);
        read.secrets().open(cluster.seed, SecretKind::ClusterSeed).await.unwrap().unwrap();
    }

    async fn every_table_is_exported(bed: &mut Bed) {
        let text = exported(&bed.store).await.unwrap();
        let exported: BTreeSet<String> = tables(&text).into_keys().collect();
        assert_eq!(exported, bed.tables().await);
    }

    async fn what_is_no_whole_export_changes_nothing(bed: &mut Bed) {
        fill(bed).await;
        let text = exported(&bed.store).await.unwrap();
        let target = empty(bed, "target").await;
        let before = exported(&target).await.unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let without = |n: usize| {
            let kept = lines.iter().enumerate().filter(|(i, _)| *i != n).map(|(_, line)| *line);
            kept.collect::<Vec<_>>().join("\n") + "\n"
        };
        let event = lines.iter().position(|line| line.contains("event 20")).unwrap();
        let mut wrong: Vec<(String, &str)> = vec![
            (String::new(), "ends after line 0"),
            ("{}\n".into(), "line 1 is not of an export"),
            ("PK\u{3}\u{4}\n".into(), "line 1 is not of an export"),
            (without(0), "line 1 is not of an export"),
            (without(1), "table installation was to follow"),
            (without(event), "rows, and had"),
            (without(lines.len() - 1), "ends after line"),
            (text.clone() + "more\n", "something follows its end"),
            (text.replace("\"shoal_store\":1", "\"shoal_store\":2"), "is of schema"),
            (text.replace("\"schema\":", "\"schema\":9"), "is of schema"),
            (text.replace("[\"name\",\"text\"]", "[\"naming\",\"text\"]"), "with the columns of this schema"),
            (text.replace("event 20", "event \u{0}"), "line"),
        ];
        for cut in [text.len() / 3, text.len() / 2, text.len() - 1] {
            wrong.push((text.chars().take(cut.min(text.chars().count() - 1)).collect(), "was cut off"));
        }
        for (text, says) in wrong {
            let error = import(&target, &text, &bed.key()).await.unwrap_err().to_string();
            assert!(error.contains(says), "{says}: {error}");
            assert_eq!(exported(&target).await.unwrap(), before, "{says}");
        }
        let mut rng = StdRng::seed_from_u64(77);
        let other = SealingKey::load_or_create(&bed.directory().join("other-key"), &mut rng).unwrap();
        let error = import(&target, &text, &other).await.unwrap_err();
        assert!(matches!(error, TransferError::WrongKey { .. }), "{error}");
        // One that is not empty, and one that is in use.
        let error = import(&bed.store, &text, &bed.key()).await.unwrap_err();
        assert!(matches!(error, TransferError::NotEmpty { table: "secrets", .. }), "{error}");
        let mut tx = target.begin().await.unwrap();
        let upkeep = Resource::task("upkeep");
        tx.leases().acquire(&upkeep, &make::holder("server"), START, make::TTL, |_| true).await.unwrap();
        tx.commit().await.unwrap();
        let import = Import::begin(text.as_bytes(), &bed.key()).unwrap();
        let error = import.into_store(&target, START, |_| true).await.unwrap_err().to_string();
        assert!(error.contains("(server) holds the lease on task/upkeep"), "{error}");
        let error = target.export(&mut Vec::new(), START, |_| true).await.unwrap_err();
        assert!(matches!(error, TransferError::InUse { .. }), "{error}");
        import_rest(&target, &text, bed).await;
    }
}

/// After all that failed, the whole one is taken.
async fn import_rest(target: &Store, text: &str, bed: &Bed) {
    import(target, text, &bed.key()).await.unwrap();
    assert_eq!(tables(&exported(target).await.unwrap()), tables(text));
}
