//! A client of a coordinator, in this process or elsewhere: requests go as messages, answers come as types.

use std::{fmt, pin::Pin};

use futures_util::{Stream, StreamExt};
use shoal_proto::{
    FieldError, Word,
    v1::{
        self, access_client::AccessClient, clusters_client::ClustersClient, hosts_client::HostsClient,
        images_client::ImagesClient, insight_client::InsightClient, installation_client::InstallationClient,
        registries_client::RegistriesClient, upkeep_client::UpkeepClient, users_client::UsersClient,
    },
};
use shoal_types::{
    ClusterName, ClusterSpec, CopyPeriod, Event, HealAfter, HealingChange, HostName, LabelExpr, NodeName,
    RealmName, Ttl, UserName,
};
use tonic::{Streaming, service::interceptor::InterceptedService, transport::Channel};

use crate::{
    Begun, Caller, Certificate, ClientError, Cluster, Create, CreateStep, DeleteStep, DrainStep, Examination,
    ExecFrame, ExecOutput, Followed, Host, HostSettings, Images, Installation, Introduce, LoadFrame,
    LoadStep, MadeUser, Names, Network, NewUser, Node, PlacementReason, Plan, ProxyFrame, ProxyOutput,
    RebalanceStep, Registry, RepairStep, ResumeStep, Server, SshAccess, Status, Sweep, Unregistered, User,
    value::{all, need},
};

/// Most bytes of one answer: the list of a realm with ten of the largest clusters.
const MAX_ANSWER_BYTES: usize = 64 << 20;

type Named = InterceptedService<Channel, Introduce>;

/// A client; it is cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Named,
    is_elsewhere: bool,
}

/// Answers that come one after the other; dropped, they are not wanted any more.
pub struct Answers<T>(Pin<Box<dyn Stream<Item = Result<T, ClientError>> + Send>>);

impl<T> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

