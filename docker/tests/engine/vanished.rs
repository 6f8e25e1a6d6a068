//! Callers that vanish in the middle of a call: the call takes full effect, or none.

use std::time::Duration;

use shoal_docker::{ContainerState, Created, EngineError};
use tokio::time::{Instant, sleep, timeout};

use crate::bench::Bench;

/// A call is given up after each of these.
const PATIENCES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(5), Duration::from_millis(20)];
/// Longer than a start takes on a busy engine.
const SETTLED: Duration = Duration::from_secs(30);

pub(crate) async fn a_create_given_up_is_whole_or_nothing(bench: &Bench) {
    let engine = &bench.engine;
    for patience in PATIENCES {
        let spec = bench.sleeper("givenup");
        let mut create = engine.create_container(&spec);
        let answered = timeout(patience, &mut create).await.is_ok();
        drop(create);
        // Whoever comes next finds it whole, or makes it.
        let until = Instant::now() + SETTLED;
        let id = loop {
            match engine.create_container(&spec).await {
                Ok(Created::New { id }) => break id,
                Ok(Created::Exists(there)) => {
                    assert_eq!((&there.labels, there.state), (&spec.labels, ContainerState::Created));
                    break there.id;
                }
                // Its name is reserved before it can be seen.
                Err(EngineError::NameInUse { .. }) if Instant::now() < until => {}
                Err(error) => panic!("answered {answered}: {error}"),
            }
        };
        engine.start(&id).await.unwrap();
        let named = engine.list_containers(&bench.ours()).await.unwrap();
        assert_eq!(named.iter().filter(|container| container.name == spec.name).count(), 1);
        engine.remove_container(&id).await.unwrap();
    }
}

pub(crate) async fn a_start_given_up_is_whole_or_nothing(bench: &Bench) {
    let engine = &bench.engine;
    for patience in PATIENCES {
        let id = bench.create(&bench.sleeper("givenup")).await;
        let mut start = engine.start(&id);
        let answered = timeout(patience, &mut start).await.is_ok();
        drop(start);
        // It runs, or another start makes it run; either way it runs once.
        engine.start(&id).await.unwrap();
        let detail = engine.inspect_container(&id).await.unwrap().unwrap();
        assert_eq!(detail.state, ContainerState::Running, "answered {answered}");
        sleep(Duration::from_millis(50)).await;
        let later = engine.inspect_container(&id).await.unwrap().unwrap();
        assert_eq!((later.pid, later.started), (detail.pid, detail.started));
        engine.remove_container(&id).await.unwrap();
    }
}
