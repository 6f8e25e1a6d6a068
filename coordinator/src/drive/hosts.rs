//! Hosts come, change and go: each edit is checked against the real engine before it is written.

use shoal_docker::{Credential, Endpoint, EngineError, refusal};
use shoal_proto::FieldError;
use shoal_storage::{Host, HostSettings, SecretKind, StoreError};
use shoal_types::{
    Bytes, EngineFacts, EventKind, EventLevel, HostId, HostName, LabelKey, LabelValue, Labels, MilliCpu,
    MtuSetting, NewEvent, Overcommit, PrivilegedNodes, Scheduling,
};

use crate::{
    drive::unregister,
    fleet::coordinator::Coordinator,
    observe::{
        capacity::{KEEP_BACK, capacity},
        survey::{self, Depth, HostObservation},
    },
    words::{
        entropy::draw,
        fault::{Fault, HostFault},
    },
};

/// What an operator sets of a host; `None` leaves it as it is, or to what the engine reports.
#[derive(Debug, Default)]
pub(crate) struct HostEdit {
    pub(crate) endpoint: Option<Endpoint>,
    /// Of the kind that the endpoint takes.
    pub(crate) credential: Option<Credential>,
    /// Key -> value, `None` removes the label.
    pub(crate) labels: Vec<(LabelKey, Option<LabelValue>)>,
    pub(crate) cpus: Option<MilliCpu>,
    pub(crate) memory: Option<Bytes>,
    pub(crate) overcommit_cpu_milli: Option<u32>,
    pub(crate) overcommit_memory_milli: Option<u32>,
    pub(crate) underlay: Option<std::net::Ipv4Addr>,
    pub(crate) mtu: Option<MtuSetting>,
    pub(crate) privileged_nodes: Option<PrivilegedNodes>,
}

/// Registers a host: its engine must answer and be usable, and its agent must run there.
pub(crate) async fn register(
    coordinator: &Coordinator,
    name: HostName,
    edit: HostEdit,
) -> Result<Host, Fault> {
    let endpoint = edit.endpoint.clone().unwrap_or_else(Endpoint::local);
    let engine = check(coordinator, &name, &endpoint, edit.credential.as_ref()).await?;
    let mut rng = coordinator.rng();
    let now = coordinator.now();
    let id = HostId::new(now.0, draw(&mut *rng));
    let mut tx = coordinator.store.begin().await?;
    let credential = match &edit.credential {
        None => None,
        Some(credential) => {
            let (kind, text) = sealed_form(credential)?;
            Some(tx.secrets().put(kind, &text, now, &mut *rng).await?)
        }
    };
    let mut settings = HostSettings {
        endpoint: endpoint.to_string(),
        credential,
        underlay: edit.underlay,
        mtu: None,
        labels: Labels::default(),
        capacity: capacity(&engine, None, edit.cpus, edit.memory),
        overcommit: Overcommit::default(),
        reserve: KEEP_BACK,
        privileged_nodes: PrivilegedNodes::default(),
        scheduling: Scheduling::default(),
    };
    apply(&mut settings, &edit);
    tx.hosts().insert(&Host::registered(id, name.clone(), settings, engine, now)).await?;
    tx.placements_changed().await?;
    tx.events()
        .append(&host_event(coordinator, &name, EventLevel::Info, format!("registered at {endpoint}")))
        .await?;
    tx.commit().await?;
    match settle_host(coordinator, id).await {
        Ok(host) => Ok(host),
        // The machine is another host's, and so is the agent on it: only the rows are ours to take back.
        Err(taken @ Fault::Store(StoreError::Conflict(_))) => {
            unregister::forget(coordinator, id, credential).await?;
            Err(taken)
        }
        Err(fault) => {
            // Half a registration is none, on the host too.
            if let Some(host) = coordinator.store.read().await?.hosts().get(id).await? {
                drop(unregister::clean(coordinator, &host).await?);
            }
            unregister::forget(coordinator, id, credential).await?;
            Err(fault)
        }
    }
}

/// Changes what an operator set; a new endpoint or credential is tried first.
pub(crate) async fn update_host(
    coordinator: &Coordinator,
    name: &HostName,
    edit: HostEdit,
) -> Result<Host, Fault> {
    let host = find_host(coordinator, name).await?;
    let mut keeps_credential = true;
    if edit.endpoint.is_some() || edit.credential.is_some() {
        let endpoint = match &edit.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => host.settings.endpoint.parse()?,
        };
        // One for another kind of endpoint is of no use any more.
        let kept = kept_credential(coordinator, &host).await?.filter(|credential| credential.fits(&endpoint));
        keeps_credential = kept.is_some();
        let credential = edit.credential.as_ref().or(kept.as_ref());
        let engine = check(coordinator, name, &endpoint, credential).await?;
        if engine.id != host.engine.id {
            return Err(Fault::Host(HostFault::OtherEngine {
                host: name.clone(),
                endpoint: endpoint.to_string(),
            }));
        }
    }
    let mut tx = coordinator.store.begin().await?;
    let mut settings = host.settings.clone();
    let replaced = match &edit.credential {
        None if keeps_credential => None,
        None => settings.credential.take(),
        Some(credential) => {
            let mut rng = coordinator.rng();
            let (kind, text) = sealed_form(credential)?;
            let put = tx.secrets().put(kind, &text, coordinator.now(), &mut *rng).await?;
            settings.credential.replace(put)
        }
    };
    settings.endpoint = edit.endpoint.as_ref().map_or(settings.endpoint, ToString::to_string);
    settings.capacity.cpu = edit.cpus.unwrap_or(settings.capacity.cpu);
    settings.capacity.memory = edit.memory.unwrap_or(settings.capacity.memory);
    settings.underlay = edit.underlay.or(settings.underlay);
    apply(&mut settings, &edit);
    tx.hosts().change(&host, &settings).await?;
    tx.placements_changed().await?;
    if let Some(old) = replaced {
        tx.secrets().delete(old).await?;
    }
    tx.events().append(&host_event(coordinator, name, EventLevel::Info, "settings changed".into())).await?;
    tx.commit().await?;
    match edit.endpoint.is_some() || edit.credential.is_some() {
        true => settle_host(coordinator, host.id).await,
        // What an operator says of a host holds whether it answers now or not.
        false => find_host(coordinator, name).await,
    }
}

