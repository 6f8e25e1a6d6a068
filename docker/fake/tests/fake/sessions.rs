//! What outlives its request: attached commands and events, and how they learn that the engine is gone.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::BoxFuture};
use shoal_docker::{ContainerAction, Engine, EngineError, EngineEvent, EventStream, ExecSpec, LabelFilter};
use shoal_docker_fake::{FakeEngine, Inside, Programs, Stdio};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    time::{Instant, sleep},
};

use crate::bed::{create, node, one};

const SECOND: Duration = Duration::from_secs(1);

/// Every command sends back what it reads.
struct Echo;

impl Programs for Echo {
    fn run(&self, inside: Inside, command: ExecSpec, mut stdio: Stdio) -> BoxFuture<'static, i64> {
        Box::pin(async move {
            if command.cmd == ["who"] {
                let text = format!("{} on {}", inside.container.spec.name, inside.container.engine);
                stdio.stdout.write_all(text.as_bytes()).await.unwrap();
            }
            match copy(&mut stdio.stdin, &mut stdio.stdout).await {
                Ok(_) => 0,
                Err(_) => 1,
            }
        })
    }
}

async fn running() -> (FakeEngine, Arc<dyn Engine>) {
    let (bed, host, docker) = one();
    bed.fleet.set_programs(Arc::new(Echo));
    create(&*docker, &node("n1")).await;
    docker.start("n1").await.unwrap();
    (host, docker)
}

#[tokio::test(start_paused = true)]
async fn a_program_knows_where_it_runs_and_has_a_duplex() {
    let (host, docker) = running().await;
    let said = docker.exec("n1", &ExecSpec::new(["who"]), 100).await.unwrap();
    assert_eq!(said.stdout, "n1 on h1");
    let mut duplex = docker.attach_exec("n1", &ExecSpec::new(["echo"])).await.unwrap().into_duplex("echo");
    for round in 0..3_u8 {
        duplex.write_all(&[round; 9]).await.unwrap();
        let mut back = [0; 9];
        duplex.read_exact(&mut back).await.unwrap();
        assert_eq!(back, [round; 9]);
    }
    assert_eq!(host.read_file("n1", "/etc/passwd").unwrap(), "root:x:0:0::/root:/bin/sh\n");
}

/// What a session and an event stream see, and when, after the engine met with something.
async fn met(what: impl FnOnce(&FakeEngine)) -> (Duration, EngineError) {
    let (host, docker) = running().await;
    let mut session = docker.attach_exec("n1", &ExecSpec::new(["echo"])).await.unwrap();
    let mut events = docker.events(&LabelFilter::all()).await.unwrap();
    let began = Instant::now();
    what(&host);
    let error = session.output.next().await.unwrap().unwrap_err();
    let took = began.elapsed();
    assert!(session.output.next().await.is_none());
    session.exit.await.unwrap_err();
    events.next().await.unwrap().unwrap_err();
    assert!(events.next().await.is_none());
    (took, error)
}

#[tokio::test(start_paused = true)]
async fn a_killed_engine_is_noticed_at_once_and_a_silent_one_by_keepalive() {
    let (took, error) = met(FakeEngine::kill).await;
    assert!(took == Duration::ZERO && matches!(error, EngineError::Unreachable { .. }), "{took:?} {error:?}");
    assert_eq!(met(FakeEngine::restart).await.0, Duration::ZERO);
    for silent in [FakeEngine::cut, FakeEngine::power_off, |host: &FakeEngine| host.part("test")] {
        let (took, error) = met(silent).await;
        assert!(
            took == 25 * SECOND && matches!(error, EngineError::Unreachable { .. }),
            "{took:?} {error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn events_come_at_their_time_without_anybody_asking() {
    let (host, docker) = running().await;
    let mut events = docker.events(&LabelFilter::all().with("shoal.node", "n1")).await.unwrap();
    let stop = docker.stop("n1", 10 * SECOND);
    let (stopped, event) = tokio::join!(stop, next(&mut events));
    stopped.unwrap();
    assert_eq!(event, ContainerAction::Die { exit_code: Some(0) });
    sleep(SECOND).await;
    host.end_container("n1", 3);
    docker.start("n1").await.unwrap();
    assert_eq!(next(&mut events).await, ContainerAction::Start);
}

/// The next event of a container.
async fn next(events: &mut EventStream) -> ContainerAction {
    loop {
        if let EngineEvent::Container(event) = events.next().await.unwrap().unwrap() {
            return event.action;
        }
    }
}
