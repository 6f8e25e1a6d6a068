//! Errors as gRPC statuses: the one map from [`Fault`] to a code, and the text a user reads.

use shoal_docker::{EngineError, RetryClass};
use shoal_storage::StoreError;
use shoal_types::chain;
use tonic::{Code, Status};

use crate::words::{
    fault::{After, Fault},
    hint::hinted,
};

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        hinted(Self::new(code(&fault), chain(&fault)), &fault)
    }
}

fn code(fault: &Fault) -> Code {
    match fault {
        Fault::Field(_) | Fault::Endpoint(_) | Fault::Material(_) => Code::InvalidArgument,
        Fault::NoHost { .. }
        | Fault::NoCluster { .. }
        | Fault::NoNode { .. }
        | Fault::NoRegistry { .. }
        | Fault::PinnedNowhere { .. } => Code::NotFound,
        Fault::NoHosts
        | Fault::HostInUse { .. }
        | Fault::OtherEngine { .. }
        | Fault::Unusable { .. }
        | Fault::Program { .. }
        | Fault::NoRecord { .. }
        | Fault::NoImage { .. } => Code::FailedPrecondition,
        Fault::BadImage { .. }
        | Fault::NotPulled { .. }
        | Fault::ImageDiffers { .. }
        | Fault::NoContainer { .. }
        | Fault::NameHeld { .. }
        | Fault::NoUnderlay { .. }
        | Fault::SameUnderlay { .. }
        | Fault::Ended { .. }
        | Fault::Phase { .. } => Code::FailedPrecondition,
        Fault::Engine { source, .. } => engine(source),
        Fault::Agent(_)
        | Fault::Silent { .. }
        | Fault::Lost { .. }
        | Fault::NoSource { .. }
        | Fault::Source { .. }
        | Fault::NoneReachable { .. }
        | Fault::LeftBehind { .. } => Code::Unavailable,
        Fault::Unplaceable { .. } | Fault::NoAddress(_) => Code::ResourceExhausted,
        Fault::Busy { .. } => Code::Aborted,
        Fault::NotReady { after: After::LeftBehind(_), .. } => Code::Unavailable,
        Fault::NotReady { after: After::Removed | After::Kept, .. } => Code::DeadlineExceeded,
        Fault::Interrupted { .. } | Fault::Stopped => Code::Cancelled,
        Fault::Store(StoreError::Conflict(_)) => Code::AlreadyExists,
        Fault::Store(_)
        | Fault::View { .. }
        | Fault::Render { .. }
        | Fault::Record(_)
        | Fault::Local { .. } => Code::Internal,
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

#[cfg(test)]
mod tests {
    use shoal_docker::Endpoint;

    use super::*;

    #[test]
    fn each_kind_of_fault_has_its_code() {
        let name = || "dev".parse().unwrap();
        let host = || "host1".parse().unwrap();
        let field = shoal_proto::FieldError::new("spec", "wrong");
        assert_eq!(code(&Fault::from(field)), Code::InvalidArgument);
        assert_eq!(code(&Fault::NoHost { name: host() }), Code::NotFound);
        assert_eq!(code(&Fault::Silent { host: host(), seconds: 8 }), Code::Unavailable);
        assert_eq!(code(&Fault::Interrupted { cluster: name() }), Code::Cancelled);
        assert_eq!(code(&Fault::NoAddress(crate::words::fault::NoAddress::Vni)), Code::ResourceExhausted);
        let left = Fault::LeftBehind { cluster: name(), hosts: "host1".into(), reason: String::new() };
        assert_eq!(code(&left), Code::Unavailable);
        let endpoint: Endpoint = "tcp://10.0.0.1:2376".parse().unwrap();
        let material = EngineError::TlsRequired { endpoint: endpoint.clone() };
        assert_eq!(engine(&material), Code::InvalidArgument);
        let refused = EngineError::Refused { endpoint, source: std::io::Error::other("no") };
        assert_eq!(engine(&refused), Code::Unavailable);
    }
}
