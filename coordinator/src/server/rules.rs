//! Who may call what: one row for each method of every service. A method without a row is not served, and a test says so first.
//!
//! ```text
//! row: method, least role, scope, time limit, whether the call is noted
//! scope: Installation               the role must hold in every realm, unless it is a look
//!        Realm(what a request names) the realm must be one of the user's
//! ```
//! A call is noted that changes what is there, or tells a secret: it becomes an audit event. An operator gets into the nodes of a
//! cluster as root, and has its keys; a viewer does not. What concerns hosts, and through them every realm, is an administrator's.

use std::time::Duration;

use prost::{DecodeError, Message};
use shoal_proto::v1;
use shoal_types::UserRole::{self, Admin, Operator, Viewer};

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// `Service/Method`, as after the package in the path of a call.
    pub(super) method: &'static str,
    /// Who may call it: this role and those after it.
    pub(super) least: UserRole,
    /// Where that role must hold.
    pub(super) scope: Scope,
    /// How long a call may take; `None`: as long as its stream.
    pub(super) limit: Option<Duration>,
    /// Whether it becomes an event.
    pub(super) noted: bool,
    /// What the first message of a call names.
    pub(super) named: fn(&[u8]) -> Result<Named, DecodeError>,
}

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The installation. What is answered is filtered where it tells of realms.
    Installation,
    /// The realm that its first message names.
    Realm,
}

/// What a request names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) realm: String,
    pub(super) cluster: String,
    /// Anything else: nodes, hosts, registries, users.
    pub(super) things: String,
}

/// A request that says what it is about.
trait Names: Message + Default {
    fn named(self) -> Named;
}

fn read<M: Names>(message: &[u8]) -> Result<Named, DecodeError> {
    M::decode(message).map(Names::named)
}

/// What requests name: realm, cluster, things.
macro_rules! names {
    ($($request:ident($r:ident) = $realm:expr, $cluster:expr, $things:expr;)*) => {$(
        impl Names for v1::$request {
            fn named(self) -> Named {
                let $r = self;
                Named { realm: $realm, cluster: $cluster, things: $things }
            }
        }
    )*};
}

/// Nothing.
const fn none() -> String {
    String::new()
}

names! {
    RegisterHostRequest(r) = none(), none(), r.name;
    UpdateHostRequest(r) = none(), none(), r.name;
    UnregisterHostRequest(r) = none(), none(), r.name;
    ListHostsRequest(_r) = none(), none(), none();
    CordonHostRequest(r) = none(), none(), r.name;
    UncordonHostRequest(r) = none(), none(), r.name;
    DrainHostRequest(r) = none(), none(), r.name;
    PlanClusterRequest(r) = of(&r.spec).0, of(&r.spec).1, none();
    ExplainPlacementRequest(r) = r.realm, r.cluster, r.node;
    CreateClusterRequest(r) = of(&r.spec).0, of(&r.spec).1, none();
    InterruptCreateRequest(r) = r.realm, none(), r.create;
    FollowClusterRequest(r) = r.realm, r.name, none();
    UpdateClusterRequest(r) = r.realm, r.name, none();
    DeleteClusterRequest(r) = r.realm, only(&r.names), r.names.join(" ");
    ListClustersRequest(r) = r.realm, none(), none();
    GetClusterRequest(r) = r.realm, r.name, none();
    ListNodesRequest(r) = r.realm, r.cluster, none();
    ListClusterNetworksRequest(r) = r.realm, none(), none();
    ListEventsRequest(r) = r.realm, r.cluster, none();
    ListNamesRequest(r) = r.realm, none(), none();
    ExecRequest(r) = opened(&r).realm, opened(&r).cluster, opened(&r).node;
    ProxyRequest(r) = tunnel(&r).realm, tunnel(&r).cluster, tunnel(&r).node;
    GetSshAccessRequest(r) = r.realm, r.cluster, none();
    LoadImageRequest(_r) = none(), none(), none();
    ListImagesRequest(_r) = none(), none(), none();
    SetRegistryRequest(r) = none(), none(), r.registry;
    RemoveRegistryRequest(r) = none(), none(), r.registry;
    ListRegistriesRequest(_r) = none(), none(), none();
    GetInstallationRequest(_r) = none(), none(), none();
    GetServerRequest(_r) = none(), none(), none();
    SetPoolsRequest(r) = none(), none(), r.pools.join(" ");
    SweepRequest(_r) = none(), none(), none();
    ResumeRequest(r) = r.realm, none(), none();
    RepairRequest(r) = r.realm, only(&r.names), r.names.join(" ");
    RotateKeysRequest(r) = r.realm, r.cluster, none();
    RebalanceRequest(r) = r.realm, only(&r.names), r.names.join(" ");
    GetStatusRequest(r) = r.realm, r.cluster, none();
    ExamineHostsRequest(r) = none(), none(), r.hosts.join(" ");
    CreateUserRequest(r) = none(), none(), r.name;
    ListUsersRequest(_r) = none(), none(), none();
    RevokeUserRequest(r) = none(), none(), r.name;
    RenewCertificateRequest(_r) = none(), none(), none();
}

