//! Users: one of a name at a time, and revoked ones are told from those that come later. The authority is made once.

use shoal_storage::{StoreError, User};
use shoal_types::{Timestamp, UserId, UserRole};

use crate::bed::{START, on_both};

pub(crate) fn user(n: u8, name: &str, realms: &str) -> User {
    User {
        id: UserId::new(START.0, [n; 10]),
        name: name.parse().unwrap(),
        role: UserRole::Operator,
        realms: realms.parse().unwrap(),
        serial: format!("0{n}"),
        days: 30,
        created: START,
        not_after: Timestamp(START.0 + 1000),
        revoked: None,
    }
}

on_both! {
    async fn a_name_is_free_again_once_its_user_is_revoked(bed: &mut Bed) {
        let (first, second) = (user(1, "ann", "a,b"), user(2, "ann", ""));
        let mut tx = bed.store.begin().await.unwrap();
        tx.users().insert(&first).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = bed.store.begin().await.unwrap();
        let taken = tx.users().insert(&second).await.unwrap_err();
        assert!(matches!(taken, StoreError::Conflict(_)), "{taken}");
        drop(tx);
        let later = Timestamp(START.0 + 5);
        let mut tx = bed.store.begin().await.unwrap();
        assert!(tx.users().renew(first.id, "ff", Timestamp(START.0 + 9)).await.unwrap());
        assert!(tx.users().revoke(&first.name, later).await.unwrap());
        assert!(!tx.users().revoke(&first.name, later).await.unwrap());
        assert!(!tx.users().renew(first.id, "fe", later).await.unwrap(), "revoked ones stay so");
        tx.users().insert(&second).await.unwrap();
        tx.commit().await.unwrap();
        let store = bed.again(std::time::Duration::from_secs(10)).await.unwrap();
        let mut view = store.read().await.unwrap();
        let gone = view.users().get(first.id).await.unwrap().unwrap();
        assert_eq!((gone.revoked, gone.serial.as_str()), (Some(later), "ff"));
        assert_eq!(gone.not_after, Timestamp(START.0 + 9));
        assert_eq!(view.users().by_name(&first.name).await.unwrap(), Some(second.clone()));
        assert_eq!(view.users().list().await.unwrap(), [gone, second]);
        assert_eq!(view.users().get(UserId::new(0, [9; 10])).await.unwrap(), None);
    }

    async fn the_authority_is_made_once_and_its_key_is_sealed(bed: &mut Bed) {
        assert!(bed.store.read().await.unwrap().users().authority().await.unwrap().is_none());
        let mut tx = bed.store.begin().await.unwrap();
        tx.users().set_authority("PEM", b"key", START, &mut bed.rng).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = bed.store.begin().await.unwrap();
        assert!(tx.users().set_authority("other", b"key", START, &mut bed.rng).await.is_err());
        drop(tx);
        let (certificate, key) = bed.store.read().await.unwrap().users().authority().await.unwrap().unwrap();
        assert_eq!((certificate.as_str(), key.as_slice()), ("PEM", b"key".as_slice()));
    }
}
