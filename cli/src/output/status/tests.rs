//! A cluster's state as people and programs read it.

use super::*;

const TERMINAL: Width = Width(Some(80));

fn node(name: &str, role: &str, host: &str) -> v1::NodeStatus {
    let worker = role == "worker";
    v1::NodeStatus {
        name: name.into(),
        role: role.into(),
        host: host.into(),
        address: "10.96.0.12".into(),
        container: "running".into(),
        systemd: "running".into(),
        munge: "up".into(),
        sshd: "up".into(),
        daemon: "up".into(),
        slurm: if worker { "idle".into() } else { String::new() },
        ..v1::NodeStatus::default()
    }
}

fn host(name: &str) -> v1::HostStatus {
    v1::HostStatus {
        name: name.into(),
        nodes: 2,
        engine_version: "28.5.2".into(),
        agent_version: "0.1.0".into(),
        network: "ok".into(),
        ..v1::HostStatus::default()
    }
}

fn answer() -> v1::GetStatusResponse {
    v1::GetStatusResponse {
        cluster: Some(v1::Cluster {
            realm: "default".into(),
            name: "dev".into(),
            phase: "ready".into(),
            slurm_version: "22.05.8".into(),
            image: "shoal-node:bookworm".into(),
            network: Some(v1::Network {
                subnet: "10.96.0.0/24".into(),
                gateway: "10.96.0.1".into(),
                vni: 77,
                mtu: 1450,
                udp_port: 4799,
                ..v1::Network::default()
            }),
            ..v1::Cluster::default()
        }),
        nodes: vec![
            node("controller", "controller", "host1"),
            node("worker-0", "worker", "host2"),
            node("worker-1", "worker", "host1"),
        ],
        hosts: vec![host("host1"), host("host2")],
        image_id: "sha256:0123456789abcdef0123".into(),
        slurm_error: String::new(),
        elapsed_ms: 90,
    }
}

#[test]
fn all_is_well() {
    let status = StatusJson::try_from(answer()).unwrap();
    assert!(status.is_well());
    insta::assert_snapshot!(status_text(TERMINAL, &status), @r"
    dev is ready: 3 of 3 nodes are well; workers: 2 idle
    slurm:   22.05.8
    image:   shoal-node:bookworm (sha256:0123456789ab)
    network: 10.96.0.0/24, gateway 10.96.0.1, VNI 77 on UDP 4799, MTU 1450
    host:    host1: 2 nodes, engine 28.5.2, agent 0.1.0, network ok
    host:    host2: 2 nodes, engine 28.5.2, agent 0.1.0, network ok

    NAME        CONTAINER  SYSTEMD  MUNGE  SSHD  SLURM  HOST   ADDRESS     SEEN
    controller  running    running  up     up    -      host1  10.96.0.12  now
    worker-0    running    running  up     up    idle   host2  10.96.0.12  now
    worker-1    running    running  up     up    idle   host1  10.96.0.12  now
    ");
}

#[test]
fn what_is_wrong_is_said_once_and_fits_a_terminal() {
    let mut answer = answer();
    let drained = "Slurm has it drained: bad \u{1b}[31mmemory";
    answer.nodes[1].slurm = "drained".into();
    answer.nodes[1].slurm_reason = "bad \u{1b}[31mmemory".into();
    answer.nodes[1].troubles = vec![drained.into()];
    for at in [0, 2] {
        answer.nodes[at].container = "unknown".into();
        answer.nodes[at].age_ms = 300_000;
        answer.nodes[at].troubles = vec!["its host does not answer".into()];
    }
    answer.nodes[2].slurm = "unknown".into();
    answer.hosts[0].error = "host host1: did not answer within 2 s".into();
    answer.hosts[0].age_ms = 300_000;
    answer.hosts[0].network = "unknown".into();
    answer.hosts[0].agent_version = String::new();
    answer.hosts[1].network = "trouble".into();
    answer.hosts[1].network_trouble = "bridge sb1 does not exist".into();
    answer.slurm_error = "host host1: did not answer within 2 s".into();
    let status = StatusJson::try_from(answer).unwrap();
    assert!(!status.is_well());
    let text = status_text(TERMINAL, &status);
    insta::assert_snapshot!(text, @r"
    dev is ready, but not well: 0 of 3 nodes are well; workers: 1 drained, 1 unknown
    slurm:   22.05.8
    image:   shoal-node:bookworm (sha256:0123456789ab)
    network: 10.96.0.0/24, gateway 10.96.0.1, VNI 77 on UDP 4799, MTU 1450
    host:    host1: 2 nodes, engine 28.5.2, agent unknown, network unknown
    host:    host2: 2 nodes, engine 28.5.2, agent 0.1.0, network trouble

    NAME        CONTAINER  SYSTEMD  MUNGE  SSHD  SLURM    HOST   ADDRESS     SEEN
    controller  unknown    running  up     up    -        host1  10.96.0.12  5 min
    worker-0    running    running  up     up    drained  host2  10.96.0.12  now
    worker-1    unknown    running  up     up    unknown  host1  10.96.0.12  5 min

    Slurm does not answer: host host1: did not answer within 2 s
    host1: did not answer within 2 s (last heard 5 min ago)
    host2: its network: bridge sb1 does not exist
    controller,worker-1: its host does not answer
    worker-0: Slurm has it drained: bad \u{1b}[31mmemory
    ");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_cluster_that_is_not_ready_is_not_well() {
    for phase in ["creating", "interrupted", "failed", "deleting"] {
        let mut answer = answer();
        if let Some(cluster) = &mut answer.cluster {
            cluster.phase = phase.into();
        }
        let status = StatusJson::try_from(answer).unwrap();
        assert!(!status.is_well(), "{phase}");
        assert!(status.headline().starts_with(&format!("dev is {phase}: 3 of 3")), "{}", status.headline());
    }
    assert!(StatusJson::try_from(v1::GetStatusResponse::default()).is_err());
}

#[test]
fn for_programs() {
    let mut answer = answer();
    answer.nodes.truncate(1);
    answer.hosts.truncate(1);
    let status = StatusJson::try_from(answer).unwrap();
    crate::output::schema::assert_fits("status", &status);
    insta::assert_snapshot!(serde_json::to_string_pretty(&status).unwrap());
}
