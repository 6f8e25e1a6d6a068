//! Containers: from creation to removal, each call repeated.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, future::join_all, stream::BoxStream};
use shoal_docker::{
    ContainerAction, ContainerEvent, ContainerNetwork, ContainerSpec, ContainerState, Created, EngineError,
    LabelFilter, Mount, ProcessLimit, Removal, RestartPolicy, Subject,
};
use shoal_types::{Bytes as Size, CgroupWay};

use crate::bench::{Bench, LABEL, probe};

/// No behaviour waits longer than this for an event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn facts_are_those_of_this_machine(bench: &Bench) {
    let facts = bench.engine.facts().await.unwrap();
    assert!(facts.id.len() > 10, "{facts:?}");
    assert_eq!(facts.architecture, std::env::consts::ARCH);
    assert!(facts.cpus > 0 && facts.memory > Size::mib(64), "{facts:?}");
    assert!(matches!(facts.cgroup_version, 1 | 2), "{facts:?}");
    assert!(!facts.subnets.is_empty(), "the engine's own bridge has a subnet: {facts:?}");
    let minor: u32 = facts.api_version.strip_prefix("1.").unwrap().parse().unwrap();
    assert!((41..=53).contains(&minor), "{facts:?}");
    assert_eq!(shoal_docker::refusal(&facts, std::env::consts::ARCH, |_| false), Ok(()));
    bench.engine.ping().await.unwrap();
}

pub(crate) async fn a_second_create_finds_the_first(bench: &Bench) {
    let spec = bench.sleeper("twice");
    let id = bench.create(&spec).await;
    let mut other = spec.clone();
    other.labels.insert("other".into(), "1".into());
    let Created::Exists(found) = bench.engine.create_container(&other).await.unwrap() else {
        panic!("two containers of one name")
    };
    assert_eq!((found.id, found.name), (id, spec.name));
    assert_eq!(found.labels[LABEL], spec.labels[LABEL]);
    assert!(!found.labels.contains_key("other"), "labels are those of the first");
    assert_eq!(found.state, ContainerState::Created);
    assert_eq!(found.image_id, bench.packed.id());
    assert_eq!((found.pid, found.exit_code, found.started), (None, None, None));
}

