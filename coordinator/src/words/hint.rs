//! What a person can do about a fault, beside what its text says: the `hint:` under an error. It travels beside the status.

use shoal_docker::{EngineError, RetryClass};
use shoal_storage::{Conflict, StoreError};
use tonic::Status;

use crate::words::fault::{After, AgentError, CoordinatorError, Fault};

const SAID: &str = "its text ends with what to do";
const HOSTS: &str = "see that the engine runs and listens there; `shoal get hosts` shows which hosts answer, and why others do not";
const FREE: &str = "`shoal get hosts` shows what is free; `--dry-run` shows every refusal";

impl Fault {
    /// What to do next, or why there is nothing to be said.
    pub(crate) fn hint(&self) -> Result<String, &'static str> {
        match self {
            Self::Field(_) => Ok("`shoal COMMAND --help` says what it takes".into()),
            Self::Endpoint(_) => {
                Ok("an endpoint is unix:///path or tcp://host:port, such as tcp://10.0.0.5:2376".into())
            }
            Self::Material(_) => {
                Ok("--tls-dir takes a directory with ca.pem, cert.pem and key.pem, as docker has them".into())
            }
            Self::NoHost { .. } => Ok("`shoal get hosts` lists the hosts".into()),
            Self::NoCluster { realm, .. } => {
                Ok(format!("`shoal get clusters --realm {realm}` lists the clusters of the realm"))
            }
            Self::NoNode { cluster, .. } => Ok(format!("`shoal get nodes {cluster}` lists them")),
            Self::NoContainer { .. } => {
                Ok("`shoal get events` shows what happened; `shoal resume` finishes what was interrupted"
                    .into())
            }
            Self::Unusable { .. } => Ok("register another engine: rootful, on Linux, 20.10 or newer".into()),
            Self::Engine { source, .. } => Ok(engine(source).into()),
            Self::Silent { .. } | Self::Lost { .. } | Self::NoneReachable { .. } => Ok(HOSTS.into()),
            Self::Agent(error) => Ok(agent(error).into()),
            Self::Unplaceable { .. } => Ok(FREE.into()),
            Self::NoAddress(_) => {
                Ok("delete clusters that are not needed: `shoal get networks` lists what is taken".into())
            }
            Self::BadImage { .. } => Ok("`shoal build image` makes one that can".into()),
            Self::Phase { cluster, .. } => Ok(format!("`shoal get cluster {cluster}` shows its phase")),
            Self::NotReady { cluster, after: After::Kept, .. } => Ok(format!(
                "look into it with `shoal ssh controller.{cluster}`; `shoal delete cluster {cluster}` removes it"
            )),
            Self::NotReady { cluster, after: After::Removed, .. } => Ok(format!(
                "`shoal get events {cluster}` shows what happened; --keep-on-failure keeps its nodes, --wait gives it longer"
            )),
            Self::NotReady { cluster, after: After::LeftBehind(_), .. } => {
                Ok(format!("`shoal delete cluster {cluster}` goes on when the hosts are back"))
            }
            Self::Ended { cluster, .. } => Ok(format!("`shoal get events {cluster}` shows what happened")),
            Self::Store(error) => store(error),
            Self::Local { .. } => {
                Ok("see that this machine has room: TMPDIR names where it is spooled".into())
            }
            Self::View { .. } | Self::Render { .. } => {
                Ok("the store may be from another version: `shoal delete cluster` removes the cluster".into())
            }
            Self::Program { .. } => {
                Ok("see that it runs there; --scheduler-fallback names a strategy for when it cannot".into())
            }
            Self::Record(_) => {
                Ok("the store may be from another version: the next cluster of that name is recorded anew"
                    .into())
            }
            Self::Source { .. } => {
                Ok("`shoal get images` shows who has it; the next try takes another".into())
            }
            Self::NotPulled { .. }
            | Self::NoSource { .. }
            | Self::ImageDiffers { .. }
            | Self::PinnedNowhere { .. }
            | Self::NoRecord { .. }
            | Self::NoRegistry { .. }
            | Self::NoHosts
            | Self::HostInUse { .. }
            | Self::OtherEngine { .. }
            | Self::SameUnderlay { .. }
            | Self::NoImage { .. }
            | Self::NoUnderlay { .. }
            | Self::Busy { .. }
            | Self::LeftBehind { .. }
            | Self::NameHeld { .. } => Err(SAID),
            Self::Interrupted { .. } | Self::Stopped => Err("the user wanted it so"),
        }
    }
}

fn engine(error: &EngineError) -> &'static str {
    if let EngineError::Tls { .. } | EngineError::TlsRequired { .. } | EngineError::Material { .. } = error {
        return "--tls-dir takes a directory with ca.pem, cert.pem and key.pem, as docker has them; `shoal set host` changes them";
    }
    if let EngineError::TooOld { .. } | EngineError::NotDocker { .. } = error {
        return "name the endpoint of a Docker Engine, 20.10 or newer";
    }
    match error.class() {
        RetryClass::Retry | RetryClass::Observe => HOSTS,
        RetryClass::User => "`shoal COMMAND --help` says what it takes",
        RetryClass::Fatal => "the log of that engine says more: `journalctl -u docker` on the host",
    }
}