/// The host of this name.
pub(crate) async fn find_host(coordinator: &Coordinator, name: &HostName) -> Result<Host, Fault> {
    let host = coordinator.store.read().await?.hosts().by_name(name).await?;
    host.ok_or_else(|| Fault::Host(HostFault::Unknown { name: name.clone() }))
}

/// Registers this machine's engine as `local`, if there is one on its usual socket.
pub(crate) async fn register_local(coordinator: &Coordinator) -> Result<Host, Fault> {
    let name: HostName = "local".parse().map_err(|e| shoal_proto::FieldError::new("host", e))?;
    match register(coordinator, name, HostEdit::default()).await {
        Err(Fault::Host(HostFault::Engine { source, .. }))
            if matches!(*source, EngineError::Refused { .. } | EngineError::Unreachable { .. }) =>
        {
            Err(Fault::Host(HostFault::NoneRegistered))
        }
        other => other,
    }
}

/// Brings the agent and takes over what it reports.
async fn settle_host(coordinator: &Coordinator, id: HostId) -> Result<Host, Fault> {
    let host = coordinator.store.read().await?.hosts().get(id).await?;
    let host = host.ok_or_else(|| StoreError::Missing { what: "host", id: id.to_string() })?;
    let mut seen = survey::survey_of(coordinator, vec![host], Depth::Agent).await?;
    let Some(HostObservation { host, link }) = seen.pop() else {
        return Err(StoreError::Missing { what: "host", id: id.to_string() }.into());
    };
    link?;
    if let Some(fault) = host.facts.as_ref().map(|f| &f.filter_fault).filter(|fault| !fault.is_empty()) {
        let message = format!("tunnel packets of strangers are not dropped: {fault}");
        let mut tx = coordinator.store.begin().await?;
        tx.events().append(&host_event(coordinator, &host.name, EventLevel::Warn, message)).await?;
        tx.commit().await?;
    }
    Ok(host)
}

async fn check(
    coordinator: &Coordinator,
    name: &HostName,
    endpoint: &Endpoint,
    credential: Option<&Credential>,
) -> Result<EngineFacts, Fault> {
    if let Some(other) = credential.filter(|credential| !credential.fits(endpoint)) {
        return Err(match other {
            Credential::Tls(_) => FieldError::new("TLS files", format!("are for tcp://, not for {endpoint}")),
            Credential::Ssh(_) => FieldError::new("an SSH key", format!("is for ssh://, not for {endpoint}")),
        }
        .into());
    }
    let fault = Fault::engine(name);
    let engine = coordinator.fleet.connect.connect(endpoint, credential).await.map_err(fault)?;
    let facts = engine.facts().await.map_err(fault)?;
    let usable = refusal(&facts, std::env::consts::ARCH, |arch| coordinator.fleet.binaries.has(arch));
    usable.map_err(|source| Fault::Host(HostFault::Unusable { host: name.clone(), source }))?;
    Ok(facts)
}

async fn kept_credential(coordinator: &Coordinator, host: &Host) -> Result<Option<Credential>, Fault> {
    let Some(id) = host.settings.credential else { return Ok(None) };
    coordinator.fleet.credential(&coordinator.store, host, id).await.map(Some)
}

pub(crate) fn host_event(
    coordinator: &Coordinator,
    host: &HostName,
    level: EventLevel,
    message: String,
) -> NewEvent {
    NewEvent::new(coordinator.now(), level, EventKind::Host, message).on(host)
}

/// What has the same meaning at registration and afterwards.
fn apply(settings: &mut HostSettings, edit: &HostEdit) {
    for (key, value) in &edit.labels {
        match value {
            Some(value) => settings.labels.0.insert(key.clone(), value.clone()),
            None => settings.labels.0.remove(key),
        };
    }
    let overcommit = &mut settings.overcommit;
    overcommit.cpu_milli = edit.overcommit_cpu_milli.unwrap_or(overcommit.cpu_milli);
    overcommit.memory_milli = edit.overcommit_memory_milli.unwrap_or(overcommit.memory_milli);
    settings.mtu = edit.mtu.map_or(settings.mtu, MtuSetting::bytes);
    settings.privileged_nodes = edit.privileged_nodes.unwrap_or(settings.privileged_nodes);
}

/// A credential as it is sealed, and of which kind it is then.
fn sealed_form(credential: &Credential) -> Result<(SecretKind, zeroize::Zeroizing<Vec<u8>>), StoreError> {
    let (kind, json) = match credential {
        Credential::Tls(material) => (SecretKind::DockerTls, serde_json::to_vec(material)),
        Credential::Ssh(material) => (SecretKind::DockerSsh, serde_json::to_vec(material)),
    };
    let json = json.map_err(|source| StoreError::Encode { what: "credential", source })?;
    Ok((kind, zeroize::Zeroizing::new(json)))
}