fn of(spec: &Option<v1::ClusterSpec>) -> (String, String) {
    spec.as_ref().map(|spec| (spec.realm.clone(), spec.name.clone())).unwrap_or_default()
}

/// The one of a list, if it is one.
fn only(names: &[String]) -> String {
    match names {
        [name] => name.clone(),
        _ => String::new(),
    }
}

fn opened(request: &v1::ExecRequest) -> v1::ExecOpen {
    match &request.frame {
        Some(v1::exec_request::Frame::Open(open)) => open.clone(),
        Some(v1::exec_request::Frame::Stdin(_) | v1::exec_request::Frame::Resize(_)) | None => {
            v1::ExecOpen::default()
        }
    }
}

fn tunnel(request: &v1::ProxyRequest) -> v1::ProxyOpen {
    match &request.frame {
        Some(v1::proxy_request::Frame::Open(open)) => open.clone(),
        Some(v1::proxy_request::Frame::Data(_)) | None => v1::ProxyOpen::default(),
    }
}

/// How long a look may take: hosts that do not answer cost less.
const LOOK: Option<Duration> = Some(Duration::from_secs(120));
/// How long a change may take that has no stream: an agent's image may be on its way to a slow host.
const CHANGE: Option<Duration> = Some(Duration::from_secs(30 * 60));
/// As long as its stream.
const STREAM: Option<Duration> = None;

const fn look<M: Names>(method: &'static str, least: UserRole, scope: Scope) -> Rule {
    Rule { method, least, scope, limit: LOOK, noted: false, named: read::<M> }
}

const fn change<M: Names>(
    method: &'static str,
    least: UserRole,
    scope: Scope,
    limit: Option<Duration>,
) -> Rule {
    Rule { method, least, scope, limit, noted: true, named: read::<M> }
}

use Scope::{Installation, Realm};