fn agent(error: &AgentError) -> &'static str {
    match error {
        AgentError::Engine { source, .. } => engine(source),
        AgentError::Binary { .. } => "--agent-binary names the `shoal` for hosts of another architecture",
        AgentError::Contended { .. } => "use one version of `shoal` with one store",
        AgentError::Greeting { .. } | AgentError::Channel { .. } | AgentError::Call { .. } => {
            "`docker logs` of the container shoal-agent on that host says more; the next command brings a new agent"
        }
    }
}

fn store(error: &StoreError) -> Result<String, &'static str> {
    match error {
        StoreError::Conflict(Conflict::ClusterName { name, .. }) => {
            Ok(format!("choose another name, or remove that one: `shoal delete cluster {name}`"))
        }
        StoreError::Conflict(_) => {
            Ok("`shoal get hosts -o wide` lists what is registered; `shoal unregister HOST` forgets one"
                .into())
        }
        StoreError::Directory { .. } => Ok("name another with --state-dir or --store".into()),
        StoreError::Unreachable { .. } => Ok("see that the database runs and listens there".into()),
        StoreError::Altered { .. } => Ok("name another with --state-dir or --store".into()),
        StoreError::Referenced { .. }
        | StoreError::Missing { .. }
        | StoreError::Stale { .. }
        | StoreError::LeaseLost { .. }
        | StoreError::Aborted { .. } => {
            Ok("another process changed it at the same time: run the command once more".into())
        }
        StoreError::Corrupt { .. } => Ok("restore a copy of the store".into()),
        StoreError::Encode { .. } | StoreError::Query { .. } => {
            Ok("run it once more; -vv shows what was asked of the store".into())
        }
        StoreError::Locked { .. }
        | StoreError::ReadOnly { .. }
        | StoreError::Full { .. }
        | StoreError::Damaged { .. }
        | StoreError::Newer { .. }
        | StoreError::WrongKey { .. }
        | StoreError::Refused { .. } => Err(SAID),
    }
}

impl CoordinatorError {
    /// What to do next, or why there is nothing to be said.
    ///
    /// # Errors
    /// Why there is nothing.
    pub fn hint(&self) -> Result<String, &'static str> {
        match self {
            Self::StoreUrl(_) => {
                Ok("a store is postgres://USER@HOST/DATABASE or the path of an SQLite file".into())
            }
            Self::StateDir { .. } => Ok("name another with --state-dir or SHOAL_STATE_DIR".into()),
            Self::Key(_) => {
                Ok("SHOAL_KEY_FILE names the key the store was made with, 32 bytes with mode 0600".into())
            }
            Self::Store(error) => store(error),
            Self::Holder(_) => Ok("see that /proc is mounted".into()),
            Self::Channel(_) => Ok("run it once more; -vv shows more".into()),
        }
    }
}

/// A status with the hint of its fault.
pub(crate) fn hinted(status: Status, fault: &Fault) -> Status {
    match fault.hint() {
        Ok(hint) => shoal_api::hinted(status, &hint),
        Err(_) => status,
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::hint_of;

    use super::*;

    fn faults() -> Vec<Fault> {
        let host = || "host1".parse().unwrap();
        let name = || "dev".parse().unwrap();
        let endpoint: shoal_docker::Endpoint = "tcp://10.0.0.1:2376".parse().unwrap();
        let refused =
            EngineError::Refused { endpoint: endpoint.clone(), source: std::io::Error::other("no") };
        let taken = Conflict::ClusterName { realm: shoal_types::RealmName::default(), name: name() };
        vec![
            shoal_proto::FieldError::new("spec", "wrong").into(),
            Fault::NoHost { name: host() },
            Fault::NoCluster { realm: shoal_types::RealmName::default(), name: name() },
            Fault::NoNode { cluster: name(), node: "worker-0".parse().unwrap() },
            Fault::Silent { host: host(), seconds: 8 },
            Fault::NoneReachable { count: 2, reason: "refused".into() },
            Fault::engine(&host())(refused),
            Fault::engine(&host())(EngineError::TlsRequired { endpoint }),
            Fault::NoAddress(crate::words::fault::NoAddress::Vni),
            Fault::BadImage { image: "x".into(), reason: "no slurmd".into() },
            Fault::Ended { cluster: name(), how: "it was removed".into() },
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
        let text = Fault::NoHosts.to_string();
        assert!(text.contains("`shoal register"), "{text}");
        assert_eq!(Fault::NoHosts.hint(), Err(SAID));
        assert_eq!(hint_of(&Status::from(Fault::Stopped)), None);
    }
}
