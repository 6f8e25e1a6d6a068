//! What is told of clusters and hosts when something of them is wrong.

use std::time::Duration;

use shoal_docker_fake::Method;
use shoal_proto::v1::{self, Check, ContainerState, NetworkPart, Role, ServiceState, SystemdState, Verdict};
use shoal_tests::sim::{Coordinator, IMAGE, Wish, World};
use tonic::Code;

/// By a coordinator of its own, as a command is.
fn ask<T>(world: &World, ask: impl AsyncFnOnce(&Coordinator) -> T) -> T {
    world.command("ask", async |_, coordinator| ask(coordinator).await).unwrap().0
}

/// Three hosts and `dev`: a controller and five workers, two nodes on each host.
fn dev(seed: u64) -> World {
    let world = World::registered(seed, 3).unwrap();
    ask(&world, async |c| c.create(&Wish::new("dev", 5)).await.map(drop)).unwrap();
    world
}

fn status(world: &World) -> v1::GetStatusResponse {
    ask(world, async |c| c.status("dev").await).unwrap()
}

fn troubled(status: &v1::GetStatusResponse) -> Vec<(&str, String)> {
    let ill = status.nodes.iter().filter(|n| !n.troubles.is_empty());
    ill.map(|n| (n.name.as_str(), n.troubles.join(", "))).collect()
}

fn node<'a>(status: &'a v1::GetStatusResponse, name: &str) -> &'a v1::NodeStatus {
    status.nodes.iter().find(|n| n.name == name).unwrap()
}

/// Id of a node's container, and its host.
fn container(world: &World, name: &str) -> (String, String) {
    let engines = world.fleet().all();
    let found = engines.iter().find_map(|engine| {
        let truth = engine.truth();
        let of = truth.containers.iter().find(|c| c.spec.hostname.as_deref() == Some(name))?;
        Some((of.id.to_string(), engine.name().to_owned()))
    });
    found.unwrap()
}

#[test]
fn a_cluster_that_is_well() {
    let status = status(&dev(1));
    assert_eq!((status.nodes.len(), status.hosts.len()), (6, 3));
    assert_eq!(troubled(&status), []);
    for n in &status.nodes {
        let told = (n.container(), n.systemd(), n.munge(), n.sshd(), n.daemon());
        let up = ServiceState::Up;
        assert_eq!(told, (ContainerState::Running, SystemdState::Running, up, up, up), "{n:?}");
        assert_eq!((n.slurm.as_str(), n.age_ms), (if n.role() == Role::Worker { "idle" } else { "" }, 0));
    }
    for h in &status.hosts {
        assert_eq!(
            (h.network(), h.agent_version.as_str(), h.nodes),
            (NetworkPart::Ok, "simulated", 2),
            "{h:?}"
        );
        assert!(h.error.is_empty() && h.agent_error.is_empty(), "{h:?}");
    }
    assert!(status.slurm_error.is_empty() && status.image_id.starts_with("sha256:"));
}

/// Calls that reached a host meanwhile.
fn calls(world: &World, host: &str, meanwhile: impl FnOnce()) -> Vec<(Method, u64)> {
    let before = world.engine(host).truth().calls;
    meanwhile();
    let after = world.engine(host).truth().calls.into_iter();
    let more = after.map(|(method, n)| (method, n - before.get(&method).copied().unwrap_or(0)));
    more.filter(|(_, n)| *n > 0).collect()
}

#[test]
fn a_look_costs_a_host_one_list_one_session_and_its_controller_one_sinfo() {
    let world = dev(9);
    let (_, controller) = container(&world, "controller");
    for host in ["h1", "h2", "h3"] {
        let looked = calls(&world, host, || drop(status(&world)));
        // The agent's session is an exec, too.
        let execs = if host == controller { 2 } else { 1 };
        let expected = [(Method::Connect, 1), (Method::ListContainers, 1), (Method::Exec, execs)];
        assert_eq!(looked, expected, "{host}");
    }
}

