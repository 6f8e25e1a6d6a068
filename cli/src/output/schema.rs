//! The published schema of results, docs/schema/output: it is rendered from the types that print them, and what is printed
//! is checked against it. `cargo xtask docs` writes it anew.

use std::{fs, path::PathBuf};

use jsonschema::Validator;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;
use shoal_proto::v1;

use super::{
    BuiltJson, ClusterJson, DeletedJson, DockerfileJson, DoctorJson, EventJson, ForwardJson, HostJson,
    ImagesJson, LoadedJson, NetworkJson, NodeJson, PlacementReasonJson, PlanJson, RegistryJson, ResumedJson,
    SshConfigJson, StatusJson, SweepJson, UnregisteredJson, VersionJson, data,
};
use crate::generated::assert_published;

/// A kind of result: the name of its file, the commands that print it, its schema.
struct Kind {
    name: &'static str,
    of: &'static str,
    schema: fn() -> Value,
}

/// Every kind of result. One that is new is a line here.
const KINDS: &[Kind] = &[
    kind::<BuiltJson>("built", "shoal build image"),
    kind::<ClusterJson>("cluster", "shoal get cluster, shoal create cluster"),
    kind::<Vec<ClusterJson>>("clusters", "shoal get clusters"),
    kind::<DeletedJson>("deleted", "shoal delete cluster"),
    kind::<DockerfileJson>("dockerfile", "shoal build dockerfile"),
    kind::<DoctorJson>("doctor", "shoal doctor"),
    kind::<EventJson>("event", "a line of --progress json"),
    kind::<Vec<EventJson>>("events", "shoal get events"),
    kind::<Vec<ForwardJson>>("forwards", "shoal port-forward"),
    kind::<HostJson>("host", "shoal register, shoal set host"),
    kind::<Vec<HostJson>>("hosts", "shoal get hosts"),
    kind::<ImagesJson>("images", "shoal get images"),
    kind::<Vec<LoadedJson>>("loaded", "shoal load image"),
    kind::<Vec<NetworkJson>>("networks", "shoal get networks"),
    kind::<Vec<NodeJson>>("nodes", "shoal get nodes"),
    kind::<PlacementReasonJson>("placement-reason", "shoal explain placement"),
    kind::<PlanJson>("plan", "shoal create cluster --dry-run"),
    kind::<Vec<RegistryJson>>("registries", "shoal get registries"),
    kind::<ResumedJson>("resumed", "shoal resume"),
    kind::<SshConfigJson>("ssh-config", "shoal get ssh-config"),
    kind::<StatusJson>("status", "shoal status"),
    kind::<SweepJson>("sweep", "shoal sweep"),
    kind::<UnregisteredJson>("unregistered", "shoal unregister"),
    kind::<VersionJson>("version", "shoal version"),
];

const fn kind<T: JsonSchema>(name: &'static str, of: &'static str) -> Kind {
    Kind { name, of, schema: schema::<T> }
}

/// The schema as a result is printed: every field is there, what is not known is null.
fn schema<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

fn rendered(kind: &Kind) -> String {
    let mut schema = (kind.schema)();
    schema["title"] = kind.of.into();
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/schema/output")
}

#[test]
fn what_is_published_is_what_is_printed() {
    let files = KINDS.iter().map(|kind| (format!("{}.json", kind.name), rendered(kind)));
    assert_published("schema/output", ".json", &files.collect());
}

/// What differs between a result and the published schema of its kind.
fn faults(kind: &str, value: &Value) -> Vec<String> {
    let text = fs::read_to_string(directory().join(format!("{kind}.json"))).unwrap();
    let validator: Validator = jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap();
    validator.iter_errors(value).map(|fault| fault.to_string()).collect()
}

/// Asserts that a result fits the published schema of its kind, as JSON and as YAML.
pub(super) fn assert_fits(kind: &str, value: &impl serde::Serialize) {
    let json: Value = serde_json::from_str(&data::json(value).unwrap()).unwrap();
    let yaml: Value = serde_saphyr::from_str(&data::yaml(value).unwrap()).unwrap();
    for (form, value) in [("json", &json), ("yaml", &yaml)] {
        let faults = faults(kind, value);
        assert!(faults.is_empty(), "{form} of {kind}: {faults:?}\n{value:#}");
    }
    assert_eq!(json, yaml);
}

