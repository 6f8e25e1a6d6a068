//! A cluster's state as people and programs read it.

use shoal_api::{
    ClusterImage, ContainerState, Failing, HostStatus, Network, NetworkPart, NodeStatus, ServiceState, Slurm,
    StateCopy, SystemdState,
};
use shoal_types::{HealingPolicy, Role};

use super::*;

const TERMINAL: Width = Width(Some(80));

fn node(name: &str, role: Role, host: &str) -> NodeStatus {
    NodeStatus {
        name: name.into(),
        role,
        host: Some(host.into()),
        address: "10.96.0.12".into(),
        container: ContainerState::Running,
        systemd: SystemdState::Running,
        munge: ServiceState::Up,
        sshd: ServiceState::Up,
        daemon: Some(ServiceState::Up),
        slurm: (role == Role::Worker).then(|| "idle".into()),
        slurm_reason: None,
        age_ms: 0,
        troubles: vec![],
        failing: None,
    }
}

fn host(name: &str) -> HostStatus {
    HostStatus {
        name: name.into(),
        nodes: 2,
        engine_version: Some("28.5.2".into()),
        agent_version: Some("0.1.0".into()),
        network: NetworkPart::Ok,
        network_trouble: None,
        error: None,
        agent_error: None,
        age_ms: 0,
    }
}

fn status() -> Status {
    Status {
        name: "dev".into(),
        realm: "default".into(),
        phase: Phase::Ready,
        well: true,
        failure: None,
        nodes: vec![
            node("controller", Role::Controller, "host1"),
            node("worker-0", Role::Worker, "host2"),
            node("worker-1", Role::Worker, "host1"),
        ],
        hosts: vec![host("host1"), host("host2")],
        network: Some(Network {
            cluster: String::new(),
            realm: String::new(),
            subnet: "10.96.0.0/24".into(),
            gateway: "10.96.0.1".into(),
            vni: 77,
            mtu: 1450,
            udp_port: 4799,
            hosts: vec![],
            id: String::new(),
        }),
        image: ClusterImage {
            reference: "shoal-node:bookworm".into(),
            digest: "sha256:0123456789abcdef0123".into(),
        },
        healing: shoal_types::Healing::default().into(),
        expires: None,
        slurm: Slurm {
            version: Some("22.05.8".into()),
            error: None,
            workers: [("idle".to_owned(), 2)].into(),
        },
        state_copy: Some(StateCopy {
            age_ms: Some(12_400),
            state_bytes: 184_320,
            copy_bytes: 9_000,
            trouble: None,
        }),
        elapsed_ms: 90,
        created: None,
        id: String::new(),
    }
}

