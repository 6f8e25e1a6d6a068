//! Requests and answers of the Docker Engine API as JSON: as much of them as the simulation or the client looks at.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shoal_docker::{
    ContainerDetail, ContainerNetwork, ContainerSpec, ContainerState, ContainerSummary, EngineError,
    ExecSpec, ImageInfo, LabelFilter, Mount, NetworkInfo, NetworkSpec, RestartPolicy, Subject, VolumeInfo,
};
use shoal_types::EngineFacts;

/// Options of the bridge driver (docs.docker.com, "Bridge network driver").
const OPTION_MTU: &str = "com.docker.network.driver.mtu";
const OPTION_BRIDGE: &str = "com.docker.network.bridge.name";

/// An answer with an error status, and an engine's words.
#[derive(Debug)]
pub(super) struct Refused(pub(super) u16, pub(super) String);

impl Refused {
    pub(super) fn no_container(id: &str) -> Self {
        Self(404, format!("No such container: {id}"))
    }

    pub(super) fn no_exec() -> Self {
        Self(404, "No such exec instance".into())
    }

    pub(super) fn name_in_use(id: &str) -> Self {
        Self(409, format!("Conflict. The name is already in use by container \"{id}\""))
    }

    fn field(name: &str) -> Self {
        Self(400, format!("no usable {name}"))
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        let (status, message) = if let EngineError::NotFound { subject, .. } = &error {
            (404, missing(subject))
        } else if let EngineError::Conflict { message, .. } = &error {
            (409, message.clone())
        } else if let EngineError::BadRequest { message, .. } = &error {
            (400, message.clone())
        } else if matches!(error, EngineError::NameInUse { .. }) {
            return Self::name_in_use("");
        } else if matches!(error, EngineError::RemovalInProgress { .. }) {
            (409, "removal is already in progress".to_owned())
        } else {
            // With its words, which the client knows some failures by.
            (500, error.to_string())
        };
        Self(status, message)
    }
}

fn missing(subject: &Subject) -> String {
    match subject {
        Subject::Container(id) => format!("No such container: {id}"),
        Subject::Image(reference) => format!("No such image: {reference}"),
        Subject::Network(id) => format!("network {id} not found"),
        Subject::Volume(name) => format!("get {name}: no such volume"),
        Subject::Path { path, .. } => format!("Could not find the file {path}"),
        Subject::Engine => "page not found".into(),
    }
}

/// The query of a request, name -> value.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn new(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect())
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, Refused> {
        self.0.get(name).map(String::as_str).ok_or_else(|| Refused::field(name))
    }

    /// The labels that are asked for: `filters={"label":["a=b","c"]}`.
    pub(super) fn labels(&self) -> Result<LabelFilter, Refused> {
        let Some(text) = self.0.get("filters") else { return Ok(LabelFilter::all()) };
        let filters: Value = serde_json::from_str(text).map_err(|_| Refused::field("filters"))?;
        let labels = texts(&filters["label"]);
        Ok(labels.iter().fold(LabelFilter::all(), |filter, label| match label.split_once('=') {
            Some((key, value)) => filter.with(key, value),
            None => filter.with_key(label),
        }))
    }
}

/// Without percent-encoding (RFC 3986, 2.1) and with spaces for plus signs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.unwrap_or(b'0'));
                u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(text).collect()
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let labels = value.as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}

fn need<T>(field: &str, value: Option<T>) -> Result<T, Refused> {
    value.ok_or_else(|| Refused::field(field))
}

/// Without what no simulated program looks at: limits, capabilities, devices, memory that is mounted.
pub(super) fn container_spec(name: &str, body: &Value) -> Result<ContainerSpec, Refused> {
    let host = &body["HostConfig"];
    let network = match host["NetworkMode"].as_str() {
        None | Some("none") => ContainerNetwork::None,
        Some("host") => ContainerNetwork::Host,
        Some(network) => {
            let endpoint = &body["NetworkingConfig"]["EndpointsConfig"][network];
            ContainerNetwork::Bridge {
                network: network.to_owned(),
                address: endpoint["IPAMConfig"]["IPv4Address"].as_str().and_then(|text| text.parse().ok()),
                mac: endpoint["MacAddress"].as_str().and_then(|text| text.parse().ok()),
            }
        }
    };
    let volumes = host["Mounts"].as_array().into_iter().flatten().filter(|mount| mount["Type"] == "volume");
    let volumes = volumes
        .filter_map(|v| Some(Mount::Volume { name: text(&v["Source"])?, target: text(&v["Target"])? }));
    let env = texts(&body["Env"]);
    let env = env.iter().filter_map(|pair| pair.split_once('='));
    Ok(ContainerSpec {
        name: name.to_owned(),
        image: need("Image", text(&body["Image"]))?,
        hostname: text(&body["Hostname"]),
        labels: labels(&body["Labels"]),
        entrypoint: body["Entrypoint"].is_array().then(|| texts(&body["Entrypoint"])),
        cmd: body["Cmd"].is_array().then(|| texts(&body["Cmd"])),
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        stop_signal: text(&body["StopSignal"]),
        network,
        mounts: volumes.collect(),
        restart: match host["RestartPolicy"]["Name"].as_str() {
            Some("always") => RestartPolicy::Always,
            _ => RestartPolicy::No,
        },
        ..ContainerSpec::default()
    })
}

