//! Users of servers: made with a certificate, revoked for good, renewed while they are there.

use shoal_storage::User;
use shoal_types::{Realms, UserId, UserName, UserRole};

use crate::{
    drive::authority::{Authority, UserCertificate},
    fleet::coordinator::Coordinator,
    words::{
        entropy,
        fault::{Fault, UserFault},
    },
};

/// Longest that a certificate may hold, in days.
const MOST_DAYS: u32 = 3650;

/// What a user is to be.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) name: UserName,
    pub(crate) role: UserRole,
    pub(crate) realms: Realms,
    pub(crate) days: u32,
}

/// Makes a user, and a certificate for the key with this point; third is the authority's certificate.
///
/// # Errors
/// [`UserFault`]: what is wished cannot be. The store's.
pub(crate) async fn create(
    coordinator: &Coordinator,
    wish: Wish,
    point: &[u8],
) -> Result<(User, UserCertificate, String), Fault> {
    let Wish { name, role, realms, days } = wish;
    if role == UserRole::Admin && realms != Realms::All {
        return Err(UserFault::AdminOfRealms.into());
    }
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(UserFault::Days { days }.into());
    }
    let authority = Authority::of(coordinator).await?;
    let (now, mut rng) = (coordinator.now(), coordinator.rng());
    let id = UserId::new(now.0, entropy::draw::<10>(&mut *rng));
    let certificate = authority.user((id, &name), point, now, days, &mut *rng)?;
    let (serial, not_after) = (certificate.serial.clone(), certificate.not_after);
    let user = User { id, name, role, realms, serial, days, created: now, not_after, revoked: None };
    let mut tx = coordinator.store.begin().await?;
    if tx.users().by_name(&user.name).await?.is_some() {
        return Err(UserFault::Taken { name: user.name }.into());
    }
    tx.users().insert(&user).await?;
    tx.commit().await?;
    Ok((user, certificate, authority.pem().to_owned()))
}

/// Revokes a user; as kept afterwards.
///
/// # Errors
/// [`UserFault::Unknown`]. The store's.
pub(crate) async fn revoke(coordinator: &Coordinator, name: UserName) -> Result<User, Fault> {
    let mut tx = coordinator.store.begin().await?;
    let Some(user) = tx.users().by_name(&name).await? else {
        return Err(UserFault::Unknown { name }.into());
    };
    let now = coordinator.now();
    tx.users().revoke(&name, now).await?;
    tx.commit().await?;
    Ok(User { revoked: Some(now), ..user })
}

/// Signs another certificate for a user, which holds as long as the last one did; second is the authority's.
///
/// # Errors
/// [`UserFault`]: the user is not there any more, or the point is none. The store's.
pub(crate) async fn renew(
    coordinator: &Coordinator,
    id: UserId,
    point: &[u8],
) -> Result<(UserCertificate, String), Fault> {
    let authority = Authority::of(coordinator).await?;
    let Some(user) = coordinator.store.read().await?.users().get(id).await? else {
        return Err(UserFault::NoCertificate.into());
    };
    let (now, mut rng) = (coordinator.now(), coordinator.rng());
    let certificate = authority.user((id, &user.name), point, now, user.days, &mut *rng)?;
    let mut tx = coordinator.store.begin().await?;
    if !tx.users().renew(id, &certificate.serial, certificate.not_after).await? {
        return Err(UserFault::Unknown { name: user.name }.into());
    }
    tx.commit().await?;
    Ok((certificate, authority.pem().to_owned()))
}
