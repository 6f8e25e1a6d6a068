//! Errors as gRPC statuses: the one map from [`Fault`] to a code, and the text a user reads.

use shoal_docker::{EngineError, RetryClass};
use shoal_storage::StoreError;
use shoal_types::chain;
use tonic::{Code, Status};

use crate::words::fault::{After, ClusterFault, Fault, HostFault, ImageFault, PlacementFault, UserFault};

impl From<Fault> for Status {
    /// With the hint beside it, if there is one.
    fn from(fault: Fault) -> Self {
        let status = Self::new(code(&fault), chain(&fault));
        match fault.hint() {
            Ok(hint) => shoal_api::hinted(status, &hint),
            Err(_) => status,
        }
    }
}

fn code(fault: &Fault) -> Code {
    match fault {
        Fault::Field(_) | Fault::Endpoint(_) | Fault::Material(_) | Fault::Ssh(_) => Code::InvalidArgument,
        Fault::Host(fault) => host(fault),
        Fault::Agent(_) => Code::Unavailable,
        Fault::Image(fault) => image(fault),
        Fault::Placement(fault) => placement(fault),
        Fault::Cluster(fault) => cluster(fault),
        Fault::User(fault) => user(fault),
        Fault::Store(StoreError::Conflict(_)) => Code::AlreadyExists,
        Fault::Store(_) | Fault::Local { .. } => Code::Internal,
        Fault::Stopped => Code::Cancelled,
    }
}

fn user(fault: &UserFault) -> Code {
    match fault {
        UserFault::Unknown { .. } => Code::NotFound,
        UserFault::Taken { .. } => Code::AlreadyExists,
        UserFault::AdminOfRealms | UserFault::Days { .. } | UserFault::Point => Code::InvalidArgument,
        UserFault::NoCertificate => Code::FailedPrecondition,
        UserFault::Authority { .. } => Code::Internal,
    }
}

fn host(fault: &HostFault) -> Code {
    match fault {
        HostFault::Unknown { .. } => Code::NotFound,
        HostFault::Engine { source, .. } => engine(source),
        HostFault::Silent { .. } | HostFault::Lost { .. } | HostFault::NoneReachable { .. } => {
            Code::Unavailable
        }
        HostFault::Mtu { .. } => Code::ResourceExhausted,
        HostFault::NoneRegistered
        | HostFault::InUse { .. }
        | HostFault::Drained { .. }
        | HostFault::NotDraining { .. }
        | HostFault::OtherEngine { .. }
        | HostFault::Unusable { .. }
        | HostFault::NoUnderlay { .. }
        | HostFault::SameUnderlay { .. }
        | HostFault::NameHeld { .. } => Code::FailedPrecondition,
    }
}

fn engine(error: &EngineError) -> Code {
    if let EngineError::TlsRequired { .. } | EngineError::Material { .. } = error {
        return Code::InvalidArgument;
    }
    match error.class() {
        RetryClass::Retry | RetryClass::Observe => Code::Unavailable,
        RetryClass::User => Code::InvalidArgument,
        RetryClass::Fatal => Code::FailedPrecondition,
    }
}

fn image(fault: &ImageFault) -> Code {
    match fault {
        ImageFault::NoCredentials { .. } => Code::NotFound,
        ImageFault::NoSource { .. } | ImageFault::Unreadable { .. } => Code::Unavailable,
        ImageFault::NotFound { .. }
        | ImageFault::NotPulled { .. }
        | ImageFault::Differs { .. }
        | ImageFault::Disagreed { .. }
        | ImageFault::NotAsLoaded { .. }
        | ImageFault::Mistaken { .. }
        | ImageFault::AccountsDiffer { .. }
        | ImageFault::Unfit { .. } => Code::FailedPrecondition,
    }
}

fn placement(fault: &PlacementFault) -> Code {
    match fault {
        PlacementFault::Unplaceable { .. } | PlacementFault::NoAddress(_) => Code::ResourceExhausted,
        PlacementFault::Unable { .. } => Code::InvalidArgument,
        PlacementFault::PinnedNowhere { .. } => Code::NotFound,
        PlacementFault::Program { .. } | PlacementFault::NoRecord { .. } => Code::FailedPrecondition,
        PlacementFault::Record(_) => Code::Internal,
    }
}