#[test]
fn what_does_not_run_is_named() {
    let world = dev(2);
    // Then no node is young any more.
    world.pass(Duration::from_secs(60)).unwrap();
    let (ended, host) = container(&world, "worker-0");
    world.engine(&host).end_container(&ended, 1);
    let (_, host) = container(&world, "worker-1");
    let stop = |name: &str, unit: &str| {
        let (_, host) = container(&world, name);
        world.mesh(&host, |mesh| mesh.stopped.insert(name.into(), vec![unit.into()]));
    };
    stop("worker-1", "munge.service");
    stop("worker-2", "slurmd.service");
    stop("controller", "ssh.service");
    let status = status(&world);
    assert_eq!(node(&status, "worker-1").host, host);
    let told = |name: &str| {
        let n = node(&status, name);
        (n.container(), n.systemd(), n.troubles.clone())
    };
    let of = |trouble: &str| (ContainerState::Running, SystemdState::Degraded, vec![trouble.to_owned()]);
    assert_eq!(told("worker-1"), of("munge is down"));
    assert_eq!(told("worker-2"), of("slurmd is down"));
    assert_eq!(told("controller"), of("sshd is down"));
    let (container, systemd, troubles) = told("worker-0");
    assert_eq!(
        (container, systemd, troubles[0].as_str()),
        (ContainerState::Exited, SystemdState::Stopped, "its container is exited")
    );
    assert!(node(&status, "worker-3").troubles.is_empty() && node(&status, "worker-4").troubles.is_empty());
}

#[test]
fn a_host_that_does_not_answer_costs_its_own_time_and_no_more() {
    let world = dev(3);
    let (_, of_controller) = container(&world, "controller");
    for silent in ["h1", "h2", "h3"] {
        world.engine(silent).cut();
        let status = status(&world);
        assert!(status.elapsed_ms < 5000, "{} ms", status.elapsed_ms);
        for n in &status.nodes {
            let (container, aged) = match n.host == silent {
                true => (ContainerState::Unknown, true),
                false => (ContainerState::Running, false),
            };
            assert_eq!((n.container(), n.age_ms > 0), (container, aged), "{n:?}");
            assert_eq!(n.troubles.contains(&"its host does not answer".to_owned()), aged, "{n:?}");
        }
        let host = status.hosts.iter().find(|h| h.name == silent).unwrap();
        assert!(!host.error.is_empty() && host.network() == NetworkPart::Unknown, "{host:?}");
        assert_eq!(status.slurm_error.is_empty(), silent != of_controller, "{}", status.slurm_error);
        world.engine(silent).up();
    }
}

#[test]
fn looking_brings_nothing_and_says_so() {
    let world = dev(4);
    let agents = |host: &str| {
        let truth = world.engine(host).truth();
        let of =
            truth.containers.iter().filter(|c| c.spec.labels.get("shoal.role").is_some_and(|r| r == "agent"));
        of.map(|c| c.id.to_string()).collect::<Vec<_>>()
    };
    let engine = world.engine("h2");
    for id in agents("h2") {
        world
            .live(async |_| engine.client("hand").remove_container(&id).await.map(drop))
            .unwrap()
            .unwrap()
            .unwrap();
    }
    let status = status(&world);
    let host = status.hosts.iter().find(|h| h.name == "h2").unwrap();
    assert!(host.agent_error.contains("no agent runs there") && host.error.is_empty(), "{host:?}");
    assert_eq!(agents("h2"), Vec::<String>::new(), "one was brought");
    for n in status.nodes.iter().filter(|n| n.host == "h2") {
        assert_eq!((n.container(), n.systemd()), (ContainerState::Running, SystemdState::Unknown), "{n:?}");
    }
    // A check does bring one.
    let found = ask(&world, async |c| c.examine(&[]).await).unwrap();
    assert!(found.hosts.iter().all(|h| h.error.is_empty()), "{found:?}");
    assert_eq!(agents("h2").len(), 1);
}

#[test]
fn a_cluster_that_is_not_there() {
    let answer = ask(&World::registered(5, 1).unwrap(), async |c| c.status("dev").await);
    assert_eq!(answer.unwrap_err().code(), Code::NotFound);
}

/// A check by its word.
fn word(check: Check) -> String {
    check.as_str_name().trim_start_matches("CHECK_").to_lowercase().replace('_', "-")
}

