//! What a coordinator answers, as types: the one place where answers become messages of the protocol, and messages answers.
//!
//! ```text
//! coordinator: answers --From--> v1 messages --TryFrom, once--> answers --serde--> published JSON (docs/schema/output)
//!                                     ^                            `-------------> texts for people (cli/src/output)
//!                                     `------ requests, by Client
//! ```
//! Both ends stand on this crate: a coordinator's services make no answer of parts, and a client names no message. An answer
//! survives the wire as it is, which a test says of each. An unknown word, a missing part and a text that is no name are a
//! [`FieldError`]; what is not known is `None`. Lists whose order is said here come in it. The answers serialise as they are
//! published: a field is added, never renamed; what is not known is `null`, an empty list `[]`; integers carry their unit in the
//! name, times are RFC 3339 in UTC. With the feature `schema` each has its schema.

mod access;
mod caller;
mod client;
mod cluster;
mod create;
mod drain;
mod error;
mod event;
mod examination;
mod exit;
mod failing;
mod healing;
mod hint;
mod host;
mod image;
mod installation;
mod placement;
mod rebalance;
mod repair;
mod result;
#[cfg(feature = "schema")]
pub mod schema;
mod status;
mod sweep;
mod user;
mod value;
mod words;

pub use access::{
    ExecFrame, ExecOpen, ExecOutput, ProxyFrame, ProxyOpen, ProxyOutput, SshAccess, TerminalSize,
};
pub use caller::{CALLER_KEY, Caller, Introduce};
pub use client::{Answers, Client};
pub use cluster::{Cluster, NamedCluster, Names, Network, Node};
pub use create::{Begun, Create, CreateStep, DeleteStep, Followed, Placed};
pub use drain::{Drain, DrainStep, DrainedCluster, MovedNode};
pub use error::ClientError;
pub use event::EventJson;
pub use examination::{Examination, Finding, HostExamination, Pair};
pub use exit::ExitClass;
pub use failing::Failing;
pub use healing::Healing;
pub use hint::{hint_of, hinted, retried, retry_of};
pub use host::{Agent, Amounts, Engine, Host, HostSettings, SshCredentials, TlsCredentials, Unregistered};
pub use image::{Image, Images, LoadFrame, LoadOpen, LoadStep, Loaded, Registry, SilentHost};
pub use installation::{Installation, Server};
pub use placement::{Candidate, Placement, PlacementReason, Plan, PlanAmounts, PlannedHost, Refusal, Rules};
pub use rebalance::{NodeMove, Rebalance, RebalanceStep, RebalancedCluster, RebalancedHost, StayingNode};
pub use repair::{Mend, Repair, RepairStep, RepairedCluster};
pub use result::{Built, Deleted, Dockerfile, Forward, ServerContext, SshConfig, Validated, Version};
pub use shoal_proto::{FRAME_BYTES, FieldError};
pub use status::{ClusterImage, HostStatus, NodeStatus, Slurm, StateCopy, Status};
pub use sweep::{ResumeStep, Resumed, ResumedCluster, Sweep, SweptHost, SweptThing, TooMuch};
pub use user::{Certificate, MadeUser, NewUser, User};
pub use value::{Cores, Time, millis, without_host};
pub use words::{
    CgroupVersion, Check, ContainerState, Filter, MendKind, NetworkPart, Phase, ResumeEnd, ServiceState,
    SweepEnd, SystemdState, ThingKind, Verdict,
};
