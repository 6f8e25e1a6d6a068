//! Who is connected from elsewhere: how many there may be, and whose connection ends because they may not be there any more.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use shoal_storage::User;
use shoal_types::{Realms, UserId, UserRole};
use tokio_util::sync::CancellationToken;

use crate::fleet::coordinator::Coordinator;

/// Connections of one address whose handshake is under way.
const HANDSHAKES: usize = 16;
/// Connections of one user.
const OF_A_USER: usize = 64;
/// How often the store is asked who may still be there.
const LOOK: Duration = Duration::from_secs(1);
/// How long a connection stays that is only told why it is not served.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Everybody who is connected.
#[derive(Debug)]
pub(super) struct Peers {
    most: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    seats: HashMap<u64, Seated>,
}

/// One connection.
#[derive(Debug)]
struct Seated {
    address: IpAddr,
    /// Known once the handshake has ended, with what the user may do.
    user: Option<(UserId, UserRole, Realms)>,
    gone: CancellationToken,
}

/// A connection's place among all; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    peers: Arc<Peers>,
    number: u64,
    gone: CancellationToken,
}

/// Who a connection is of, for every call on it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    user: UserId,
    refused: Option<&'static str>,
}

impl Peer {
    /// Whose certificate it was.
    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    /// Why nothing is served on this connection, if so.
    pub(crate) fn refused(&self) -> Option<&'static str> {
        self.refused
    }
}

impl Peers {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, table: Mutex::default() })
    }

    /// A place for a connection, if there is one.
    pub(super) fn seat(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let shaking = table.seats.values().filter(|seat| seat.user.is_none() && seat.address == address);
        // A few more than are served: they are told so.
        if shaking.count() >= HANDSHAKES || table.seats.len() >= self.most.saturating_add(HANDSHAKES) {
            return None;
        }
        let (number, gone) = (table.next, CancellationToken::new());
        table.next += 1;
        table.seats.insert(number, Seated { address, user: None, gone: gone.clone() });
        Some(Seat { peers: self.clone(), number, gone })
    }

    fn each(&self, mut look: impl FnMut(&Seated)) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.seats.values().for_each(&mut look);
    }

    /// Ends connections of users who are revoked, or may do something else than when they came.
    fn review(&self, users: &[User]) {
        let now: BTreeMap<_, _> = users
            .iter()
            .filter(|user| user.revoked.is_none())
            .map(|user| (user.id, (user.role, &user.realms)))
            .collect();
        self.each(|seat| {
            if let Some((id, role, realms)) = &seat.user
                && now.get(id) != Some(&(*role, realms))
            {
                seat.gone.cancel();
            }
        });
    }

    /// Looks who may still be there, until everything ends.
    pub(super) async fn watch(self: Arc<Self>, coordinator: Arc<Coordinator>) {
        loop {
            tokio::select! {
                () = coordinator.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let mut known = false;
            self.each(|seat| known |= seat.user.is_some());
            if !known {
                continue;
            }
            let users = async { coordinator.store.read().await?.users().list().await };
            match users.await {
                Ok(users) => self.review(&users),
                // Every call asks, too: nothing new begins meanwhile.
                Err(error) => tracing::warn!(%error, "who may be connected is not known"),
            }
        }
    }
}

impl Seat {
    /// What the connection ends with.
    pub(super) fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// Whose it is, as the store has them; who is none of them is told so, and hung up on.
    pub(super) fn of(&self, id: UserId, user: Option<User>) -> Peer {
        let mut table = self.peers.table.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |seat: &&Seated| seat.user.as_ref().is_some_and(|(of, ..)| *of == id);
        let (all, own) = (table.seats.len(), table.seats.values().filter(same).count());
        let refused = match () {
            () if all > self.peers.most => Some("the server has as many connections as it takes"),
            () if own >= OF_A_USER => Some("you have as many connections to this server as a user may have"),
            () => None,
        };
        match user.filter(|user| user.revoked.is_none() && refused.is_none()) {
            Some(user) => {
                if let Some(seat) = table.seats.get_mut(&self.number) {
                    seat.user = Some((user.id, user.role, user.realms));
                }
            }
            None => {
                let gone = self.gone.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(LAST_WORDS).await;
                    gone.cancel();
                });
            }
        }
        Peer { user: id, refused }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.peers.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::Timestamp;

    use super::*;

    fn user(n: u8) -> User {
        User {
            id: UserId::new(0, [n; 10]),
            name: "ann".parse().unwrap(),
            role: UserRole::Operator,
            realms: Realms::All,
            serial: String::new(),
            days: 1,
            created: Timestamp(0),
            not_after: Timestamp(0),
            revoked: None,
        }
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_user_who_is_revoked_or_changed_is_hung_up_on_and_nobody_else() {
        let peers = Peers::new(8);
        let (ann, bob) = (user(1), user(2));
        let seats: Vec<_> = (0..3).map(|_| peers.seat(HERE).unwrap()).collect();
        seats[0].of(ann.id, Some(ann.clone()));
        seats[1].of(bob.id, Some(bob.clone()));
        let ended = || seats.iter().map(|seat| seat.gone().is_cancelled()).collect::<Vec<_>>();
        peers.review(&[ann.clone(), bob.clone()]);
        assert_eq!(ended(), [false, false, false]);
        peers.review(&[ann.clone(), User { role: UserRole::Viewer, ..bob.clone() }]);
        assert_eq!(ended(), [false, true, false]);
        peers.review(&[User { revoked: Some(Timestamp(5)), ..ann }, bob]);
        assert_eq!(ended(), [true, true, false], "one whose handshake is under way stays");
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_is_told_so_and_then_closed() {
        let peers = Peers::new(2);
        let ann = user(1);
        let mut seats: Vec<_> = (0..3).map(|_| peers.seat(HERE).unwrap()).collect();
        let told: Vec<_> =
            seats.iter().take(2).map(|seat| seat.of(ann.id, Some(ann.clone())).refused()).collect();
        assert!(told.iter().all(Option::is_some), "three are there, two are served: {told:?}");
        seats.truncate(2);
        assert!(seats[0].of(ann.id, Some(ann.clone())).refused().is_none());
        drop(seats);
        let seat = peers.seat(HERE).unwrap();
        seat.of(ann.id, None);
        tokio::time::timeout(LAST_WORDS * 2, seat.gone().cancelled()).await.unwrap();
        // Handshakes of one address take no place from others.
        let many: Vec<_> = std::iter::from_fn(|| peers.seat(HERE)).take(100).collect();
        assert!(many.len() < 100);
        assert!(many.len() < HANDSHAKES + 1);
    }
}
