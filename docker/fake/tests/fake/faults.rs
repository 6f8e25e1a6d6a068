//! Every action, before and after the effect.

use std::time::Duration;

use shoal_docker::{EngineError, Removal, Subject};
use shoal_docker_fake::{Action, Fleet, Method, Phase, Refusal, Rule};
use tokio::time::{Instant, sleep};

use crate::bed::{create, node, one};

const SECOND: Duration = Duration::from_secs(1);

fn on_create(fleet: &Fleet, action: Action) {
    fleet.clear_rules();
    fleet.rule(Rule::on(Method::CreateContainer, action));
}

fn is_broken(error: &EngineError) -> bool {
    matches!(error, EngineError::Unreachable { .. })
}

#[tokio::test(start_paused = true)]
async fn dropped_before_the_effect() {
    let (bed, host, docker) = one();
    on_create(&bed.fleet, Action::DropBefore);
    let error = docker.create_container(&node("n1")).await.unwrap_err();
    assert!(is_broken(&error) && error.effect_unknown(), "{error:?}");
    sleep(60 * SECOND).await;
    assert!(host.truth().containers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn dropped_after_the_effect() {
    let (bed, host, docker) = one();
    on_create(&bed.fleet, Action::DropAfter);
    let error = docker.create_container(&node("n1")).await.unwrap_err();
    assert!(is_broken(&error), "{error:?}");
    assert!(host.truth().container("n1").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_effect_comes_late() {
    let (bed, host, docker) = one();
    on_create(&bed.fleet, Action::Late(10 * SECOND));
    let error = docker.create_container(&node("n1")).await.unwrap_err();
    assert!(is_broken(&error), "{error:?}");
    sleep(9 * SECOND).await;
    assert_eq!((host.truth().containers.len(), host.truth().pending), (0, 1));
    sleep(2 * SECOND).await;
    assert_eq!((host.truth().containers.len(), host.truth().pending), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_given_and_nothing_done() {
    let (bed, host, docker) = one();
    type Check = fn(&EngineError) -> bool;
    let answers: [(Refusal, Check); 11] = [
        (
            Refusal::NotFound(None),
            |e| matches!(e, EngineError::NotFound { subject: Subject::Container(n), .. } if n == "n1"),
        ),
        (
            Refusal::NotFound(Some(Subject::Image("node:1".into()))),
            |e| matches!(e, EngineError::NotFound { subject: Subject::Image(i), .. } if i == "node:1"),
        ),
        (Refusal::NameInUse, |e| matches!(e, EngineError::NameInUse { .. })),
        (Refusal::RemovalInProgress, |e| matches!(e, EngineError::RemovalInProgress { .. })),
        (Refusal::Conflict("state".into()), |e| matches!(e, EngineError::Conflict { .. })),
        (Refusal::AddressInUse, |e| matches!(e, EngineError::AddressInUse { .. })),
        (Refusal::PoolOverlap, |e| matches!(e, EngineError::PoolOverlap { .. })),
        (Refusal::BadRequest("no".into()), |e| matches!(e, EngineError::BadRequest { .. })),
        (Refusal::DiskFull, |e| matches!(e, EngineError::DiskFull { .. })),
        (
            Refusal::ServerError(503, "busy".into()),
            |e| matches!(e, EngineError::ServerError { status: 503, message, .. } if message == "busy"),
        ),
        (Refusal::Registry("down".into()), |e| matches!(e, EngineError::Registry { .. })),
    ];
    for (refusal, is_it) in answers {
        on_create(&bed.fleet, Action::Answer(refusal.clone()));
        let error = docker.create_container(&node("n1")).await.unwrap_err();
        assert!(is_it(&error), "{refusal:?}: {error:?}");
        assert!(host.truth().containers.is_empty(), "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_an_answer_where_it_is_one_of_a_real_engine() {
    let (bed, host, docker) = one();
    let id = create(&*docker, &node("n1")).await;
    bed.fleet.rule(Rule::any(Action::Answer(Refusal::NotFound(None))));
    assert_eq!(docker.inspect_container(&id).await.unwrap(), None);
    assert_eq!(docker.remove_container(&id).await.unwrap(), Removal::AlreadyGone);
    assert_eq!(docker.get_archive(&id, "/etc/passwd", 1 << 20).await.unwrap(), None);
    assert!(docker.start(&id).await.is_err());
    assert!(host.truth().container("n1").is_some());
}

#[tokio::test(start_paused = true)]
async fn slow_is_slow_and_too_slow_is_a_timeout() {
    let (bed, host, docker) = one();
    on_create(&bed.fleet, Action::Slow(3 * SECOND));
    let began = Instant::now();
    create(&*docker, &node("n1")).await;
    assert!((3 * SECOND..4 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());

    on_create(&bed.fleet, Action::Slow(40 * SECOND));
    let began = Instant::now();
    let error = docker.create_container(&node("n2")).await.unwrap_err();
    let limit = docker.limit(shoal_docker::CallClass::Write);
    assert!(matches!(error, EngineError::Timeout { after, .. } if after == limit), "{error:?}");
    assert_eq!(began.elapsed(), limit);
    assert!(host.truth().container("n2").is_none());
    // Nobody waits any more: the engine finishes a create all the same.
    sleep(11 * SECOND).await;
    assert!(host.truth().container("n2").is_some());
}

#[tokio::test(start_paused = true)]
async fn hanging_before_and_after_the_effect() {
    let (bed, host, docker) = one();
    for (name, action, there) in [("n1", Action::Hang, false), ("n2", Action::HangAfter, true)] {
        on_create(&bed.fleet, action);
        let error = docker.create_container(&node(name)).await.unwrap_err();
        assert!(matches!(error, EngineError::Timeout { .. }), "{error:?}");
        sleep(60 * SECOND).await;
        assert_eq!(host.truth().container(name).is_some(), there);
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_observer_says_after_the_effect_hides_it() {
    let (bed, host, docker) = one();
    let failed = Refusal::ServerError(500, "after all".into());
    type Check = fn(&EngineError) -> bool;
    let actions: [(Action, Check); 4] = [
        (Action::DropBefore, is_broken),
        (Action::DropAfter, is_broken),
        (Action::Hang, |e| matches!(e, EngineError::Timeout { .. })),
        (Action::Answer(failed), |e| matches!(e, EngineError::ServerError { .. })),
    ];
    for (number, (action, is_it)) in actions.into_iter().enumerate() {
        let said = action.clone();
        bed.fleet.observe(move |moment| {
            let it_is = moment.phase == Phase::After && moment.call.method == Method::CreateContainer;
            it_is.then(|| said.clone())
        });
        let name = format!("n{number}");
        let error = docker.create_container(&node(&name)).await.unwrap_err();
        assert!(is_it(&error), "{action:?}: {error:?}");
        assert!(host.truth().container(&name).is_some(), "{action:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_kth_effect_of_a_run_can_fail_in_the_next() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let steps = async |fail: Option<usize>| {
        let (bed, host, docker) = one();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        bed.fleet.observe(move |moment| {
            let counts = moment.phase == Phase::After && moment.call.method.changes();
            let number = counts.then(|| count.fetch_add(1, Ordering::Relaxed));
            (number.is_some() && number == fail).then_some(Action::DropAfter)
        });
        let id = match docker.create_container(&node("n1")).await {
            Ok(_) => "n1",
            Err(_) => return (seen.load(Ordering::Relaxed), host.truth()),
        };
        if docker.start(id).await.is_ok() {
            drop(docker.kill(id).await);
        }
        (seen.load(Ordering::Relaxed), host.truth())
    };
    let (all, truth) = steps(None).await;
    assert_eq!((all, truth.container("n1").unwrap().exit_code), (3, 137));
    for (fail, runs) in [(0, 0), (1, 1), (2, 1)] {
        let (seen, truth) = steps(Some(fail)).await;
        assert_eq!((seen, truth.container("n1").unwrap().runs), (fail + 1, runs));
    }
}