pub(crate) async fn of_many_creates_at_once_one_wins(bench: &Bench) {
    let spec = bench.sleeper("race");
    let outcomes = join_all((0..8).map(|_| bench.engine.create_container(&spec))).await;
    let mut ids = Vec::new();
    let mut new = 0;
    for outcome in outcomes {
        match outcome {
            Ok(Created::New { id }) => {
                new += 1;
                ids.push(id);
            }
            Ok(Created::Exists(detail)) => ids.push(detail.id),
            // The name is reserved before the container can be seen.
            Err(EngineError::NameInUse { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    ids.dedup();
    assert_eq!((new, ids.len()), (1, 1), "{ids:?}");
}

pub(crate) async fn what_is_missing_is_named(bench: &Bench) {
    let engine = &bench.engine;
    let no_image = ContainerSpec { image: "shoal-no-such:1".into(), ..bench.sleeper("noimage") };
    let missing = engine.create_container(&no_image).await.unwrap_err();
    let EngineError::NotFound { subject: Subject::Image(image), .. } = missing else { panic!("{missing:?}") };
    assert_eq!(image, "shoal-no-such:1");
    let network = ContainerNetwork::Bridge { network: "0123456789ab".into(), address: None, mac: None };
    let no_network = ContainerSpec { network, ..bench.sleeper("nonetwork") };
    // 20.10 looks for the network at the start, later engines at creation.
    let missing = match engine.create_container(&no_network).await {
        Ok(_) => engine.start(&no_network.name).await.unwrap_err(),
        Err(error) => error,
    };
    let EngineError::NotFound { subject: Subject::Network(network), .. } = missing else {
        panic!("{missing:?}")
    };
    assert_eq!(network, "0123456789ab");
    let nobody = bench.name("nobody");
    assert_eq!(engine.inspect_container(&nobody).await.unwrap(), None);
    for error in [
        engine.start(&nobody).await.unwrap_err(),
        engine.stop(&nobody, Duration::ZERO).await.unwrap_err(),
        engine.kill(&nobody).await.unwrap_err(),
        engine.exec(&nobody, &probe(&["sleep"]), 1).await.unwrap_err(),
        engine.logs_tail(&nobody, 1).await.unwrap_err(),
        engine.put_archive(&nobody, "/", Bytes::new()).await.unwrap_err(),
    ] {
        assert!(matches!(error, EngineError::NotFound { subject: Subject::Container(_), .. }), "{error:?}");
        assert!(!error.blames_host());
    }
}

pub(crate) async fn start_stop_kill_and_remove_may_be_repeated(bench: &Bench) {
    let engine = &bench.engine;
    let id = bench.running("repeat").await;
    engine.start(&id).await.unwrap();
    let detail = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!(detail.state, ContainerState::Running);
    assert!(detail.pid.is_some() && detail.started.is_some() && detail.exit_code.is_none(), "{detail:?}");
    assert!(!detail.oom_killed && detail.error.is_empty(), "{detail:?}");

    engine.stop(&id, Duration::from_secs(20)).await.unwrap();
    engine.stop(&id, Duration::from_secs(20)).await.unwrap();
    let stopped = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!((stopped.state, stopped.exit_code, stopped.pid), (ContainerState::Exited, Some(7), None));
    assert!(stopped.ended >= stopped.started && stopped.ended.is_some(), "{stopped:?}");

    engine.kill(&id).await.unwrap();
    let not_running = engine.exec(&id, &probe(&["sleep"]), 1).await.unwrap_err();
    assert!(matches!(not_running, EngineError::Conflict { .. }), "{not_running:?}");
    engine.start(&id).await.unwrap();
    engine.kill(&id).await.unwrap();
    engine.kill(&id).await.unwrap();
    assert_eq!(engine.inspect_container(&id).await.unwrap().unwrap().exit_code, Some(137));

    engine.start(&id).await.unwrap();
    assert_eq!(engine.remove_container(&id).await.unwrap(), Removal::Removed);
    assert_eq!(engine.remove_container(&id).await.unwrap(), Removal::AlreadyGone);
    assert_eq!(engine.inspect_container(&id).await.unwrap(), None);
}

pub(crate) async fn a_container_is_found_by_its_labels_alone(bench: &Bench) {
    let mut spec = bench.sleeper("labels");
    spec.labels.insert("shoal.node".into(), spec.name.clone());
    let id = bench.create(&spec).await;
    let by_value = bench.ours().with("shoal.node", &spec.name);
    let found = bench.engine.list_containers(&by_value).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].id, &found[0].name, &found[0].labels), (&id, &spec.name, &spec.labels));
    assert_eq!((found[0].state, &found[0].image_id), (ContainerState::Created, &bench.packed.id()));
    assert!(found[0].created.is_some(), "its age is known");
    let by_key = LabelFilter::all().with_key("shoal.node").with_key(LABEL);
    assert!(bench.engine.list_containers(&by_key).await.unwrap().iter().any(|c| c.id == id));
    let none = bench.ours().with("shoal.node", "other");
    assert_eq!(bench.engine.list_containers(&none).await.unwrap(), []);
}

pub(crate) async fn the_last_lines_of_its_output(bench: &Bench) {
    let spec = ContainerSpec { cmd: Some(vec!["lines".into(), "50".into()]), ..bench.sleeper("lines") };
    let id = bench.create(&spec).await;
    let mut events = bench.events_of(&id).await;
    bench.engine.start(&id).await.unwrap();
    death_of(&mut events).await;
    assert_eq!(bench.engine.logs_tail(&id, 2).await.unwrap(), "line 49\nline 50\n");
}

pub(crate) async fn death_of(events: &mut BoxStream<'static, ContainerEvent>) -> Option<i64> {
    let death = async {
        loop {
            if let ContainerAction::Die { exit_code } = events.next().await.unwrap().action {
                return exit_code;
            }
        }
    };
    tokio::time::timeout(PATIENCE, death).await.unwrap()
}

pub(crate) async fn events_tell_of_starts_and_deaths(bench: &Bench) {
    let spec = bench.sleeper("events");
    let id = bench.create(&spec).await;
    let events = bench.events_of(&id).await;
    // Asked for, not yet read: what happens now must not be missed.
    bench.start(&id).await;
    bench.engine.stop(&id, Duration::from_secs(20)).await.unwrap();
    bench.engine.remove_container(&id).await.unwrap();
    let seen: Vec<_> = tokio::time::timeout(PATIENCE, events.take(3).collect::<Vec<_>>()).await.unwrap();
    let actions: Vec<_> = seen.iter().map(|event| event.action).collect();
    let died = ContainerAction::Die { exit_code: Some(7) };
    assert_eq!(actions, [ContainerAction::Start, died, ContainerAction::Destroy]);
    assert!(seen.iter().all(|event| event.name == spec.name && event.labels[LABEL] == spec.labels[LABEL]));
    assert!(seen.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

pub(crate) async fn the_agent_gets_what_it_needs_and_no_more(bench: &Bench) {
    let spec = ContainerSpec {
        network: ContainerNetwork::Host,
        host_pids: true,
        restart: RestartPolicy::Always,
        devices: vec!["/dev/net/tun".into()],
        cap_drop: vec!["ALL".into()],
        cap_add: vec!["NET_ADMIN".into(), "NET_BIND_SERVICE".into()],
        ..bench.sleeper("agent")
    };
    let id = bench.create(&spec).await;
    bench.engine.start(&id).await.unwrap();
    let show = async |path: &str| text(bench, &id, &["show", path]).await;
    // capability(7): NET_BIND_SERVICE is bit 10, NET_ADMIN bit 12.
    assert!(show("/proc/self/status").await.contains("CapEff:\t0000000000001400\n"));
    assert_ne!(show("/proc/1/comm").await.trim(), "probe", "the host's first process is seen");
    assert!(show("/proc/self/net/dev").await.contains("docker0"), "the host's devices are seen");
    let tun = text(bench, &id, &["kind", "/dev/net/tun"]).await;
    assert_eq!(tun, "character device");
    let detail = bench.engine.inspect_container(&id).await.unwrap().unwrap();
    bench.engine.remove_container(&detail.id).await.unwrap();
}

pub(crate) async fn a_node_gets_a_cgroup_tree_of_its_own(bench: &Bench) {
    let way = bench.engine.facts().await.unwrap().cgroup_way();
    let spec = ContainerSpec { cgroup: Some(way), ..bench.sleeper("cgroup") };
    let id = bench.create(&spec).await;
    bench.engine.start(&id).await.unwrap();
    // cgroup_namespaces(7): the root of its own namespace shows as `/`.
    let cgroups = text(bench, &id, &["show", "/proc/1/cgroup"]).await;
    assert!(cgroups.lines().all(|line| line.ends_with(":/")), "{cgroups}");
    match way {
        CgroupWay::Writable => {
            assert_eq!(text(bench, &id, &["mkdir", "/sys/fs/cgroup/child"]).await, "made");
        }
        CgroupWay::SysAdmin => {
            let status = text(bench, &id, &["show", "/proc/1/status"]).await;
            assert!(status.contains("Seccomp:\t0\n"), "{status}");
            let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
            // capability(7): SYS_ADMIN is bit 21.
            assert_ne!(u64::from_str_radix(effective, 16).unwrap() & (1 << 21), 0, "{status}");
        }
    }
}

async fn text(bench: &Bench, id: &str, words: &[&str]) -> String {
    let output = bench.engine.exec(id, &probe(words), 1 << 20).await.unwrap();
    assert_eq!(output.status, 0, "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) async fn mounts_and_hostname_are_there(bench: &Bench) {
    let tmp = Mount::Tmpfs { target: "/tmp".into(), size: Some(Size::mib(8)), mode: 0o1777 };
    let shared = Mount::Tmpfs { target: "/dev/shm".into(), size: Some(Size::mib(32)), mode: 0o1777 };
    let bind = Mount::Bind { source: "/proc/sys/kernel".into(), target: "/bound".into(), read_only: true };
    let spec = ContainerSpec {
        hostname: Some("n3".into()),
        env: [("GREETING".to_owned(), "hi".to_owned())].into(),
        memory: Some(Size::mib(64)),
        pids: Some(100),
        limits: [
            ("nofile", Some(1000), Some(2000)),
            ("core", Some(0), None),
            ("memlock", Some(65_536), Some(65_536)),
        ]
        .map(|(name, soft, hard)| ProcessLimit { name: name.into(), soft, hard })
        .into(),
        mounts: vec![tmp, shared, bind],
        ..bench.sleeper("mounts")
    };
    let id = bench.create(&spec).await;
    bench.engine.start(&id).await.unwrap();
    let show = async |path: &str| text(bench, &id, &["show", path]).await;
    assert_eq!(show("/proc/sys/kernel/hostname").await.trim(), "n3");
    assert!(show("/proc/1/environ").await.contains("GREETING=hi"));
    let mounts = show("/proc/1/mounts").await;
    let line = |target: &str| mounts.lines().find(|line| line.contains(target)).unwrap();
    assert!(line(" /tmp ").contains("size=8192k") && !line(" /tmp ").contains("noexec"), "{mounts}");
    assert!(line(" /bound ").contains("ro"), "{mounts}");
    // Instead of the engine's own, of 64 MiB.
    let shared: Vec<_> = mounts.lines().filter(|line| line.contains(" /dev/shm ")).collect();
    assert!(shared.len() == 1 && shared[0].contains("size=32768k"), "{mounts}");
    let limits = show("/proc/self/limits").await;
    let limits: Vec<String> =
        limits.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "Max open files 1000 2000 files",
        "Max core file size 0 unlimited bytes",
        "Max locked memory 65536 65536 bytes",
    ] {
        assert!(limits.iter().any(|limit| limit == line), "{limits:?}");
    }
}