#[test]
fn what_is_printed_fits_what_is_published() {
    let text = |word: &str| word.to_owned();
    let (dry_run, answer) = (
        true,
        v1::SweepResponse {
            hosts: vec![v1::SweptHost { name: text("host1"), ..v1::SweptHost::default() }],
            things: vec![v1::SweptThing { age_ms: Some(1), ..v1::SweptThing::default() }],
            too_much: Some(v1::TooMuch { going: 1, total: 2 }),
        },
    );
    assert_fits("sweep", &SweepJson::new(dry_run, answer));
    assert_fits("sweep", &SweepJson::new(false, v1::SweepResponse::default()));
    let mut resumed = ResumedJson::default();
    resumed.add(v1::ResumedCluster { name: text("dev"), end: text("ready"), reason: String::new() });
    assert_fits("resumed", &resumed);
    let (listen, node) = (text("127.0.0.1:1"), text("worker-0.dev"));
    assert_fits("forwards", &[ForwardJson { listen, node, port: 22 }]);
    let (realm, clusters, config) = (text("default"), vec![text("dev")], text("Host x"));
    assert_fits("ssh-config", &SshConfigJson { realm, clusters, file: None, config });
    assert_fits("dockerfile", &DockerfileJson { directory: text("d"), suite: text("bookworm") });
    let (images, silent) = (vec![v1::Image::default()], vec![v1::SilentHost::default()]);
    assert_fits("images", &ImagesJson::from(v1::ListImagesResponse { images, silent }));
    assert_fits(
        "registries",
        &[RegistryJson::from(v1::Registry { updated_ms: 1, ..v1::Registry::default() })],
    );
    assert_fits("deleted", &DeletedJson { deleted: vec![text("dev")] });
    let (name, left_behind) = (text("host1"), vec![text("a volume")]);
    assert_fits("unregistered", &UnregisteredJson { name, forgotten_nodes: 2, left_behind });
    let (tag, image_id, path) = (text("a:b"), text("sha256:1"), text("a.tar"));
    let (suite, slurm_version) = (text("bookworm"), text("22.05.8"));
    assert_fits("built", &BuiltJson { tag, image_id, path, size_bytes: 1, suite, slurm_version });
    assert_fits("version", &VersionJson { version: "0.1.0", platform: text("x86_64-linux") });
    let node = || v1::Node { name: text("worker-0"), age_ms: 5, ..v1::Node::default() };
    let network = || v1::Network { hosts: vec![text("host1")], ..v1::Network::default() };
    assert_fits("nodes", &[NodeJson::from(node())]);
    assert_fits("networks", &[NetworkJson::from(network())]);
    let cluster = v1::Cluster { nodes: vec![node()], network: Some(network()), ..v1::Cluster::default() };
    assert_fits("clusters", &[ClusterJson::from(cluster.clone()), ClusterJson::from(v1::Cluster::default())]);
    assert_fits("cluster", &ClusterJson::from(cluster));
    assert_fits("hosts", &[HostJson::from(v1::Host::default())]);
    let bytes = v1::Event { seq: 3, done_bytes: Some(1), total_bytes: Some(2), ..v1::Event::default() };
    assert_fits("events", &[EventJson::from(bytes), EventJson::from(v1::Event::default())]);
}

#[test]
fn a_field_that_is_gone_or_of_another_type_is_found() {
    let whole = serde_json::to_value(HostJson::from(v1::Host::default())).unwrap();
    assert!(faults("host", &whole).is_empty());
    for field in whole.as_object().unwrap().keys() {
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(field);
        assert!(!faults("host", &less).is_empty(), "{field} may be left out");
        let mut other = whole.clone();
        other[field] = true.into();
        assert!(!faults("host", &other).is_empty(), "{field} may be a boolean");
    }
}
