//! The shapes, as programs read them.

use serde::Serialize;
use shoal_api::{
    Agent, Amounts, CgroupVersion, Cluster, Cores, Engine, EventJson, Host, Loaded, Network, Node, Phase,
    Time,
};
use shoal_types::{
    AgentState, CgroupWay, Event, EventKind, EventLevel, HostState, MilliCpu, NewEvent, NodeState,
    PrivilegedNodes, Role, Timestamp,
};

use super::{data, schema::assert_fits};

fn pretty(value: impl Serialize) -> String {
    data::json(&value).unwrap()
}

/// As JSON, once it was seen to fit the published schema, in YAML too.
fn fits(kind: &str, value: impl Serialize) -> String {
    assert_fits(kind, &value);
    pretty(value)
}

fn node(name: &str, host: Option<&str>) -> Node {
    Node {
        id: "nod_1".into(),
        name: name.into(),
        cluster: "dev".into(),
        realm: "default".into(),
        role: Role::Worker,
        host: host.map(Into::into),
        address: "10.96.0.2".into(),
        mac: "02:42:0a:60:00:02".into(),
        fqdn: format!("{name}.dev.default.shoal.internal"),
        state: NodeState::Ready,
        age_ms: 0,
        host_error: None,
        failing: None,
    }
}

#[test]
fn a_host() {
    let host = Host {
        id: "hst_1".into(),
        name: "host1".into(),
        endpoint: "tcp://192.0.2.1:2376".into(),
        state: HostState::Ready,
        labels: [("rack".into(), "b".into()), ("gpu".into(), "yes".into())].into(),
        capacity: Amounts { cpus: Cores(MilliCpu(8000)), memory_bytes: 1 << 34, node_slots: 120 },
        reserved: Amounts { cpus: Cores(MilliCpu(1050)), memory_bytes: 64 << 20, node_slots: 1 },
        nodes: 1,
        engine: Engine {
            version: Some("28.5.2".into()),
            api_version: Some("1.51".into()),
            cgroup: CgroupVersion::V2,
            cgroup_way: CgroupWay::Writable,
        },
        agent: Agent { version: None, state: AgentState::Absent },
        privileged_nodes: PrivilegedNodes::Allow,
        scheduling: shoal_types::Scheduling::Schedulable,
        underlay: None,
        mtu: None,
        set_mtu: None,
        error: None,
        filter_fault: None,
        last_seen: Time::known(Timestamp(1_700_000_000_000)),
        age_ms: 0,
    };
    insta::assert_snapshot!(fits("host", host), @r#"
    {
      "name": "host1",
      "endpoint": "tcp://192.0.2.1:2376",
      "state": "ready",
      "labels": {
        "gpu": "yes",
        "rack": "b"
      },
      "capacity": {
        "cpus": 8,
        "memory_bytes": 17179869184,
        "node_slots": 120
      },
      "reserved": {
        "cpus": 1.05,
        "memory_bytes": 67108864,
        "node_slots": 1
      },
      "nodes": 1,
      "engine": {
        "version": "28.5.2",
        "api_version": "1.51",
        "cgroup": "v2",
        "cgroup_way": "writable"
      },
      "agent": {
        "version": null,
        "state": "absent"
      },
      "privileged_nodes": "allow",
      "scheduling": "schedulable",
      "id": "hst_1",
      "underlay": null,
      "mtu": null,
      "set_mtu": null,
      "error": null,
      "filter_fault": null,
      "last_seen": "2023-11-14T22:13:20Z"
    }
    "#);
}

#[test]
fn a_cluster_with_its_nodes_and_network() {
    let cluster = Cluster {
        id: "clu_1".into(),
        realm: "default".into(),
        name: "dev".into(),
        phase: Phase::Ready,
        slurm_version: Some("22.05.8".into()),
        nodes: vec![node("worker-0", Some("host1")), node("worker-1", None)],
        network: Some(Network {
            id: "net_1".into(),
            cluster: "dev".into(),
            realm: "default".into(),
            subnet: "10.96.0.0/24".into(),
            gateway: "10.96.0.1".into(),
            vni: 77,
            mtu: 1450,
            udp_port: 4799,
            hosts: vec!["host2".into(), "host10".into()],
        }),
        image: "shoal-node:bookworm".into(),
        created: Time::known(Timestamp(1_700_000_000_001)),
        failure: None,
        healing: shoal_types::Healing::default().into(),
        expires: Time::known(Timestamp(1_700_000_100_000)),
    };
    insta::assert_snapshot!(fits("cluster", cluster), @r#"
    {
      "name": "dev",
      "realm": "default",
      "phase": "ready",
      "slurm_version": "22.05.8",
      "nodes": [
        {
          "name": "worker-0",
          "cluster": "dev",
          "realm": "default",
          "role": "worker",
          "host": "host1",
          "address": "10.96.0.2",
          "mac": "02:42:0a:60:00:02",
          "fqdn": "worker-0.dev.default.shoal.internal",
          "state": "ready",
          "age_ms": 0,
          "host_error": null,
          "failing": null,
          "id": "nod_1"
        },
        {
          "name": "worker-1",
          "cluster": "dev",
          "realm": "default",
          "role": "worker",
          "host": null,
          "address": "10.96.0.2",
          "mac": "02:42:0a:60:00:02",
          "fqdn": "worker-1.dev.default.shoal.internal",
          "state": "ready",
          "age_ms": 0,
          "host_error": null,
          "failing": null,
          "id": "nod_1"
        }
      ],
      "network": {
        "cluster": "dev",
        "realm": "default",
        "subnet": "10.96.0.0/24",
        "gateway": "10.96.0.1",
        "vni": 77,
        "mtu": 1450,
        "udp_port": 4799,
        "hosts": [
          "host2",
          "host10"
        ]
      },
      "image": "shoal-node:bookworm",
      "created": "2023-11-14T22:13:20.001Z",
      "failure": null,
      "healing": {
        "policy": "default",
        "after_ms": 120000,
        "copies_ms": 60000
      },
      "expires": "2023-11-14T22:15:00Z",
      "id": "clu_1"
    }
    "#);
}

#[test]
fn an_event() {
    let event = NewEvent {
        at: Timestamp(1_700_000_000_000),
        level: EventLevel::Info,
        kind: EventKind::Host,
        cluster: None,
        node: None,
        host: Some("host1".parse().unwrap()),
        message: "registered".into(),
        progress: None,
        user: None,
    };
    let event = Event { seq: 7, event };
    insta::assert_snapshot!(fits("event", EventJson::from(&event)), @r#"
    {
      "seq": 7,
      "at": "2023-11-14T22:13:20Z",
      "level": "info",
      "kind": "host",
      "realm": null,
      "cluster": null,
      "node": null,
      "host": "host1",
      "user": null,
      "message": "registered",
      "done_bytes": null,
      "total_bytes": null
    }
    "#);
}

#[test]
fn lists_are_never_null() {
    let failed = Loaded {
        host: "host1".into(),
        references: vec![],
        image_id: None,
        elapsed_ms: None,
        error: Some("refused".into()),
    };
    insta::assert_snapshot!(fits("loaded", [failed]), @r#"
    [
      {
        "host": "host1",
        "references": [],
        "image_id": null,
        "elapsed_ms": null,
        "error": "refused"
      }
    ]
    "#);
    assert_eq!(fits("hosts", Vec::<Host>::new()), "[]");
}
