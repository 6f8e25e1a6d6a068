//! Images: what each host has, replaced list by list, and what is known of each.

use shoal_storage::{AccountIds, ImageFacts, ImageOnHost, StoreError};

use crate::{
    bed::{START, on_both},
    make,
};

fn pair(reference: &str, id: &str) -> (String, String) {
    (reference.into(), id.into())
}

on_both! {
    async fn a_list_replaces_what_a_host_had(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let (one, two) = (make::host(1), make::host(2));
        for host in [&one, &two] {
            tx.hosts().insert(host).await.unwrap();
        }
        let all = [pair("a:1", "sha256:1"), pair("b:1", "sha256:2"), pair("a:1", "sha256:3")];
        tx.images().replace(one.id, &all, START).await.unwrap();
        tx.images().replace(two.id, &all[..1], START).await.unwrap();
        let on = |host: &shoal_storage::Host, (reference, image_id)| ImageOnHost {
            host: host.id, reference, image_id, seen: START,
        };
        let (a, b) = (on(&one, pair("a:1", "sha256:3")), on(&one, pair("b:1", "sha256:2")));
        let other = on(&two, pair("a:1", "sha256:1"));
        assert_eq!(tx.images().list().await.unwrap(), [a.clone(), other.clone(), b.clone()]);
        assert_eq!(tx.images().holders("a:1").await.unwrap(), [a, other.clone()]);

        tx.images().replace(one.id, &[], START).await.unwrap();
        assert_eq!(tx.images().holders("b:1").await.unwrap(), []);
        tx.images().add(&b).await.unwrap();
        let newer = ImageOnHost { image_id: "sha256:9".into(), ..b };
        tx.images().add(&newer).await.unwrap();
        assert_eq!(tx.images().list().await.unwrap(), [other, newer]);
        tx.hosts().delete(one.id).await.unwrap();
        assert_eq!(tx.images().holders("b:1").await.unwrap(), [], "they go with their host");
        let error = tx.images().replace(one.id, &all, START).await.unwrap_err();
        assert!(matches!(error, StoreError::Referenced { .. }), "{error}");
    }

    async fn what_is_known_of_an_image_is_kept_by_its_digest(bed: &mut Bed) {
        let mut facts = ImageFacts {
            architecture: "amd64".into(),
            slurm_version: None,
            accounts: [("slurm".to_owned(), AccountIds { uid: 64030, gid: 64030 })].into(),
            said_by: [make::host(1).id].into(),
        };
        let mut tx = bed.store.begin().await.unwrap();
        assert_eq!(tx.images().facts("sha256:1").await.unwrap(), None);
        tx.images().set_facts("sha256:1", &facts).await.unwrap();
        facts.slurm_version = Some("22.05.8".into());
        tx.images().set_facts("sha256:1", &facts).await.unwrap();
        assert_eq!(tx.images().facts("sha256:1").await.unwrap(), Some(facts));
    }

    async fn what_was_loaded_last_under_a_reference_is_known(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        assert_eq!(tx.images().loaded("a:1").await.unwrap(), None);
        for id in ["sha256:1", "sha256:2"] {
            tx.images().set_loaded("a:1", id, START).await.unwrap();
        }
        tx.images().set_loaded("b:1", "sha256:1", START).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = bed.store.begin().await.unwrap();
        assert_eq!(tx.images().loaded("a:1").await.unwrap().as_deref(), Some("sha256:2"));
        tx.images().forget_loaded("a:1").await.unwrap();
        tx.images().forget_loaded("a:1").await.unwrap();
        assert_eq!(tx.images().loaded("a:1").await.unwrap(), None);
        assert_eq!(tx.images().loaded("b:1").await.unwrap().as_deref(), Some("sha256:1"));
    }

    /// Rows of earlier versions do not say who read them.
    async fn what_was_read_before_was_read_on_no_host(bed: &mut Bed) {
        bed.raw("INSERT INTO image_facts VALUES ('sha256:1', '{\"architecture\":\"amd64\",\"slurm_version\":null,\"accounts\":{}}')").await;
        let facts = bed.store.read().await.unwrap().images().facts("sha256:1").await.unwrap().unwrap();
        assert!(facts.said_by.is_empty());
    }
}
