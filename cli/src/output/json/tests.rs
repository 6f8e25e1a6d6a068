//! The shapes, as programs read them.

use serde::Serialize;
use shoal_proto::v1;

use super::{ClusterJson, EventJson, HostJson, LoadedJson};
use crate::output::{data, schema::assert_fits};

fn pretty(value: impl Serialize) -> String {
    data::json(&value).unwrap()
}

/// As JSON, once it was seen to fit the published schema, in YAML too.
fn fits(kind: &str, value: impl Serialize) -> String {
    assert_fits(kind, &value);
    pretty(value)
}

fn node(name: &str, host: &str) -> v1::Node {
    v1::Node {
        id: "nod_1".into(),
        name: name.into(),
        cluster: "dev".into(),
        realm: "default".into(),
        role: "worker".into(),
        host: host.into(),
        address: "10.96.0.2".into(),
        mac: "02:42:0a:60:00:02".into(),
        fqdn: format!("{name}.dev.default.shoal.internal"),
        state: "ready".into(),
        ..v1::Node::default()
    }
}

#[test]
fn a_host() {
    let host = v1::Host {
        id: "hst_1".into(),
        name: "host1".into(),
        endpoint: "tcp://192.0.2.1:2376".into(),
        state: "ready".into(),
        labels: [("rack".into(), "b".into()), ("gpu".into(), "yes".into())].into(),
        capacity: Some(v1::Amounts { cpu_milli: 8000, memory_bytes: 1 << 34, node_slots: 120 }),
        reserved: Some(v1::Amounts { cpu_milli: 1050, memory_bytes: 64 << 20, node_slots: 1 }),
        nodes: 1,
        engine_version: "28.5.2".into(),
        engine_api_version: "1.51".into(),
        engine_cgroup: "v2".into(),
        cgroup_way: "writable".into(),
        agent_state: "absent".into(),
        last_seen_ms: 1_700_000_000_000,
        ..v1::Host::default()
    };
    insta::assert_snapshot!(fits("host", HostJson::from(host)), @r#"
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
      "id": "hst_1",
      "underlay": null,
      "error": null,
      "last_seen": "2023-11-14T22:13:20Z"
    }
    "#);
}

#[test]
fn a_cluster_with_its_nodes_and_network() {
    let cluster = v1::Cluster {
        id: "clu_1".into(),
        realm: "default".into(),
        name: "dev".into(),
        phase: "ready".into(),
        slurm_version: "22.05.8".into(),
        nodes: vec![node("worker-0", "host1"), node("worker-1", "")],
        network: Some(v1::Network {
            id: "net_1".into(),
            cluster: "dev".into(),
            realm: "default".into(),
            subnet: "10.96.0.0/24".into(),
            gateway: "10.96.0.1".into(),
            vni: 77,
            mtu: 1450,
            udp_port: 4799,
            hosts: vec!["host10".into(), "host2".into()],
        }),
        image: "shoal-node:bookworm".into(),
        created_ms: 1_700_000_000_001,
        failure: String::new(),
    };
    insta::assert_snapshot!(fits("cluster", ClusterJson::from(cluster)), @r#"
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
      "id": "clu_1"
    }
    "#);
}

#[test]
fn an_event() {
    let event = v1::Event {
        seq: 7,
        at_ms: 1_700_000_000_000,
        level: "info".into(),
        kind: "host".into(),
        host: "host1".into(),
        message: "registered".into(),
        ..v1::Event::default()
    };
    insta::assert_snapshot!(fits("event", EventJson::from(event)), @r#"
    {
      "seq": 7,
      "at": "2023-11-14T22:13:20Z",
      "level": "info",
      "kind": "host",
      "realm": null,
      "cluster": null,
      "node": null,
      "host": "host1",
      "message": "registered",
      "done_bytes": null,
      "total_bytes": null
    }
    "#);
}

#[test]
fn lists_are_never_null() {
    let failure = v1::LoadImageFailure { host: "host1".into(), error: "refused".into() };
    insta::assert_snapshot!(fits("loaded", [LoadedJson::from(failure)]), @r#"
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
    assert_eq!(fits("hosts", Vec::<HostJson>::new()), "[]");
}