/// The table.
pub(super) const RULES: &[Rule] = &[
    change::<v1::RegisterHostRequest>("Hosts/RegisterHost", Admin, Installation, CHANGE),
    change::<v1::UpdateHostRequest>("Hosts/UpdateHost", Admin, Installation, CHANGE),
    change::<v1::UnregisterHostRequest>("Hosts/UnregisterHost", Admin, Installation, CHANGE),
    look::<v1::ListHostsRequest>("Hosts/ListHosts", Viewer, Installation),
    change::<v1::CordonHostRequest>("Hosts/CordonHost", Admin, Installation, CHANGE),
    change::<v1::UncordonHostRequest>("Hosts/UncordonHost", Admin, Installation, CHANGE),
    change::<v1::DrainHostRequest>("Hosts/DrainHost", Admin, Installation, STREAM),
    // The scheduler may be a program, which is asked.
    look::<v1::PlanClusterRequest>("Clusters/PlanCluster", Operator, Realm),
    look::<v1::ExplainPlacementRequest>("Clusters/ExplainPlacement", Viewer, Realm),
    change::<v1::CreateClusterRequest>("Clusters/CreateCluster", Operator, Realm, CHANGE),
    change::<v1::InterruptCreateRequest>("Clusters/InterruptCreate", Operator, Realm, CHANGE),
    Rule { limit: STREAM, ..look::<v1::FollowClusterRequest>("Clusters/FollowCluster", Viewer, Realm) },
    change::<v1::UpdateClusterRequest>("Clusters/UpdateCluster", Operator, Realm, CHANGE),
    change::<v1::DeleteClusterRequest>("Clusters/DeleteCluster", Operator, Realm, STREAM),
    look::<v1::ListClustersRequest>("Clusters/ListClusters", Viewer, Realm),
    look::<v1::GetClusterRequest>("Clusters/GetCluster", Viewer, Realm),
    look::<v1::ListNodesRequest>("Clusters/ListNodes", Viewer, Realm),
    look::<v1::ListClusterNetworksRequest>("Clusters/ListNetworks", Viewer, Realm),
    look::<v1::ListEventsRequest>("Clusters/ListEvents", Viewer, Realm),
    look::<v1::ListNamesRequest>("Clusters/ListNames", Viewer, Realm),
    change::<v1::ExecRequest>("Access/Exec", Operator, Realm, STREAM),
    change::<v1::ProxyRequest>("Access/Proxy", Operator, Realm, STREAM),
    change::<v1::GetSshAccessRequest>("Access/GetSshAccess", Operator, Realm, LOOK),
    change::<v1::LoadImageRequest>("Images/LoadImage", Admin, Installation, STREAM),
    look::<v1::ListImagesRequest>("Images/ListImages", Viewer, Installation),
    change::<v1::SetRegistryRequest>("Registries/SetRegistry", Admin, Installation, CHANGE),
    change::<v1::RemoveRegistryRequest>("Registries/RemoveRegistry", Admin, Installation, CHANGE),
    look::<v1::ListRegistriesRequest>("Registries/ListRegistries", Admin, Installation),
    look::<v1::GetInstallationRequest>("Installation/GetInstallation", Viewer, Installation),
    look::<v1::GetServerRequest>("Installation/GetServer", Viewer, Installation),
    change::<v1::SetPoolsRequest>("Installation/SetPools", Admin, Installation, CHANGE),
    change::<v1::SweepRequest>("Upkeep/Sweep", Admin, Installation, CHANGE),
    change::<v1::ResumeRequest>("Upkeep/Resume", Operator, Realm, STREAM),
    change::<v1::RepairRequest>("Upkeep/Repair", Operator, Realm, STREAM),
    change::<v1::RebalanceRequest>("Upkeep/Rebalance", Operator, Realm, STREAM),
    change::<v1::RotateKeysRequest>("Upkeep/RotateKeys", Operator, Realm, STREAM),
    look::<v1::GetStatusRequest>("Insight/GetStatus", Viewer, Realm),
    // It brings agents to hosts that have none.
    change::<v1::ExamineHostsRequest>("Insight/ExamineHosts", Admin, Installation, CHANGE),
    change::<v1::CreateUserRequest>("Users/CreateUser", Admin, Installation, CHANGE),
    look::<v1::ListUsersRequest>("Users/ListUsers", Admin, Installation),
    change::<v1::RevokeUserRequest>("Users/RevokeUser", Admin, Installation, CHANGE),
    // Of the certificate that the caller has.
    change::<v1::RenewCertificateRequest>("Users/RenewCertificate", Viewer, Installation, CHANGE),
];

/// The row of a path, `/shoal.v1.Service/Method`.
pub(super) fn rule(path: &str) -> Option<&'static Rule> {
    let method = path.strip_prefix("/shoal.v1.")?;
    RULES.iter().find(|rule| rule.method == method)
}

impl Rule {
    /// The method in words: `create cluster`.
    pub(super) fn words(&self) -> String {
        let method = self.method.rsplit('/').next().unwrap_or_default();
        let mut words = String::with_capacity(method.len() + 4);
        for (at, letter) in method.char_indices() {
            if letter.is_ascii_uppercase() && at > 0 {
                words.push(' ');
            }
            words.push(letter.to_ascii_lowercase());
        }
        words
    }
}

#[cfg(test)]
mod tests;