pub(super) fn exec_spec(body: &Value) -> ExecSpec {
    ExecSpec {
        cmd: texts(&body["Cmd"]),
        env: texts(&body["Env"]),
        user: text(&body["User"]),
        dir: text(&body["WorkingDir"]),
        ..ExecSpec::default()
    }
}

pub(super) fn network_spec(body: &Value) -> Result<NetworkSpec, Refused> {
    let pool = &body["IPAM"]["Config"][0];
    let part = |field: &str| need(field, pool[field].as_str());
    let option = |name: &str| need(name, body["Options"][name].as_str());
    Ok(NetworkSpec {
        name: need("Name", text(&body["Name"]))?,
        labels: labels(&body["Labels"]),
        subnet: need("Subnet", part("Subnet")?.parse().ok())?,
        gateway: need("Gateway", part("Gateway")?.parse().ok())?,
        ip_range: need("IPRange", part("IPRange")?.parse().ok())?,
        mtu: need(OPTION_MTU, option(OPTION_MTU)?.parse().ok())?,
        bridge: option(OPTION_BRIDGE)?.to_owned(),
    })
}

pub(super) fn volume_spec(body: &Value) -> Result<(String, BTreeMap<String, String>), Refused> {
    Ok((need("Name", text(&body["Name"]))?, labels(&body["Labels"])))
}

pub(super) fn facts(facts: &EngineFacts) -> Value {
    json!({
        "ID": facts.id, "ServerVersion": facts.version, "Architecture": facts.architecture, "NCPU": facts.cpus,
        "MemTotal": facts.memory.0, "CgroupVersion": facts.cgroup_version.to_string(), "Driver": facts.storage_driver,
        "KernelVersion": facts.kernel, "Name": facts.hostname, "OperatingSystem": facts.operating_system,
        "CpuCfsQuota": facts.cpu_limits, "SecurityOptions": [],
    })
}

/// In the engine's word, which is the variant's name.
fn state(state: ContainerState) -> String {
    format!("{state:?}").to_lowercase()
}

pub(super) fn container(is: &ContainerSummary) -> Value {
    let created = is.created.map(|at| at.0 / 1000);
    json!({
        "Id": is.id, "Names": [format!("/{}", is.name)], "Labels": is.labels, "State": state(is.state),
        "ImageID": is.image_id, "Created": created,
    })
}

pub(super) fn container_detail(is: &ContainerDetail) -> Value {
    let attached = is.attachments.iter().map(|to| {
        let mac = to.mac.map(|mac| mac.to_string());
        let settings = json!({ "NetworkID": to.network_id, "IPAddress": to.address, "MacAddress": mac });
        (to.network.clone(), settings)
    });
    let attached: serde_json::Map<String, Value> = attached.collect();
    json!({
        "Id": is.id, "Name": format!("/{}", is.name), "Config": { "Labels": is.labels }, "Image": is.image_id,
        "State": {
            "Status": state(is.state), "Pid": is.pid, "ExitCode": is.exit_code, "OOMKilled": is.oom_killed,
            "Error": is.error,
        },
        "NetworkSettings": { "Networks": attached },
    })
}

pub(super) fn network(is: &NetworkInfo) -> Value {
    let mut pools: Vec<Value> = is.subnets.iter().map(|subnet| json!({ "Subnet": subnet })).collect();
    if let (Some(pool), Some(gateway)) = (pools.first_mut(), is.gateway) {
        pool["Gateway"] = json!(gateway);
    }
    let mtu = is.mtu.map(|mtu| (OPTION_MTU.to_owned(), mtu.to_string()));
    let bridge = is.bridge.clone().map(|bridge| (OPTION_BRIDGE.to_owned(), bridge));
    let options: BTreeMap<String, String> = mtu.into_iter().chain(bridge).collect();
    json!({
        "Id": is.id, "Name": is.name, "Labels": is.labels, "Driver": is.driver, "IPAM": { "Config": pools },
        "Options": options,
    })
}

pub(super) fn volume(is: &VolumeInfo) -> Value {
    json!({
        "Name": is.name, "Driver": "local", "Mountpoint": "", "Labels": is.labels, "Options": {}, "Scope": "local",
    })
}

pub(super) fn image(is: &ImageInfo) -> Value {
    json!({
        "Id": is.id, "Architecture": is.architecture, "Config": { "Labels": is.labels }, "RepoTags": is.repo_tags,
        "RepoDigests": is.repo_digests, "Size": is.size.0,
    })
}
