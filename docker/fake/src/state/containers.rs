//! Containers: made, found, told of.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use bytes::Bytes;
use shoal_docker::{
    Attachment, ContainerAction, ContainerDetail, ContainerEvent, ContainerNetwork, ContainerSpec,
    ContainerState, ContainerSummary, EngineEvent, LabelFilter, Mount, Subject,
};
use shoal_types::{MacAddr, Timestamp};
use tokio::sync::watch;

use super::{State, whole_seconds};
use crate::{ContainerTruth, ContainerView, Image, Main, Refusal, Release, files::Files};

/// Most text of a log tail, in bytes: the real adapter's.
const LOG_BYTES: usize = 256 << 10;

/// Where a container is on its network, while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) network: u64,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: MacAddr,
}

pub(crate) struct Container {
    pub(crate) id: Arc<str>,
    pub(crate) spec: Arc<ContainerSpec>,
    pub(crate) image: Arc<Image>,
    pub(crate) state: ContainerState,
    pub(crate) pid: Option<u32>,
    pub(crate) exit_code: i64,
    /// In whole seconds.
    pub(crate) created: Timestamp,
    pub(crate) started: Option<Timestamp>,
    /// When its last run ended, if the engine saw that.
    pub(crate) ended: Option<Timestamp>,
    pub(crate) error: String,
    /// How often it was started.
    pub(crate) run: u64,
    pub(crate) main: Main,
    pub(crate) log: Vec<u8>,
    /// Archives not unpacked yet, each with where it goes.
    pub(crate) archives: Vec<(String, Bytes)>,
    /// What differs from the image.
    pub(crate) files: Files,
    /// What programs wrote below tmpfs mounts.
    pub(crate) tmpfs: Files,
    pub(crate) port: Option<Port>,
    /// Somebody took it off its network.
    pub(crate) disconnected: bool,
    /// Name of its network, once the engine has looked.
    pub(crate) network: Option<(String, String)>,
    /// Somebody ended it, so that its restart policy does not count.
    pub(crate) ended_by_hand: bool,
    /// Ends with each run.
    pub(crate) running: Option<watch::Sender<()>>,
}

impl Container {
    pub(crate) fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }

    pub(crate) fn uses_volume(&self, name: &str) -> bool {
        self.spec
            .mounts
            .iter()
            .any(|mount| matches!(mount, Mount::Volume { name: mounted, .. } if mounted == name))
    }

    fn summary(&self) -> ContainerSummary {
        ContainerSummary {
            id: self.id.to_string(),
            name: self.spec.name.clone(),
            labels: self.spec.labels.clone(),
            state: self.state,
            image_id: self.image.id.clone(),
            created: Some(self.created),
            attachments: self.attachment().into_iter().collect(),
        }
    }

    fn detail(&self) -> ContainerDetail {
        let ended =
            matches!(self.state, ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting);
        ContainerDetail {
            id: self.id.to_string(),
            name: self.spec.name.clone(),
            labels: self.spec.labels.clone(),
            state: self.state,
            pid: self.pid,
            exit_code: ended.then_some(self.exit_code),
            oom_killed: false,
            started: self.started,
            ended: self.ended.filter(|_| ended),
            error: self.error.clone(),
            image_id: self.image.id.clone(),
            attachments: self.attachment().into_iter().collect(),
        }
    }

    fn attachment(&self) -> Option<Attachment> {
        if self.disconnected {
            return None;
        }
        let (network, network_id) = match (&self.spec.network, &self.network) {
            (_, Some((name, id))) => (name.clone(), id.clone()),
            (ContainerNetwork::Bridge { network, .. }, None) => (network.clone(), String::new()),
            (ContainerNetwork::None, None) => ("none".to_owned(), String::new()),
            (ContainerNetwork::Host, None) => ("host".to_owned(), String::new()),
        };
        let (fixed, asked) = match &self.spec.network {
            ContainerNetwork::Bridge { address, mac, .. } => (*address, *mac),
            ContainerNetwork::None | ContainerNetwork::Host => (None, None),
        };
        // Told as it was asked for until the first start, and only while it runs from then on.
        let asked = asked.filter(|_| self.started.is_none());
        let port = self.port.as_ref();
        Some(Attachment {
            network,
            network_id,
            address: port.map(|port| port.address).or(fixed),
            mac: port.map(|port| port.mac).or(asked),
        })
    }

    pub(crate) fn view(&self, engine: &Arc<str>) -> ContainerView {
        ContainerView {
            engine: Arc::clone(engine),
            id: Arc::clone(&self.id),
            spec: Arc::clone(&self.spec),
            image: Arc::clone(&self.image),
            pid: self.pid,
            address: self.port.as_ref().map(|port| port.address),
            mac: self.port.as_ref().map(|port| port.mac),
            run: self.run,
        }
    }

    pub(crate) fn truth(&self) -> ContainerTruth {
        ContainerTruth {
            id: Arc::clone(&self.id),
            spec: Arc::clone(&self.spec),
            image_id: self.image.id.clone(),
            state: self.state,
            address: self.port.as_ref().map(|port| port.address),
            runs: self.run,
            exit_code: self.exit_code,
        }
    }
}