fn cluster(fault: &ClusterFault) -> Code {
    match fault {
        ClusterFault::Unknown { .. } | ClusterFault::NoNode { .. } => Code::NotFound,
        ClusterFault::NoContainer { .. }
        | ClusterFault::NoState { .. }
        | ClusterFault::Phase { .. }
        | ClusterFault::Going { .. }
        | ClusterFault::NotKept { .. }
        | ClusterFault::NotMended { .. }
        | ClusterFault::HasJobs { .. }
        | ClusterFault::NotMoved { .. }
        | ClusterFault::PlacedByProgram { .. }
        | ClusterFault::NotHealed { .. }
        | ClusterFault::Slurm { .. }
        | ClusterFault::Stay { .. }
        | ClusterFault::Apart { .. }
        | ClusterFault::Ended { .. } => Code::FailedPrecondition,
        ClusterFault::Busy { .. } | ClusterFault::Left { .. } => Code::Aborted,
        ClusterFault::NotReady { after: After::Removed | After::Kept, .. } => Code::DeadlineExceeded,
        ClusterFault::NotReady { after: After::LeftBehind(_), .. } | ClusterFault::LeftBehind { .. } => {
            Code::Unavailable
        }
        ClusterFault::Interrupted { .. } | ClusterFault::Unfinished { .. } => Code::Cancelled,
        ClusterFault::View { .. } | ClusterFault::Render { .. } => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::hint_of;
    use shoal_docker::Endpoint;
    use shoal_storage::Conflict;

    use super::*;
    use crate::words::fault::{LostWays, NoAddress};

    #[test]
    fn each_kind_of_fault_has_its_code() {
        let name = || "dev".parse().unwrap();
        let host = || "host1".parse().unwrap();
        let field = shoal_proto::FieldError::new("spec", "wrong");
        assert_eq!(code(&Fault::from(field)), Code::InvalidArgument);
        assert_eq!(code(&Fault::Host(HostFault::Unknown { name: host() })), Code::NotFound);
        assert_eq!(code(&Fault::Host(HostFault::Silent { host: host(), seconds: 8 })), Code::Unavailable);
        assert_eq!(code(&Fault::Cluster(ClusterFault::Interrupted { cluster: name() })), Code::Cancelled);
        assert_eq!(
            code(&Fault::Placement(PlacementFault::NoAddress(NoAddress::Vni))),
            Code::ResourceExhausted
        );
        let left = Fault::Cluster(ClusterFault::LeftBehind {
            cluster: name(),
            hosts: "host1".into(),
            reason: String::new(),
        });
        assert_eq!(code(&left), Code::Unavailable);
        let endpoint: Endpoint = "tcp://10.0.0.1:2376".parse().unwrap();
        let material = EngineError::TlsRequired { endpoint: endpoint.clone() };
        assert_eq!(engine(&material), Code::InvalidArgument);
        let refused = EngineError::Refused { endpoint, source: std::io::Error::other("no") };
        assert_eq!(engine(&refused), Code::Unavailable);
    }

    fn faults() -> Vec<Fault> {
        let host = || "host1".parse().unwrap();
        let name = || "dev".parse().unwrap();
        let endpoint: shoal_docker::Endpoint = "tcp://10.0.0.1:2376".parse().unwrap();
        let refused =
            EngineError::Refused { endpoint: endpoint.clone(), source: std::io::Error::other("no") };
        let taken = Conflict::ClusterName { realm: shoal_types::RealmName::default(), name: name() };
        vec![
            shoal_proto::FieldError::new("spec", "wrong").into(),
            HostFault::Unknown { name: host() }.into(),
            ClusterFault::Unknown { realm: shoal_types::RealmName::default(), name: name() }.into(),
            ClusterFault::NoNode { cluster: name(), node: "worker-0".parse().unwrap() }.into(),
            HostFault::Silent { host: host(), seconds: 8 }.into(),
            HostFault::Mtu { host: host(), room: 1450, need: shoal_types::ClusterMtu::MOST }.into(),
            HostFault::NoneReachable { count: 2, reason: "refused".into() }.into(),
            Fault::engine(&host())(refused),
            Fault::engine(&host())(EngineError::TlsRequired { endpoint }),
            NoAddress::Vni.into(),
            ImageFault::Unfit { image: "x".into(), reason: "no slurmd".into() }.into(),
            ClusterFault::Ended { cluster: name(), how: "it was removed".into() }.into(),
            ClusterFault::NotKept { cluster: name(), phase: shoal_types::ClusterPhase::Failed }.into(),
            ClusterFault::NotMended { cluster: name(), how: "h1 did not answer".into() }.into(),
            ClusterFault::Apart { ways: LostWays::default() }.into(),
            ClusterFault::Left { cluster: name() }.into(),
            StoreError::Conflict(taken).into(),
            StoreError::Corrupt { table: "nodes", column: "state", id: "1".into() }.into(),
            Fault::Local { what: "spooling", source: std::io::Error::other("full") },
        ]
    }

    #[test]
    fn each_fault_that_a_user_can_mend_says_how_and_the_status_brings_it() {
        for fault in faults() {
            let hint = fault.hint().unwrap_or_else(|why| panic!("{fault}: {why}"));
            assert!(!hint.is_empty() && !hint.contains('\n'), "{fault}");
            assert_eq!(hint_of(&Status::from(fault)), Some(hint));
        }
    }

    #[test]
    fn those_without_say_it_themselves() {
        let text = Fault::from(HostFault::NoneRegistered).to_string();
        assert!(text.contains("`shoal register"), "{text}");
        assert!(Fault::from(HostFault::NoneRegistered).hint().is_err());
        assert_eq!(hint_of(&Status::from(Fault::Stopped)), None);
    }
}
