//! Who calls: the user of this machine, or a user of the installation who comes from elsewhere with a certificate.

use std::collections::BTreeMap;

use shoal_api::Caller;
use shoal_types::{RealmName, Realms, UserId, UserRole};
use tonic::{Request, codegen::http::Extensions, metadata::MetadataMap, transport::server::UdsConnectInfo};

/// Where a call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// This process.
    Inside,
    /// A socket of this machine.
    Socket,
    /// Elsewhere, by this user.
    Elsewhere(UserId),
}

/// Who calls, and what they may do.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    /// By name.
    pub(crate) caller: Option<Caller>,
    pub(crate) role: UserRole,
    pub(crate) realms: Realms,
    pub(crate) from: From,
}

impl Who {
    /// The user of this machine, who may do everything: from a socket it is who the kernel says, within the process who it says
    /// itself.
    pub(super) fn here(
        extensions: &Extensions,
        metadata: &MetadataMap,
        users: &BTreeMap<u32, Caller>,
    ) -> Self {
        let (caller, from) = match extensions.get::<UdsConnectInfo>() {
            Some(socket) => (socket.peer_cred.and_then(|peer| users.get(&peer.uid()).cloned()), From::Socket),
            None => (Caller::of(metadata), From::Inside),
        };
        Self { caller, role: UserRole::Admin, realms: Realms::All, from }
    }

    /// Who makes a call, as the gate has found. A call that did not come through the gate is nobody's.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        let nobody = || Self {
            caller: None,
            role: UserRole::Viewer,
            realms: Realms::Only(std::collections::BTreeSet::new()),
            from: From::Socket,
        };
        request.extensions().get().cloned().unwrap_or_else(nobody)
    }

    /// Whether the user is on this machine.
    pub(crate) fn is_here(&self) -> bool {
        !matches!(self.from, From::Elsewhere(_))
    }

    /// Whether everything may be told.
    pub(crate) fn is_admin(&self) -> bool {
        self.role == UserRole::Admin && self.realms == Realms::All
    }

    /// Whether a realm may be named.
    pub(crate) fn has(&self, realm: &RealmName) -> bool {
        self.realms.have(realm)
    }

    /// The name, for a person.
    pub(crate) fn name(&self) -> String {
        self.caller.as_ref().map_or_else(|| "somebody".into(), ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::Introduce;
    use tonic::service::Interceptor;

    use super::*;

    #[tokio::test]
    async fn a_caller_from_a_socket_is_who_the_kernel_says() {
        let (socket, _other) = tokio::net::UnixStream::pair().unwrap();
        let peer_cred = socket.peer_cred().ok();
        let uid = peer_cred.unwrap().uid();
        let said = Introduce::new(&Caller::new("mallory")).call(Request::new(())).unwrap();
        let users = BTreeMap::from([(uid, Caller::new("ann")), (uid + 1, Caller::new("bob"))]);
        let mut extensions = Extensions::new();
        let inside = Who::here(&extensions, said.metadata(), &users);
        assert_eq!((inside.name().as_str(), inside.from), ("mallory", From::Inside), "its word counts");
        extensions.insert(UdsConnectInfo { peer_addr: None, peer_cred });
        let there = Who::here(&extensions, said.metadata(), &users);
        assert_eq!((there.name().as_str(), there.from), ("ann", From::Socket));
        assert!(there.is_admin() && there.is_here());
        assert_eq!(Who::here(&extensions, said.metadata(), &BTreeMap::new()).caller, None);
    }

    #[test]
    fn a_call_that_did_not_come_through_the_gate_is_nobodys() {
        let who = Who::of(&Request::new(()));
        assert!(!who.is_admin() && !who.has(&RealmName::default()));
    }
}
