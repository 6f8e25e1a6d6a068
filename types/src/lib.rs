//! The words of Shoal: ids, names, units, specifications and states. No I/O, no clock, no randomness.
//!
//! Every other crate depends on this one and speaks in these types; text and integers from outside become one of
//! them at the edge, once, and are valid from then on.

mod chain;
mod clock;
mod cluster;
mod event;
mod expr;
mod healing;
mod host;
mod ids;
mod image;
mod label;
mod mtu;
mod name;
pub mod natural;
mod net;
mod node;
mod node_slurm;
pub mod nodeset;
mod placing;
mod pool;
mod restarts;
mod scheduler;
mod settings;
mod size;
mod spec;
mod ssh;
mod ttl;
mod units;
mod user;

pub use chain::chain;
pub use clock::{Clock, SystemClock, Timestamp};
pub use cluster::{ClusterPhase, InvalidTransition, PhaseChange};
pub use event::{Event, EventKind, EventLevel, NewEvent, Progress};
pub use expr::{LabelExpr, LabelExprError};
pub use healing::{
    Copied, CopyPeriod, CopyPeriodError, Heal, HealAfter, HealAfterError, Healing, HealingChange,
    HealingPolicy, HealingPolicyError,
};
pub use host::{
    AgentState, Capacity, CgroupWay, Diversion, EngineFacts, HostFacts, HostState, Overcommit,
    PrivilegedNodes, PrivilegedNodesError, Resources, Scheduling, SchedulingError,
};
pub use ids::{
    ClusterId, Epoch, Generation, HostId, IdError, InstallationId, NetworkId, NodeId, Revision, SecretId,
    UserId,
};
pub use image::ImageRef;
pub use label::{LabelError, LabelKey, LabelValue, Labels};
pub use mtu::{ClusterMtu, HostMtu, MtuError, MtuSetting, MtuSettingError, VXLAN_OVERHEAD};
pub use name::{ClusterName, ContextName, HostName, NameError, NodeName, RealmName, UserName};
pub use net::{DNS_ZONE, MacAddr, MacError, SubnetPlan, Vni, VniError, digest_of_addresses, node_fqdn};
pub use node::{NodeState, Power, Role, RoleCount, RoleError};
pub use node_slurm::{Feature, FeatureError, Gres, GresError, MAX_GRES, NodeSlurm, NodeSlurmError};
pub use placing::{MAX_SCHEDULER_TIMEOUT_MS, Pin, PinError, Placing, PlacingError, SCHEDULER_TIMEOUT_MS};
pub use pool::{PoolError, Pools};
pub use restarts::{Next, NodeEnd, Restarts, Seen, next};
pub use scheduler::{SchedulerAddress, SchedulerError, SchedulerName, Strategy};
pub use settings::{SettingsDigest, SettingsDigestError};
pub use size::NodeSize;
pub use spec::{
    ClusterSpec, DEFAULT_MEMORY_LIMIT, DEFAULT_RESERVED_CPU, DEFAULT_RESERVED_MEMORY, DEFAULT_TMP_SIZE,
    MAIN_FRAGMENT, MIN_MEMORY, NodeGroup, Profile, SlurmSpec, SpecError, SpecNode, TextPlace,
};
pub use ssh::{SshKeyError, SshPublicKey};
pub use ttl::{Expiry, Ttl, TtlError};
pub use units::{Bytes, MilliCpu, UnitError};
pub use user::{Realms, UserRole, UserRoleError};
