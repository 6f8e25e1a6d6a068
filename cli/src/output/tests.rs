//! What people see, in an 80-column terminal and in a pipe.

use jiff::tz::TimeZone;
use shoal_api::{
    Agent, Amounts, CgroupVersion, Cluster, Cores, Engine, Failing, Host, Network, Node, Phase, Time,
};
use shoal_types::{
    AgentState, CgroupWay, Event, EventKind, EventLevel, HostMtu, HostState, MilliCpu, NewEvent, NodeState,
    PrivilegedNodes, RealmName, Role, Timestamp,
};

use super::{
    Detail, Width, cluster_text, clusters_table, events_table, host_line, hosts_table, networks_table,
    nodes_table, root_warning,
};

const TERMINAL: Width = Width(Some(80));
const PIPE: Width = Width(None);
const USUAL: Detail = Detail::Usual;
const WIDE: Detail = Detail::Wide;

/// Without colours, as in a pipe.
fn plain(text: String) -> String {
    anstream::adapter::strip_str(&text).to_string()
}

fn amounts(cpu_milli: u64, memory_bytes: u64, node_slots: u32) -> Amounts {
    Amounts { cpus: Cores(MilliCpu(cpu_milli)), memory_bytes, node_slots }
}

fn host(name: &str) -> Host {
    Host {
        name: name.into(),
        endpoint: "tcp://192.0.2.1:2376".into(),
        state: HostState::Ready,
        labels: [("rack".into(), "b".into()), ("gpu".into(), "yes".into())].into(),
        capacity: amounts(32_000, 33 << 29, 120),
        reserved: amounts(1050, 192 << 20, 3),
        nodes: 3,
        engine: Engine {
            version: Some("20.10.24".into()),
            api_version: Some("1.41".into()),
            cgroup: CgroupVersion::V1,
            cgroup_way: CgroupWay::SysAdmin,
        },
        agent: Agent { version: None, state: AgentState::Ready },
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

fn cluster() -> Cluster {
    let node = |name: &str, role: Role, host: &str| Node {
        name: name.into(),
        cluster: "dev".into(),
        realm: String::new(),
        role,
        host: Some(host.into()),
        address: "10.96.0.2".into(),
        mac: String::new(),
        fqdn: format!("{name}.dev.default.shoal.internal"),
        state: NodeState::Ready,
        age_ms: 0,
        host_error: None,
        failing: None,
        id: String::new(),
    };
    Cluster {
        realm: "default".into(),
        name: "dev".into(),
        phase: Phase::Ready,
        slurm_version: Some("22.05.8".into()),
        nodes: vec![node("controller", Role::Controller, "host1"), node("worker-0", Role::Worker, "host2")],
        network: Some(Network {
            cluster: "dev".into(),
            realm: String::new(),
            subnet: "10.96.0.0/24".into(),
            gateway: "10.96.0.1".into(),
            vni: 77,
            mtu: 1450,
            udp_port: 4799,
            hosts: vec!["host2".into(), "host10".into()],
            id: String::new(),
        }),
        image: "shoal-node:bookworm".into(),
        created: None,
        failure: None,
        healing: shoal_types::Healing::default().into(),
        expires: None,
        id: String::new(),
    }
}

#[test]
fn hosts() {
    let down = Host {
        state: HostState::Unreachable,
        error: Some("host host2: connection refused".into()),
        ..host("host2")
    };
    let hosts = [host("host1"), down];
    insta::assert_snapshot!(plain(hosts_table(PIPE, USUAL, &hosts)), @"
    NAME   STATE        ENGINE    AGENT  NODES  CPUS     MEMORY            CGROUP        LABELS          ENDPOINT
    host1  ready        20.10.24  ready  3/120  1.05/32  192 MiB/16.5 GiB  v1 sys-admin  gpu=yes rack=b  tcp://192.0.2.1:2376
    host2  unreachable  20.10.24  ready  3/120  1.05/32  192 MiB/16.5 GiB  v1 sys-admin  gpu=yes rack=b  tcp://192.0.2.1:2376
    host2: connection refused
    ");
    insta::assert_snapshot!(plain(hosts_table(TERMINAL, USUAL, &hosts)), @"
    NAME   STATE        ENGINE    AGENT  NODES  CPUS     MEMORY
    host1  ready        20.10.24  ready  3/120  1.05/32  192 MiB/16.5 GiB
    host2  unreachable  20.10.24  ready  3/120  1.05/32  192 MiB/16.5 GiB
    host2: connection refused
    ");
    insta::assert_snapshot!(plain(host_line("registered", &hosts[0])), @"
    registered host1: Docker 20.10.24 (API 1.41), cgroup v1 (sys-admin), room for 32 CPUs, 16.5 GiB, 120 nodes
    ");
    let open = Host { filter_fault: Some("the kernel has no nf_tables".into()), ..hosts[0].clone() };
    insta::assert_snapshot!(plain(host_line("registered", &open)), @"
    registered host1: Docker 20.10.24 (API 1.41), cgroup v1 (sys-admin), room for 32 CPUs, 16.5 GiB, 120 nodes
    warning: whoever reaches UDP port 4799 of host1 can send into its clusters: the kernel has no nf_tables
    ");
    let set = Host { mtu: Some(1400), set_mtu: HostMtu::try_from(1400).ok(), ..hosts[0].clone() };
    assert!(host_line("changed", &set).ends_with("120 nodes, MTU 1400"), "{}", host_line("changed", &set));
    assert!(hosts_table(PIPE, USUAL, &[]).starts_with("no hosts; register one"));
}

#[test]
fn a_host_whose_nodes_are_root_on_it_is_told_unless_it_takes_none() {
    let host = host("host1");
    insta::assert_snapshot!(root_warning(&host).unwrap(), @"warning: root in a node is root on host1, and on every host of this kind (sys-admin) that shares a cluster with it; `shoal set host host1 --privileged-nodes deny` keeps nodes off it");
    let denied = Host { privileged_nodes: PrivilegedNodes::Deny, ..host.clone() };
    let engine = Engine { cgroup_way: CgroupWay::Writable, ..host.engine.clone() };
    assert_eq!([root_warning(&denied), root_warning(&Host { engine, ..host })], [None, None]);
}

#[test]
fn hosts_in_full() {
    let heard = Host {
        id: "hst_1".into(),
        underlay: Some("192.0.2.1".into()),
        mtu: Some(1500),
        last_seen: Time::known(Timestamp(1)),
        ..host("host1")
    };
    let full = Host {
        privileged_nodes: PrivilegedNodes::Deny,
        mtu: Some(1400),
        set_mtu: HostMtu::try_from(1400).ok(),
        reserved: amounts(32_000, 30 << 29, 120),
        nodes: 110,
        ..host("host2")
    };
    let hosts = [heard, full];
    insta::assert_snapshot!(plain(hosts_table(PIPE, WIDE, &hosts)), @"
    NAME   STATE  NODES             CPUS              MEMORY                     ENGINE    AGENT  CGROUP        PRIVILEGED  HEARD  UNDERLAY   MTU         LABELS          ENDPOINT              ID
    host1  ready  ▏······· 3/120    ▎······· 1.05/32  ▏······· 192 MiB/16.5 GiB  20.10.24  ready  v1 sys-admin  allow       0 s    192.0.2.1  1500        gpu=yes rack=b  tcp://192.0.2.1:2376  hst_1
    host2  ready  ███████▎ 110/120  ████████ 32/32    ███████▎ 15 GiB/16.5 GiB   20.10.24  ready  v1 sys-admin  deny        never             1400 (set)  gpu=yes rack=b  tcp://192.0.2.1:2376
    ");
    insta::assert_snapshot!(plain(hosts_table(TERMINAL, WIDE, &hosts)), @"
    NAME   STATE  NODES             CPUS              MEMORY
    host1  ready  ▏······· 3/120    ▎······· 1.05/32  ▏······· 192 MiB/16.5 GiB
    host2  ready  ███████▎ 110/120  ████████ 32/32    ███████▎ 15 GiB/16.5 GiB
    ");
}

#[test]
fn everything_in_full() {
    let mut full = cluster();
    full.id = "clu_1".into();
    full.created = Time::known(Timestamp(1_700_000_000_000));
    insta::assert_snapshot!(plain(clusters_table(PIPE, WIDE, &[full.clone()])), @"
    NAME  PHASE  NODES  WORKERS  HOSTS  SLURM    SUBNET        IMAGE                REALM    CREATED               ID     FAILURE
    dev   ready  2      1        2      22.05.8  10.96.0.0/24  shoal-node:bookworm  default  2023-11-14T22:13:20Z  clu_1
    ");
    for (node, mac) in full.nodes.iter_mut().zip(["02:42:0a:60:00:02", "02:42:0a:60:00:03"]) {
        node.mac = mac.into();
        node.id = "nod_1".into();
    }
    insta::assert_snapshot!(plain(nodes_table(PIPE, WIDE, &full.nodes)), @"
    NAME        CLUSTER  ROLE        STATE  HOST   ADDRESS    AGE  MAC                ID     REALM  FQDN
    controller  dev      controller  ready  host1  10.96.0.2  0 s  02:42:0a:60:00:02  nod_1         controller.dev.default.shoal.internal
    worker-0    dev      worker      ready  host2  10.96.0.2  0 s  02:42:0a:60:00:03  nod_1         worker-0.dev.default.shoal.internal
    ");
    insta::assert_snapshot!(plain(nodes_table(TERMINAL, WIDE, &full.nodes)), @"
    NAME        CLUSTER  ROLE        STATE  HOST   ADDRESS    AGE  MAC
    controller  dev      controller  ready  host1  10.96.0.2  0 s  02:42:0a:60:00:02
    worker-0    dev      worker      ready  host2  10.96.0.2  0 s  02:42:0a:60:00:03
    ");
    insta::assert_snapshot!(plain(networks_table(PIPE, WIDE, &[full.network.unwrap()])), @"
    CLUSTER  SUBNET        GATEWAY    VNI  MTU   UDP   HOSTS         REALM  ID
    dev      10.96.0.0/24  10.96.0.1  77   1450  4799  host2 host10
    ");
}

#[test]
fn states_have_colours() {
    assert!(nodes_table(PIPE, USUAL, &cluster().nodes).contains("\u{1b}[32mready\u{1b}[0m"));
    let failed = Cluster { phase: Phase::Failed, ..cluster() };
    assert!(cluster_text(PIPE, USUAL, &failed).starts_with("dev: \u{1b}[31mfailed\u{1b}[0m\n"));
}

#[test]
fn clusters() {
    insta::assert_snapshot!(plain(clusters_table(TERMINAL, USUAL, &[cluster()])), @"
    NAME  PHASE  NODES  WORKERS  HOSTS  SLURM    SUBNET
    dev   ready  2      1        2      22.05.8  10.96.0.0/24
    ");
    insta::assert_snapshot!(plain(cluster_text(TERMINAL, USUAL, &cluster())), @"
    dev: ready
    slurm:   22.05.8
    image:   shoal-node:bookworm
    realm:   default
    network: 10.96.0.0/24, gateway 10.96.0.1, VNI 77 on UDP 4799, MTU 1450

    NAME        CLUSTER  ROLE        STATE  HOST   ADDRESS
    controller  dev      controller  ready  host1  10.96.0.2
    worker-0    dev      worker      ready  host2  10.96.0.2
    ");
    insta::assert_snapshot!(plain(networks_table(TERMINAL, USUAL, &[cluster().network.unwrap()])), @"
    CLUSTER  SUBNET        GATEWAY    VNI  MTU   UDP   HOSTS
    dev      10.96.0.0/24  10.96.0.1  77   1450  4799  host2 host10
    ");
}

#[test]
fn events() {
    let event = NewEvent {
        at: Timestamp(43_262_000),
        level: EventLevel::Warn,
        kind: EventKind::Step,
        cluster: Some((RealmName::default(), "dev".parse().unwrap())),
        node: None,
        host: Some("host1".parse().unwrap()),
        message: "slow \u{1b}[31m".into(),
        progress: None,
        user: None,
    };
    let event = Event { seq: 1, event };
    insta::assert_snapshot!(plain(events_table(PIPE, USUAL, &[event], &TimeZone::UTC)), @r#"
    TIME                 CLUSTER  HOST   NODE  EVENT
    1970-01-01 12:01:02  dev      host1        warning: slow \u{1b}[31m
    "#);
}

#[test]
fn a_host_that_cannot_be_asked_is_named_with_the_age_of_what_is_shown() {
    let mut silent = cluster();
    for node in &mut silent.nodes[1..] {
        node.host_error = Some("host host2: tcp://192.0.2.2:2376 refused the connection".into());
        node.age_ms = 300_000;
    }
    let line = "\nhost2: tcp://192.0.2.2:2376 refused the connection; 1 nodes as last heard 5 min ago";
    assert!(nodes_table(PIPE, USUAL, &silent.nodes).ends_with(line));
    assert!(clusters_table(PIPE, USUAL, &[silent]).ends_with(line));
}

#[test]
fn nodes_that_fail_are_told_below_the_list() {
    let mut nodes = cluster().nodes;
    nodes[1].state = NodeState::Failing;
    nodes[1].failing = Some(Failing {
        ends: 4,
        exit_status: Some(1),
        out_of_memory: false,
        log: vec!["no space left".into()],
        restart_in_ms: Some(0),
    });
    insta::assert_snapshot!(plain(nodes_table(PIPE, USUAL, &nodes)), @r"
    NAME        CLUSTER  ROLE        STATE    HOST   ADDRESS    FQDN
    controller  dev      controller  ready    host1  10.96.0.2  controller.dev.default.shoal.internal
    worker-0    dev      worker      failing  host2  10.96.0.2  worker-0.dev.default.shoal.internal
    worker-0: ended 4 times in a row, last with exit status 1; its restart is due
    ");
}
