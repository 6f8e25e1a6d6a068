//! What an engine's event is about, if it is about anything that may have to be mended. Pure.

use shoal_docker::{ContainerAction, EngineEvent, NetworkAction};
use shoal_types::{ClusterId, ClusterName, HostId, RealmName};

use crate::words::naming::{CLUSTER, Naming};

/// What something happened to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A cluster.
    Cluster(ClusterId),
    /// A cluster, of which only the name is known.
    Named(RealmName, ClusterName),
    /// Every cluster with nodes on this host.
    Host(HostId),
}

/// What an event of a host is about. A start mends and is nothing to be mended.
pub(crate) fn subject(naming: &Naming, host: HostId, event: &EngineEvent) -> Option<Subject> {
    match event {
        EngineEvent::Container(event) => match event.action {
            ContainerAction::Start => None,
            ContainerAction::Die { .. } | ContainerAction::Destroy => match event.labels.get(CLUSTER) {
                Some(cluster) => cluster.parse().ok().map(Subject::Cluster),
                // The agent's.
                None => Some(Subject::Host(host)),
            },
        },
        EngineEvent::Network(event) => match event.action {
            NetworkAction::Disconnect | NetworkAction::Destroy => {
                naming.cluster_of_network(&event.name).map(|(realm, cluster)| Subject::Named(realm, cluster))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shoal_docker::{ContainerEvent, NetworkEvent};
    use shoal_types::{InstallationId, Timestamp};

    use super::*;
    use crate::words::naming::ROLE;

    #[test]
    fn only_what_may_have_to_be_mended_has_a_subject() {
        let naming = Naming::new(InstallationId::new([0x3f, 0xa9, 0xc1]));
        let (host, cluster) = (HostId::new(1, [1; 10]), ClusterId::new(1, [2; 10]));
        let container = |action, label: (&str, String)| {
            let labels = BTreeMap::from([(label.0.to_owned(), label.1)]);
            let event = ContainerEvent { id: "c".into(), name: "n".into(), action, labels, at: Timestamp(1) };
            subject(&naming, host, &EngineEvent::Container(event))
        };
        let of_cluster = || (CLUSTER, cluster.to_string());
        let died = ContainerAction::Die { exit_code: Some(137) };
        assert_eq!(container(died, of_cluster()), Some(Subject::Cluster(cluster)));
        assert_eq!(container(ContainerAction::Destroy, of_cluster()), Some(Subject::Cluster(cluster)));
        assert_eq!(container(ContainerAction::Start, of_cluster()), None);
        assert_eq!(container(died, (CLUSTER, "nonsense".into())), None);
        assert_eq!(container(died, (ROLE, "agent".into())), Some(Subject::Host(host)));
        let network = |name: &str, action| {
            let event = NetworkEvent { id: "n".into(), name: name.into(), action, at: Timestamp(1) };
            subject(&naming, host, &EngineEvent::Network(event))
        };
        let named = Subject::Named("default".parse().unwrap(), "dev".parse().unwrap());
        for action in [NetworkAction::Disconnect, NetworkAction::Destroy] {
            assert_eq!(network("dev.default.3fa9c1", action), Some(named.clone()));
            for other in ["bridge", "dev.default.000000", "dev.3fa9c1", "a.b.c.3fa9c1", "..3fa9c1"] {
                assert_eq!(network(other, action), None, "{other}");
            }
        }
    }
}