#[test]
fn all_is_well() {
    let status = status();
    assert!(status.is_well());
    insta::assert_snapshot!(status_text(TERMINAL, &status), @r"
    dev is ready: 3 of 3 nodes are well; workers: 2 idle
    slurm:   22.05.8
    image:   shoal-node:bookworm (sha256:0123456789ab)
    network: 10.96.0.0/24, gateway 10.96.0.1, VNI 77 on UDP 4799, MTU 1450
    state:   copied 12 s ago, 180 KiB
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
    let mut answer = status();
    let drained = "Slurm has it drained: bad \u{1b}[31mmemory";
    answer.nodes[1].slurm = Some("drained".into());
    answer.nodes[1].slurm_reason = Some("bad \u{1b}[31mmemory".into());
    answer.nodes[1].troubles = vec![drained.into()];
    for at in [0, 2] {
        answer.nodes[at].container = ContainerState::Unknown;
        answer.nodes[at].age_ms = 300_000;
        answer.nodes[at].troubles = vec!["its host does not answer".into()];
    }
    answer.nodes[2].slurm = Some("unknown".into());
    answer.slurm.workers = [("drained".to_owned(), 1), ("unknown".to_owned(), 1)].into();
    answer.hosts[0].error = Some("host host1: did not answer within 2 s".into());
    answer.hosts[0].age_ms = 300_000;
    answer.hosts[0].network = NetworkPart::Unknown;
    answer.hosts[0].agent_version = None;
    answer.hosts[1].network = NetworkPart::Trouble;
    answer.hosts[1].network_trouble = Some("bridge sb1 does not exist".into());
    answer.slurm.error = Some("host host1: did not answer within 2 s".into());
    let status = answer;
    assert!(!status.is_well());
    let text = status_text(TERMINAL, &status);
    insta::assert_snapshot!(text, @r"
    dev is ready, but not well: 0 of 3 nodes are well; workers: 1 drained, 1 unknown
    slurm:   22.05.8
    image:   shoal-node:bookworm (sha256:0123456789ab)
    network: 10.96.0.0/24, gateway 10.96.0.1, VNI 77 on UDP 4799, MTU 1450
    state:   copied 12 s ago, 180 KiB
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
fn a_node_that_fails_is_told_with_its_last_words() {
    let mut status = status();
    let failing = Failing {
        ends: 4,
        exit_status: Some(137),
        out_of_memory: true,
        log: vec!["slurmd: cannot\u{1b}[0m".into(), "no space left".into()],
        restart_in_ms: Some(40_000),
    };
    status.nodes[2].container = ContainerState::Exited;
    status.nodes[2].systemd = SystemdState::Stopped;
    status.nodes[2].troubles = vec![format!("failing: {failing}"), "Slurm has it down*".into()];
    status.nodes[2].failing = Some(failing);
    status.healing.policy = HealingPolicy::Restart;
    crate::output::schema::assert_fits("status", &status);
    insta::assert_snapshot!(status_text(TERMINAL, &status), @r"
    dev is ready, but not well: 2 of 3 nodes are well; workers: 2 idle
    slurm:   22.05.8
    image:   shoal-node:bookworm (sha256:0123456789ab)
    healing: restart, after 2m
    network: 10.96.0.0/24, gateway 10.96.0.1, VNI 77 on UDP 4799, MTU 1450
    state:   copied 12 s ago, 180 KiB
    host:    host1: 2 nodes, engine 28.5.2, agent 0.1.0, network ok
    host:    host2: 2 nodes, engine 28.5.2, agent 0.1.0, network ok

    NAME        CONTAINER  SYSTEMD  MUNGE  SSHD  SLURM  HOST   ADDRESS     SEEN
    controller  running    running  up     up    -      host1  10.96.0.12  now
    worker-0    running    running  up     up    idle   host2  10.96.0.12  now
    worker-1    exited     stopped  up     up    idle   host1  10.96.0.12  now

    worker-1: failing: ended 4 times in a row, last with exit status 137, out of memory; next restart in 40s
    worker-1: Slurm has it down*
    worker-1 | slurmd: cannot\u{1b}[0m
    worker-1 | no space left
    ");
}

#[test]
fn copies_of_the_state_are_told_with_their_age_and_what_keeps_them() {
    let copy = |age_ms, trouble: Option<&str>| {
        let trouble = trouble.map(Into::into);
        Some(StateCopy { age_ms, state_bytes: 184_320, copy_bytes: 9_000, trouble })
    };
    let large = Some("it is larger than 64 MiB");
    for (copies_ms, state_copy, told) in [
        (60_000, None, "no copy off its host yet"),
        (0, None, "not copied off its host"),
        (60_000, copy(Some(12_400), None), "copied 12 s ago, 180 KiB"),
        (60_000, copy(Some(150_000), large), "copied 2 min ago, 180 KiB; now it is larger than 64 MiB"),
        (60_000, copy(None, large), "no copy off its host yet; now it is larger than 64 MiB"),
        (0, copy(Some(7_200_000), None), "not copied off its host; the last copy is 2 h old"),
    ] {
        let mut status = Status { state_copy, ..status() };
        status.healing.copies_ms = copies_ms;
        assert_eq!(state(&status), told);
    }
}

#[test]
fn a_cluster_that_is_not_ready_is_not_well() {
    for phase in [Phase::Creating, Phase::Interrupted, Phase::Failed, Phase::Deleting] {
        let status = Status { phase, ..status() };
        assert!(!status.is_well(), "{phase}");
        assert!(headline(&status).starts_with(&format!("dev is {phase}: 3 of 3")), "{}", headline(&status));
    }
}

#[test]
fn for_programs() {
    let mut answer = status();
    answer.nodes.truncate(1);
    answer.hosts.truncate(1);
    answer.slurm.workers.clear();
    let status = answer;
    crate::output::schema::assert_fits("status", &status);
    insta::assert_snapshot!(serde_json::to_string_pretty(&status).unwrap());
}