impl State {
    /// By id, by name, by the beginning of an id that only one has: in this order.
    pub(crate) fn find(&self, reference: &str) -> Option<u64> {
        if let Some(number) = self.by_id.get(reference).or_else(|| self.by_name.get(reference)) {
            return Some(*number);
        }
        let mut starts = self.containers.iter().filter(|(_, container)| container.id.starts_with(reference));
        starts.next().filter(|_| starts.next().is_none()).map(|(number, _)| *number)
    }

    /// The container, or the engine's answer that there is none.
    pub(crate) fn seek(&self, reference: &str) -> Result<u64, Refusal> {
        let missing = || Refusal::missing(Subject::Container(reference.to_owned()));
        self.find(reference).ok_or_else(missing)
    }

    /// The container of a number.
    pub(crate) fn container(&mut self, number: u64) -> Option<&mut Container> {
        self.containers.get_mut(&number)
    }

    pub(crate) fn list_containers(&self, filter: &LabelFilter) -> Vec<ContainerSummary> {
        // The newest first, as engines list them.
        let all = self.containers.values().rev();
        all.filter(|container| filter.matches(&container.spec.labels)).map(Container::summary).collect()
    }

    pub(crate) fn create_container(
        &mut self,
        spec: &Arc<ContainerSpec>,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let image = self.image_of(&spec.image);
        let image = image.ok_or_else(|| Refusal::missing(Subject::Image(spec.image.clone())))?;
        if self.by_name.contains_key(&spec.name) {
            return Err(Refusal::NameInUse);
        }
        let mut found = None;
        if let ContainerNetwork::Bridge { network, .. } = &spec.network {
            found = self.seek_network(network).ok();
            // 20.10 looks for the network when it starts the container.
            if found.is_none() && self.release == Release::V28_5 {
                return Err(Refusal::missing(Subject::Network(network.clone())));
            }
        }
        for mount in &spec.mounts {
            if let Mount::Volume { name, .. } = mount {
                self.create_volume(name, BTreeMap::new(), now);
            }
        }
        let network = found.and_then(|number| self.networks.get(&number));
        let network = network.map(|network| (network.info.name.clone(), String::new()));
        let (number, id) = (self.number(), Arc::<str>::from(self.id()));
        self.by_name.insert(spec.name.clone(), number);
        self.by_id.insert(Arc::clone(&id), number);
        let container = Container {
            id: Arc::clone(&id),
            spec: Arc::clone(spec),
            image,
            state: ContainerState::Created,
            pid: None,
            exit_code: 0,
            created: whole_seconds(now),
            started: None,
            ended: None,
            error: String::new(),
            run: 0,
            main: Main::default(),
            log: Vec::new(),
            archives: Vec::new(),
            files: Files::default(),
            tmpfs: Files::default(),
            port: None,
            network,
            disconnected: false,
            ended_by_hand: false,
            running: None,
        };
        self.containers.insert(number, container);
        Ok(id.to_string())
    }

    pub(crate) fn inspect_container(&self, reference: &str) -> Result<ContainerDetail, Refusal> {
        let number = self.seek(reference)?;
        self.containers.get(&number).map(Container::detail).ok_or(Refusal::NotFound(None))
    }

    pub(crate) fn logs(&self, reference: &str, lines: u32) -> Result<String, Refusal> {
        let number = self.seek(reference)?;
        let log = self.containers.get(&number).map(|container| container.log.as_slice()).unwrap_or_default();
        let text = String::from_utf8_lossy(log);
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        let first = all.len().saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
        let tail = all[first..].concat();
        let mut from = tail.len().saturating_sub(LOG_BYTES);
        while !tail.is_char_boundary(from) {
            from += 1;
        }
        Ok(tail[from..].to_owned())
    }

    /// Tells the subscribers what happened to a container.
    pub(crate) fn happened(&mut self, number: u64, action: ContainerAction, at: Timestamp) {
        if self.subscribers.is_empty() {
            return;
        }
        let Some(container) = self.containers.get(&number) else { return };
        let spec = &container.spec;
        let mut labels: BTreeMap<String, String> = spec.labels.clone();
        labels.insert("name".into(), spec.name.clone());
        labels.insert("image".into(), spec.image.clone());
        if let ContainerAction::Die { exit_code: Some(code) } = action {
            labels.insert("exitCode".into(), code.to_string());
        }
        let id = container.id.to_string();
        let event = ContainerEvent { id, name: spec.name.clone(), action, labels, at };
        self.tell(&EngineEvent::Container(event));
    }
}