impl<T> Answers<T> {
    fn of<M: Send + 'static>(messages: Streaming<M>) -> Self
    where
        T: TryFrom<M, Error = FieldError> + 'static,
    {
        let read = |message: Result<M, tonic::Status>| Ok(T::try_from(message?)?);
        Self(Box::pin(messages.map(read)))
    }

    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError`]: the call failed, which ends it, or the answer cannot be read.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        self.0.next().await.transpose()
    }
}

/// A name, empty where none is meant.
fn named<T: ToString>(name: Option<&T>) -> String {
    name.map(ToString::to_string).unwrap_or_default()
}

/// Every method asks once. An error is a [`ClientError`]: the coordinator refuses, and says why, or its answer cannot be read.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
impl Client {
    /// A client on a channel, of a caller.
    #[must_use]
    pub fn new(channel: Channel, caller: &Caller) -> Self {
        Self { channel: InterceptedService::new(channel, Introduce::new(caller)), is_elsewhere: false }
    }

    /// The same of a coordinator on another machine: paths and sockets of this one mean nothing there.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        Self { is_elsewhere: true, ..self }
    }

    /// Whether the coordinator is on another machine.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    fn hosts(&self) -> HostsClient<Named> {
        HostsClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn clusters(&self) -> ClustersClient<Named> {
        ClustersClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn access(&self) -> AccessClient<Named> {
        AccessClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn upkeep(&self) -> UpkeepClient<Named> {
        UpkeepClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn insight(&self) -> InsightClient<Named> {
        InsightClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn images(&self) -> ImagesClient<Named> {
        ImagesClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn installations(&self) -> InstallationClient<Named> {
        InstallationClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn registries(&self) -> RegistriesClient<Named> {
        RegistriesClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn users(&self) -> UsersClient<Named> {
        UsersClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Registers a host.
    pub async fn register_host(
        &self,
        name: &HostName,
        endpoint: String,
        settings: HostSettings,
    ) -> Result<Host, ClientError> {
        let request = settings.register(name.to_string(), endpoint);
        let answer = self.hosts().register_host(request).await?.into_inner();
        Ok(need("host", answer.host)?.try_into()?)
    }

    /// Changes a host; what is `None` stays as it is.
    pub async fn update_host(
        &self,
        name: &HostName,
        endpoint: Option<String>,
        settings: HostSettings,
    ) -> Result<Host, ClientError> {
        let answer =
            self.hosts().update_host(settings.update(name.to_string(), endpoint)).await?.into_inner();
        Ok(need("host", answer.host)?.try_into()?)
    }

    /// Keeps new nodes off a host.
    pub async fn cordon_host(&self, name: &HostName) -> Result<Host, ClientError> {
        let request = v1::CordonHostRequest { name: name.to_string() };
        let answer = self.hosts().cordon_host(request).await?.into_inner();
        Ok(need("host", answer.host)?.try_into()?)
    }

    /// Places nodes on a host again.
    pub async fn uncordon_host(&self, name: &HostName) -> Result<Host, ClientError> {
        let request = v1::UncordonHostRequest { name: name.to_string() };
        let answer = self.hosts().uncordon_host(request).await?.into_inner();
        Ok(need("host", answer.host)?.try_into()?)
    }

    /// Moves all nodes of a host to others; jobs are waited for so long, in milliseconds, 0 without limit.
    pub async fn drain_host(
        &self,
        name: &HostName,
        dry_run: bool,
        now: bool,
        timeout_ms: u64,
    ) -> Result<Answers<DrainStep>, ClientError> {
        let request = v1::DrainHostRequest { name: name.to_string(), dry_run, now, timeout_ms };
        Ok(Answers::of(self.hosts().drain_host(request).await?.into_inner()))
    }

    /// Forgets a host.
    pub async fn unregister_host(&self, name: &HostName, force: bool) -> Result<Unregistered, ClientError> {
        let request = v1::UnregisterHostRequest { name: name.to_string(), force };
        let answer = self.hosts().unregister_host(request).await?.into_inner();
        Ok(Unregistered::read(name.to_string(), answer))
    }

    /// Hosts for which all expressions hold, each asked now.
    pub async fn list_hosts(&self, labels: &[LabelExpr]) -> Result<Vec<Host>, ClientError> {
        let label_exprs = labels.iter().map(ToString::to_string).collect();
        let answer = self.hosts().list_hosts(v1::ListHostsRequest { label_exprs }).await?.into_inner();
        Ok(all(answer.hosts)?)
    }

    /// Where a cluster would go.
    pub async fn plan_cluster(&self, spec: &ClusterSpec) -> Result<Plan, ClientError> {
        let request = v1::PlanClusterRequest { spec: Some(spec.into()) };
        Ok(self.clusters().plan_cluster(request).await?.into_inner().try_into()?)
    }

    /// Why a node is where it is.
    pub async fn explain_placement(
        &self,
        realm: &RealmName,
        cluster: &ClusterName,
        node: &NodeName,
    ) -> Result<PlacementReason, ClientError> {
        let (realm, cluster, node) = (realm.to_string(), cluster.to_string(), node.to_string());
        let request = v1::ExplainPlacementRequest { realm, cluster, node };
        Ok(self.clusters().explain_placement(request).await?.into_inner().try_into()?)
    }

    /// Begins a create, which goes on by itself once this returns; dropped before, it is rolled back.
    pub async fn create_cluster(&self, create: Create) -> Result<Begun, ClientError> {
        let request = v1::CreateClusterRequest::from(create);
        Ok(self.clusters().create_cluster(request).await?.into_inner().try_into()?)
    }

    /// Rolls back a create that was begun; [`Client::follow_cluster`] shows how.
    pub async fn interrupt_create(&self, realm: &RealmName, begun: &Begun) -> Result<(), ClientError> {
        let request = v1::InterruptCreateRequest { create: begun.create.clone(), realm: realm.to_string() };
        self.clusters().interrupt_create(request).await?;
        Ok(())
    }

    /// Follows a create to its end; to stop following changes nothing.
    pub async fn follow_cluster(
        &self,
        realm: &RealmName,
        name: &ClusterName,
        which: Followed,
    ) -> Result<Answers<CreateStep>, ClientError> {
        let request = which.request(realm, name);
        Ok(Answers::of(self.clusters().follow_cluster(request).await?.into_inner()))
    }

    /// Changes how a cluster heals by itself, and how long it lives from now on; what is `None` stays as it is.
    pub async fn update_cluster(
        &self,
        realm: &RealmName,
        name: &ClusterName,
        change: HealingChange,
        ttl: Option<Option<Ttl>>,
    ) -> Result<Cluster, ClientError> {
        let request = v1::UpdateClusterRequest {
            realm: realm.to_string(),
            name: name.to_string(),
            healing_policy: change.policy.map(Word::wire),
            heal_after_ms: change.after_ms.map(HealAfter::as_millis),
            copies_ms: change.copies_ms.map(CopyPeriod::as_millis),
            ttl_ms: ttl.map(|ttl| ttl.map_or(0, Ttl::as_millis)),
        };
        let answer = self.clusters().update_cluster(request).await?.into_inner();
        Ok(need("cluster", answer.cluster)?.try_into()?)
    }

    /// Deletes clusters of a realm, all if `None`, and follows that; it goes on whoever listens.
    pub async fn delete_clusters(
        &self,
        realm: &RealmName,
        names: Option<&[ClusterName]>,
    ) -> Result<Answers<DeleteStep>, ClientError> {
        let request = v1::DeleteClusterRequest {
            realm: realm.to_string(),
            names: names.unwrap_or_default().iter().map(ToString::to_string).collect(),
            all: names.is_none(),
        };
        Ok(Answers::of(self.clusters().delete_cluster(request).await?.into_inner()))
    }

    /// Clusters of a realm.
    pub async fn list_clusters(&self, realm: &RealmName) -> Result<Vec<Cluster>, ClientError> {
        let request = v1::ListClustersRequest { realm: realm.to_string() };
        Ok(all(self.clusters().list_clusters(request).await?.into_inner().clusters)?)
    }

    /// One cluster.
    pub async fn get_cluster(&self, realm: &RealmName, name: &ClusterName) -> Result<Cluster, ClientError> {
        let request = v1::GetClusterRequest { realm: realm.to_string(), name: name.to_string() };
        let answer = self.clusters().get_cluster(request).await?.into_inner();
        Ok(need("cluster", answer.cluster)?.try_into()?)
    }

    /// Nodes of a cluster, or of all of the realm.
    pub async fn list_nodes(
        &self,
        realm: &RealmName,
        cluster: Option<&ClusterName>,
    ) -> Result<Vec<Node>, ClientError> {
        let request = v1::ListNodesRequest { realm: realm.to_string(), cluster: named(cluster) };
        Ok(all(self.clusters().list_nodes(request).await?.into_inner().nodes)?)
    }

    /// Networks of the realm's clusters.
    pub async fn list_networks(&self, realm: &RealmName) -> Result<Vec<Network>, ClientError> {
        let request = v1::ListClusterNetworksRequest { realm: realm.to_string() };
        let answer = self.clusters().list_networks(request).await?.into_inner();
        Ok(answer.networks.into_iter().map(Into::into).collect())
    }

    /// Events after a position, of a cluster or of the realm and all hosts; waits so long for the first one.
    pub async fn list_events(
        &self,
        realm: &RealmName,
        cluster: Option<&ClusterName>,
        after_seq: u64,
        wait_ms: u64,
    ) -> Result<Vec<Event>, ClientError> {
        let (realm, cluster) = (realm.to_string(), named(cluster));
        let request = v1::ListEventsRequest { realm, cluster, after_seq, wait_ms };
        Ok(all(self.clusters().list_events(request).await?.into_inner().events)?)
    }

    /// Names of everything, without asking a host.
    pub async fn list_names(&self, realm: &RealmName) -> Result<Names, ClientError> {
        let request = v1::ListNamesRequest { realm: realm.to_string() };
        Ok(self.clusters().list_names(request).await?.into_inner().into())
    }

    /// Runs a command in a node; the first frame says which.
    pub async fn exec(
        &self,
        frames: impl Stream<Item = ExecFrame> + Send + 'static,
    ) -> Result<Answers<ExecOutput>, ClientError> {
        let frames = frames.map(v1::ExecRequest::from);
        Ok(Answers::of(self.access().exec(frames).await?.into_inner()))
    }

    /// Opens a byte stream to a port of a node; the first frame says which.
    pub async fn proxy(
        &self,
        frames: impl Stream<Item = ProxyFrame> + Send + 'static,
    ) -> Result<Answers<ProxyOutput>, ClientError> {
        let frames = frames.map(v1::ProxyRequest::from);
        Ok(Answers::of(self.access().proxy(frames).await?.into_inner()))
    }

    /// What an SSH client needs.
    pub async fn ssh_access(
        &self,
        realm: &RealmName,
        cluster: &ClusterName,
    ) -> Result<SshAccess, ClientError> {
        let request = v1::GetSshAccessRequest { realm: realm.to_string(), cluster: cluster.to_string() };
        Ok(self.access().get_ssh_access(request).await?.into_inner().try_into()?)
    }

    /// Loads an image archive into hosts; the first frame says which.
    pub async fn load_image(
        &self,
        frames: impl Stream<Item = LoadFrame> + Send + 'static,
    ) -> Result<Answers<LoadStep>, ClientError> {
        let frames = frames.map(v1::LoadImageRequest::from);
        Ok(Answers::of(self.images().load_image(frames).await?.into_inner()))
    }

    /// Node images, as all hosts list them now.
    pub async fn list_images(&self) -> Result<Images, ClientError> {
        Ok(self.images().list_images(v1::ListImagesRequest {}).await?.into_inner().into())
    }

    /// Sets who asks a registry for images; `hosts`: those that are told, `Some(None)` all, `None` the same as before.
    pub async fn set_registry(
        &self,
        registry: String,
        username: String,
        password: String,
        hosts: Option<Option<LabelExpr>>,
    ) -> Result<Registry, ClientError> {
        let hosts = hosts.map(|hosts| hosts.map(|hosts| hosts.to_string()).unwrap_or_default());
        let request = v1::SetRegistryRequest { registry, username, password, hosts };
        let answer = self.registries().set_registry(request).await?.into_inner();
        Ok(need("registry", answer.registry)?.into())
    }

    /// Forgets who asks a registry.
    pub async fn remove_registry(&self, registry: String) -> Result<(), ClientError> {
        self.registries().remove_registry(v1::RemoveRegistryRequest { registry }).await?;
        Ok(())
    }

    /// Registries that credentials are known for.
    pub async fn list_registries(&self) -> Result<Vec<Registry>, ClientError> {
        let answer = self.registries().list_registries(v1::ListRegistriesRequest {}).await?.into_inner();
        Ok(answer.registries.into_iter().map(Into::into).collect())
    }

    /// What holds for the whole installation.
    pub async fn installation(&self) -> Result<Installation, ClientError> {
        let answer = self.installations().get_installation(v1::GetInstallationRequest {}).await?.into_inner();
        Ok(need("installation", answer.installation)?.into())
    }

    /// Which program serves which store.
    pub async fn server(&self) -> Result<Server, ClientError> {
        Ok(self.installations().get_server(v1::GetServerRequest {}).await?.into_inner().into())
    }

    /// Makes a user, with a certificate.
    pub async fn create_user(&self, new: NewUser) -> Result<MadeUser, ClientError> {
        let request = v1::CreateUserRequest::from(new);
        Ok(self.users().create_user(request).await?.into_inner().try_into()?)
    }

    /// Users, the revoked ones too.
    pub async fn list_users(&self) -> Result<Vec<User>, ClientError> {
        Ok(all(self.users().list_users(v1::ListUsersRequest {}).await?.into_inner().users)?)
    }

    /// Revokes a user.
    pub async fn revoke_user(&self, name: &UserName) -> Result<User, ClientError> {
        let request = v1::RevokeUserRequest { name: name.to_string() };
        let answer = self.users().revoke_user(request).await?.into_inner();
        Ok(need("user", answer.user)?.try_into()?)
    }

    /// Another certificate for the user who calls, for the key with this point of P-256.
    pub async fn renew_certificate(&self, point: Vec<u8>) -> Result<Certificate, ClientError> {
        let request = v1::RenewCertificateRequest { point: point.into() };
        let answer = self.users().renew_certificate(request).await?.into_inner();
        Ok(need("certificate", answer.certificate)?.into())
    }

    /// Sets where the subnets of new clusters come from; none: the default.
    pub async fn set_pools(&self, pools: Vec<String>) -> Result<Installation, ClientError> {
        let answer = self.installations().set_pools(v1::SetPoolsRequest { pools }).await?.into_inner();
        Ok(need("installation", answer.installation)?.into())
    }

    /// Removes what no row explains, or says what would go; `grace_ms`: what is younger stays.
    pub async fn sweep(
        &self,
        dry_run: bool,
        grace_ms: Option<u64>,
        yes_really: bool,
    ) -> Result<Sweep, ClientError> {
        let request = v1::SweepRequest { dry_run, grace_ms, yes_really };
        Ok(Sweep::read(dry_run, self.upkeep().sweep(request).await?.into_inner())?)
    }

    /// Finishes what was interrupted in a realm.
    pub async fn resume(&self, realm: &RealmName) -> Result<Answers<ResumeStep>, ClientError> {
        let request = v1::ResumeRequest { realm: realm.to_string() };
        Ok(Answers::of(self.upkeep().resume(request).await?.into_inner()))
    }

    /// Brings ready clusters back to what the store says of them: these, or all of the realm; `unattended`: no person asks. Dropping the answers ends it after
    /// the steps under way.
    pub async fn repair(
        &self,
        realm: &RealmName,
        names: &[ClusterName],
        dry_run: bool,
        unattended: bool,
        wait_ms: u64,
    ) -> Result<Answers<RepairStep>, ClientError> {
        let names = names.iter().map(ToString::to_string).collect();
        let request = v1::RepairRequest { realm: realm.to_string(), names, dry_run, wait_ms, unattended };
        Ok(Answers::of(self.upkeep().repair(request).await?.into_inner()))
    }

    /// Draws new keys for a ready cluster and makes its nodes anew with them; `now`: although they have jobs. Dropping the answers ends
    /// it after the steps under way.
    pub async fn rotate_keys(
        &self,
        realm: &RealmName,
        cluster: &ClusterName,
        now: bool,
        wait_ms: u64,
    ) -> Result<Answers<RepairStep>, ClientError> {
        let (realm, cluster) = (realm.to_string(), cluster.to_string());
        let request = v1::RotateKeysRequest { realm, cluster, now, wait_ms };
        Ok(Answers::of(self.upkeep().rotate_keys(request).await?.into_inner()))
    }

    /// Moves idle workers of these clusters, or of every ready one of the realm, to hosts that carry less; 0: however many.
    pub async fn rebalance(
        &self,
        realm: &RealmName,
        names: &[ClusterName],
        dry_run: bool,
        max_moves: u32,
    ) -> Result<Answers<RebalanceStep>, ClientError> {
        let names = names.iter().map(ToString::to_string).collect();
        let request = v1::RebalanceRequest { realm: realm.to_string(), names, dry_run, max_moves };
        Ok(Answers::of(self.upkeep().rebalance(request).await?.into_inner()))
    }

    /// How a cluster is.
    pub async fn status(&self, realm: &RealmName, cluster: &ClusterName) -> Result<Status, ClientError> {
        let request = v1::GetStatusRequest { realm: realm.to_string(), cluster: cluster.to_string() };
        Ok(self.insight().get_status(request).await?.into_inner().try_into()?)
    }

    /// What is wrong with these hosts, or with all if none is named.
    pub async fn examine_hosts(&self, hosts: &[HostName], image: &str) -> Result<Examination, ClientError> {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        let request = v1::ExamineHostsRequest { hosts, image: image.into() };
        Ok(self.insight().examine_hosts(request).await?.into_inner().try_into()?)
    }
}
