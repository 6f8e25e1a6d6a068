//! The published schema of results, docs/schema/output: it is rendered from the types that print them, and what is printed
//! is checked against it. `cargo xtask docs` writes it anew.

use jsonschema::Validator;
use serde_json::Value;
use shoal_api::{
    Agent, Amounts, Built, CgroupVersion, Cluster, Deleted, Dockerfile, Drain, DrainedCluster, Engine,
    EventJson, Failing, Forward, Host, Image, Images, Installation, Mend, MendKind, MovedNode, Network, Node,
    NodeMove, Phase, Rebalance, RebalancedCluster, RebalancedHost, Registry, Repair, RepairedCluster,
    ResumeEnd, Resumed, ResumedCluster, SilentHost, SshConfig, StayingNode, Sweep, SweepEnd, SweptHost,
    SweptThing, ThingKind, TooMuch, Unregistered, Validated, Version,
    schema::{KINDS, Kind},
};
use shoal_types::{
    AgentState, CgroupWay, EventKind, EventLevel, HostState, NodeState, PrivilegedNodes, Role,
};

use super::data;
use crate::generated::assert_published;

fn rendered(kind: &Kind) -> String {
    serde_json::to_string_pretty(&kind.schema()).unwrap() + "\n"
}

#[test]
fn what_is_published_is_what_is_printed() {
    let files = KINDS.iter().map(|kind| (format!("{}.json", kind.name), rendered(kind)));
    assert_published("schema/output", ".json", &files.collect());
}

