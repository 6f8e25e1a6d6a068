//! Containers that end and begin again: by us, by themselves, by their policy.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join_all, stream::BoxStream};
use shoal_docker::{
    ContainerAction, ContainerEvent, ContainerSpec, ContainerState, EngineError, Mount, RestartPolicy,
};

use crate::{
    bench::{Bench, probe},
    containers::death_of,
};

/// No behaviour waits longer than this.
const PATIENCE: Duration = Duration::from_secs(30);
/// What SIGKILL leaves: 128 + 9.
const KILLED: i64 = 137;

pub(crate) async fn a_container_begins_again_with_what_it_wrote(bench: &Bench) {
    let engine = &bench.engine;
    let id = bench.running("again").await;
    let first = engine.inspect_container(&id).await.unwrap().unwrap();
    engine.exec(&id, &probe(&["write", "/etc/x", "kept"]), 100).await.unwrap();
    engine.stop(&id, Duration::from_secs(20)).await.unwrap();
    engine.start(&id).await.unwrap();
    let second = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!((second.state, second.exit_code, second.ended), (ContainerState::Running, None, None));
    assert!(second.started > first.started && second.pid != first.pid, "{first:?} {second:?}");
    let shown = engine.exec(&id, &probe(&["show", "/etc/x"]), 100).await.unwrap();
    assert_eq!(shown.stdout, "kept");
    engine.stop(&id, Duration::from_secs(20)).await.unwrap();
    let said = engine.logs_tail(&id, 100).await.unwrap();
    assert_eq!(said, "waiting\ntold to end\nwaiting\ntold to end\n");
}

pub(crate) async fn of_many_starts_at_once_one_starts(bench: &Bench) {
    let engine = &bench.engine;
    let id = bench.create(&bench.sleeper("starts")).await;
    let events = bench.events_of(&id).await;
    for outcome in join_all((0..4).map(|_| engine.start(&id))).await {
        outcome.unwrap();
    }
    engine.start(&id).await.unwrap();
    engine.remove_container(&id).await.unwrap();
    let seen = actions(events, 3).await;
    let died = ContainerAction::Die { exit_code: Some(KILLED) };
    assert_eq!(seen, [ContainerAction::Start, died, ContainerAction::Destroy]);
}

async fn actions(events: BoxStream<'static, ContainerEvent>, count: usize) -> Vec<ContainerAction> {
    let mine = events.map(|event| event.action).take(count).collect();
    tokio::time::timeout(PATIENCE, mine).await.unwrap()
}

pub(crate) async fn policy_always_begins_again_until_somebody_ends_it(bench: &Bench) {
    let engine = &bench.engine;
    let cmd = Some(["say", "out", "err", "3"].map(str::to_owned).to_vec());
    let spec = ContainerSpec { restart: RestartPolicy::Always, cmd, ..bench.sleeper("always") };
    let id = bench.create(&spec).await;
    let events = bench.events_of(&id).await;
    engine.start(&id).await.unwrap();
    let (start, die) = (ContainerAction::Start, ContainerAction::Die { exit_code: Some(3) });
    assert_eq!(actions(events, 5).await, [start, die, start, die, start]);
    engine.stop(&id, Duration::from_secs(20)).await.unwrap();
    let ended = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!(ended.state, ContainerState::Exited);

    let spec = ContainerSpec { restart: RestartPolicy::Always, ..bench.sleeper("killed") };
    let id = bench.create(&spec).await;
    engine.start(&id).await.unwrap();
    engine.kill(&id).await.unwrap();
    let killed = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!((killed.state, killed.exit_code), (ContainerState::Exited, Some(KILLED)));
}

pub(crate) async fn what_cannot_run_is_never_started(bench: &Bench) {
    let engine = &bench.engine;
    let spec = ContainerSpec { entrypoint: Some(vec!["/no/such".into()]), ..bench.sleeper("cannot") };
    let id = bench.create(&spec).await;
    let refused = engine.start(&id).await.unwrap_err();
    assert!(matches!(refused, EngineError::BadRequest { .. }), "{refused:?}");
    assert!(!refused.blames_host());
    let left = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!((left.state, left.pid, left.started), (ContainerState::Created, None, None));
    assert!(left.error.contains("no such file"), "{left:?}");
}

pub(crate) async fn what_does_not_end_when_told_is_killed_after_its_grace(bench: &Bench) {
    let engine = &bench.engine;
    let spec = ContainerSpec { cmd: Some(vec!["stubborn".into()]), ..bench.sleeper("stubborn") };
    let id = bench.create(&spec).await;
    engine.start(&id).await.unwrap();
    engine.stop(&id, Duration::from_secs(1)).await.unwrap();
    let ended = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.exit_code), (ContainerState::Exited, Some(KILLED)));
}

pub(crate) async fn a_command_ends_with_its_container(bench: &Bench) {
    let engine = &bench.engine;
    let id = bench.running("with").await;
    let mut session = engine.attach_exec(&id, &probe(&["copy"])).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut session.stdin, b"x").await.unwrap();
    session.output.next().await.unwrap().unwrap();
    engine.kill(&id).await.unwrap();
    let rest = async { while session.output.next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, rest).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, session.exit).await.unwrap().unwrap(), KILLED);
}

pub(crate) async fn a_tmpfs_is_empty_at_every_start(bench: &Bench) {
    let engine = &bench.engine;
    let tmp = Mount::Tmpfs { target: "/tmp".into(), size: None, mode: 0o1777 };
    let id = bench.create(&ContainerSpec { mounts: vec![tmp], ..bench.sleeper("tmpfs") }).await;
    let mut events = bench.events_of(&id).await;
    engine.start(&id).await.unwrap();
    engine.exec(&id, &probe(&["write", "/tmp/own", "mine"]), 100).await.unwrap();
    engine.kill(&id).await.unwrap();
    assert_eq!(death_of(&mut events).await, Some(KILLED));
    engine.start(&id).await.unwrap();
    let shown = engine.exec(&id, &probe(&["show", "/tmp/own"]), 100).await.unwrap();
    assert_ne!(shown.status, 0, "{shown:?}");
}
