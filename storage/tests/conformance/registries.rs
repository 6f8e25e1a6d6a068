//! Registries: credentials set, replaced and forgotten together with their passwords.

use shoal_storage::{Registry, RegistryCredentials, SecretKind};
use shoal_types::LabelExpr;

use crate::bed::{START, on_both};

on_both! {
    async fn credentials_are_replaced_and_forgotten_whole(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        for (registry, user, password) in
            [("b.example:5000", "ann", "one"), ("a.example", "bob", "two"), ("b.example:5000", "eve", "three")]
        {
            let credentials = RegistryCredentials {
                username: user.into(),
                password: password.as_bytes().to_vec().into(),
                hosts: (user == "eve").then(|| "trusted".parse().unwrap()),
            };
            tx.registries().set(registry, &credentials, START, &mut bed.rng).await.unwrap();
        }
        tx.commit().await.unwrap();
        let store = bed.again(std::time::Duration::from_secs(10)).await.unwrap();
        let mut view = store.read().await.unwrap();
        let listed: Vec<Registry> = view.registries().list().await.unwrap();
        let hosts = |hosts: &Option<LabelExpr>| hosts.as_ref().map(ToString::to_string);
        let named: Vec<_> =
            listed.iter().map(|r| (r.registry.as_str(), r.username.as_str(), hosts(&r.hosts))).collect();
        assert_eq!(named, [("a.example", "bob", None), ("b.example:5000", "eve", Some("trusted".into()))]);
        let known = view.registries().credentials("b.example:5000").await.unwrap().unwrap();
        assert_eq!((known.username.as_str(), known.password.as_slice()), ("eve", b"three".as_slice()));
        assert_eq!(hosts(&known.hosts).as_deref(), Some("trusted"));
        assert!(view.registries().credentials("c.example").await.unwrap().is_none());
        drop(view);
        let mut tx = store.begin().await.unwrap();
        let kept = listed[1].password;
        assert!(tx.secrets().delete(kept).await.is_err(), "a password in use stays");
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.registries().remove("b.example:5000").await.unwrap());
        assert!(!tx.registries().remove("b.example:5000").await.unwrap());
        assert!(tx.secrets().open(kept, SecretKind::RegistryPassword).await.unwrap().is_none());
        tx.commit().await.unwrap();
    }
}