/// What differs between a result and the published schema of its kind.
fn faults(kind: &str, value: &Value) -> Vec<String> {
    let kind = KINDS.iter().find(|known| known.name == kind).unwrap();
    let validator: Validator = jsonschema::validator_for(&kind.schema()).unwrap();
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

fn host() -> Host {
    Host {
        name: "host1".into(),
        endpoint: String::new(),
        state: HostState::Ready,
        labels: [].into(),
        capacity: Amounts::default(),
        reserved: Amounts::default(),
        nodes: 0,
        engine: Engine {
            version: None,
            api_version: None,
            cgroup: CgroupVersion::V2,
            cgroup_way: CgroupWay::Writable,
        },
        agent: Agent { version: None, state: AgentState::Absent },
        privileged_nodes: PrivilegedNodes::Allow,
        scheduling: shoal_types::Scheduling::Schedulable,
        id: String::new(),
        underlay: None,
        mtu: None,
        set_mtu: None,
        error: None,
        filter_fault: None,
        last_seen: None,
        age_ms: 0,
    }
}

fn event() -> EventJson {
    EventJson {
        seq: None,
        at: None,
        level: EventLevel::Info,
        kind: EventKind::Step,
        realm: None,
        cluster: None,
        node: None,
        host: None,
        user: None,
        message: String::new(),
        done_bytes: None,
        total_bytes: None,
    }
}

#[test]
fn what_is_printed_fits_what_is_published() {
    let text = |word: &str| word.to_owned();
    let thing = SweptThing {
        host: text("host1"),
        kind: ThingKind::Volume,
        name: text("v"),
        id: text("v"),
        age_ms: Some(1),
        reason: text("no row"),
        end: SweepEnd::WouldGo,
    };
    let swept = SweptHost { name: text("host1"), things: 1, agent_asked: false, error: None };
    let too_much = Some(TooMuch { going: 1, total: 2 });
    assert_fits("sweep", &Sweep { dry_run: true, hosts: vec![swept], things: vec![thing], too_much });
    assert_fits("sweep", &Sweep::default());
    let mend = Mend {
        kind: MendKind::Start,
        host: text("host1"),
        node: Some(text("worker-0")),
        reason: text("exited"),
    };
    let repaired = RepairedCluster {
        name: text("dev"),
        mends: vec![mend],
        troubles: vec![text("worker-1: munge is down")],
        drained: vec![text("worker-2")],
        error: None,
    };
    assert_fits("repair", &Repair { dry_run: true, clusters: vec![repaired] });
    let moved = vec![MovedNode { node: text("worker-0"), to: text("host2") }];
    let drained = DrainedCluster {
        realm: text("default"),
        name: text("dev"),
        moved,
        left: vec![text("worker-1")],
        error: Some(text("jobs")),
    };
    let scheduling = shoal_types::Scheduling::Draining;
    let drain = Drain { host: text("host1"), scheduling, dry_run: false, clusters: vec![drained] };
    assert_fits("drain", &drain);
    let rebalanced = RebalancedCluster {
        realm: text("default"),
        name: text("dev"),
        moves: vec![NodeMove { node: text("worker-0"), from: text("host1"), to: text("host2") }],
        stay: vec![StayingNode { node: text("worker-1"), host: text("host1"), why: text("jobs") }],
        error: None,
    };
    let carries = RebalancedHost {
        name: text("host1"),
        nodes_before: 2,
        nodes_after: 1,
        load_before_millionths: 20_000,
        load_after_millionths: 10_000,
    };
    assert_fits("rebalance", &Rebalance { dry_run: false, hosts: vec![carries], clusters: vec![rebalanced] });
    let resumed = ResumedCluster { name: text("dev"), end: ResumeEnd::Ready, reason: None };
    assert_fits("resumed", &Resumed { clusters: vec![resumed] });
    let (listen, node) = (text("127.0.0.1:1"), text("worker-0.dev"));
    assert_fits("forwards", &[Forward { listen, node, port: 22 }]);
    let (realm, clusters, config) = (text("default"), vec![text("dev")], text("Host x"));
    assert_fits("ssh-config", &SshConfig { realm, clusters, file: None, config });
    assert_fits("dockerfile", &Dockerfile { directory: text("d"), suite: text("bookworm") });
    let silent = vec![SilentHost { host: text("host1"), error: text("refused") }];
    assert_fits("images", &Images { images: vec![Image::default()], silent });
    let pools = vec![text("10.96.0.0/12")];
    assert_fits("installation", &Installation { id: text("0a1b2c"), pools });
    assert_fits(
        "registries",
        &[Registry { registry: text("r:1"), username: text("ann"), hosts: None, updated: None }],
    );
    let user = shoal_api::User {
        name: text("ann"),
        role: shoal_types::UserRole::Operator,
        realms: vec![text("a")],
        created: None,
        expires: shoal_api::Time::known(shoal_types::Timestamp(5)),
        revoked: None,
    };
    assert_fits("user", &user);
    assert_fits("users", &[user]);
    let context = shoal_api::ServerContext {
        name: text("local"),
        is_used: true,
        user: None,
        servers: vec![],
        expires: None,
        error: Some(text("expired")),
    };
    assert_fits("contexts", &[context]);
    assert_fits("deleted", &Deleted { deleted: vec![text("dev")] });
    let (name, left_behind) = (text("host1"), vec![text("a volume")]);
    assert_fits("unregistered", &Unregistered { name, forgotten_nodes: 2, left_behind });
    let (tag, image_id, path) = (text("a:b"), text("sha256:1"), text("a.tar"));
    let (suite, slurm_version) = (text("bookworm"), text("22.05.8"));
    assert_fits("built", &Built { tag, image_id, path, size_bytes: 1, suite, slurm_version });
    let nodes = Role::ALL.map(|role| (role, 1)).into();
    assert_fits(
        "validated",
        &Validated { file: text("dev.yaml"), realm: text("lab"), name: text("dev"), nodes },
    );
    assert_fits(
        "version",
        &Version { version: "0.1.0", platform: text("x86_64-linux"), server_context: None },
    );
    let node = || Node {
        name: text("worker-0"),
        cluster: text("dev"),
        realm: text("default"),
        role: Role::Worker,
        host: None,
        address: String::new(),
        mac: String::new(),
        fqdn: String::new(),
        state: NodeState::Planned,
        age_ms: 5,
        host_error: None,
        failing: None,
        id: String::new(),
    };
    let network = || Network {
        cluster: text("dev"),
        realm: text("default"),
        subnet: String::new(),
        gateway: String::new(),
        vni: 1,
        mtu: 2,
        udp_port: 3,
        hosts: vec![text("host1")],
        id: String::new(),
    };
    let failing = Failing {
        ends: 4,
        exit_status: None,
        out_of_memory: false,
        log: vec![text("no")],
        restart_in_ms: Some(1),
    };
    assert_fits("nodes", &[node(), Node { failing: Some(failing), ..node() }]);
    assert_fits("networks", &[network()]);
    let cluster = Cluster {
        name: text("dev"),
        realm: text("default"),
        phase: Phase::Interrupted,
        slurm_version: None,
        nodes: vec![node()],
        network: Some(network()),
        image: String::new(),
        created: None,
        failure: None,
        healing: shoal_types::Healing::default().into(),
        expires: None,
        id: String::new(),
    };
    let bare = Cluster { nodes: vec![], network: None, ..cluster.clone() };
    assert_fits("clusters", &[cluster.clone(), bare]);
    assert_fits("cluster", &cluster);
    assert_fits("hosts", &[host()]);
    let bytes = EventJson { seq: Some(3), done_bytes: Some(1), total_bytes: Some(2), ..event() };
    assert_fits("events", &[bytes, event()]);
}

#[test]
fn a_field_that_is_gone_or_of_another_type_is_found() {
    let whole = serde_json::to_value(host()).unwrap();
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