fn failed(found: &v1::ExamineHostsResponse) -> Vec<String> {
    let of_hosts = found.hosts.iter().flat_map(|h| {
        let bad = h.findings.iter().filter(|f| f.verdict() == Verdict::Fail);
        bad.map(|f| format!("{} {}", h.host, word(f.check())))
    });
    let pairs = found
        .pairs
        .iter()
        .filter(|p| p.verdict() == Verdict::Fail)
        .map(|p| format!("{} -> {} {}", p.from, p.to, p.largest_bytes));
    of_hosts.chain(pairs).collect()
}

#[test]
fn hosts_that_are_well() {
    let world = dev(6);
    let found = ask(&world, async |c| c.examine(&[]).await).unwrap();
    assert_eq!(failed(&found), Vec::<String>::new());
    assert_eq!((found.hosts.len(), found.pairs.len(), found.note.as_str()), (3, 6, ""));
    for h in &found.hosts {
        let mut checks: Vec<_> = h.findings.iter().map(|f| word(f.check())).collect();
        checks.dedup();
        let all = [
            "engine",
            "tls",
            "cgroup",
            "inotify",
            "neighbours",
            "pids",
            "bridge-ports",
            "disk",
            "clock",
            "agent",
            "image",
            "addresses",
            "udp",
        ];
        let missing: Vec<_> =
            all.into_iter().filter(|check| !checks.iter().any(|seen| seen == check)).collect();
        assert_eq!(missing, Vec::<&str>::new(), "{checks:?}");
        assert!(h.findings.iter().all(|f| f.fix.is_empty() == (f.verdict() == Verdict::Pass)), "{h:?}");
    }
    assert!(
        found.pairs.iter().all(|p| p.verdict() == Verdict::Pass && p.largest_bytes == 1500),
        "{:?}",
        found.pairs
    );
    // Only those named, and the ways between them.
    let found = ask(&world, async |c| c.examine(&["h3", "h1", "h3"]).await).unwrap();
    let names: Vec<_> = found.hosts.iter().map(|h| h.host.as_str()).collect();
    assert_eq!((names, found.pairs.len()), (vec!["h3", "h1"], 2));
}

#[test]
fn what_is_wrong_with_hosts_is_found_where_it_is() {
    let world = dev(7);
    world.mesh("h1", |mesh| mesh.clock_ahead_ms = 400_000);
    world.mesh("h2", |mesh| mesh.name_listeners = vec!["127.0.0.53".into(), "0.0.0.0".into()]);
    world.mesh("h3", |mesh| mesh.largest_packet = Some(1450));
    world.engine("h3").lose_image(IMAGE);
    let found = ask(&world, async |c| c.examine(&[]).await).unwrap();
    let mut wrong = failed(&found);
    wrong.sort();
    // A clock that is wrong is far from every other one.
    let expected =
        ["h1 -> h3 1450", "h1 clock", "h2 -> h3 1450", "h2 clock", "h2 dns", "h3 clock", "h3 image"];
    assert_eq!(wrong, expected);
    world.mesh("h3", |mesh| mesh.largest_packet = Some(0));
    let found = ask(&world, async |c| c.examine(&["h2", "h3"]).await).unwrap();
    assert!(failed(&found).contains(&"h2 -> h3 0".to_owned()), "{:?}", failed(&found));
    assert!(!failed(&found).contains(&"h3 -> h2 0".to_owned()));
}

#[test]
fn a_host_that_cannot_be_reached_does_not_keep_others_from_being_checked() {
    let world = dev(8);
    world.engine("h2").cut();
    let found = ask(&world, async |c| c.examine(&[]).await).unwrap();
    let errors: Vec<_> = found.hosts.iter().map(|h| (h.host.as_str(), h.error.is_empty())).collect();
    assert_eq!(errors, [("h1", true), ("h2", false), ("h3", true)]);
    assert_eq!((found.pairs.len(), failed(&found)), (2, vec![]));
    let answer = ask(&world, async |c| c.examine(&["h1", "h9"]).await);
    assert_eq!(answer.unwrap_err().code(), Code::NotFound);
}
