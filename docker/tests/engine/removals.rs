//! Removal, and what comes in its way.

use futures_util::future::{join, join_all};
use shoal_docker::{ContainerState, Created, EngineError, Removal};

use crate::bench::Bench;

pub(crate) async fn many_removals_at_once_end_with_nothing(bench: &Bench) {
    let id = bench.running("removals").await;
    let outcomes = join_all((0..4).map(|_| bench.engine.remove_container(&id))).await;
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Ok(Removal::Removed))), "{outcomes:?}");
    for outcome in outcomes {
        assert!(matches!(outcome, Ok(_) | Err(EngineError::RemovalInProgress { .. })), "{outcome:?}");
    }
    assert_eq!(bench.engine.inspect_container(&id).await.unwrap(), None);
}

pub(crate) async fn a_name_is_free_once_its_container_is_gone(bench: &Bench) {
    let spec = bench.sleeper("again");
    let first = bench.create(&spec).await;
    assert_eq!(bench.engine.remove_container(&spec.name).await.unwrap(), Removal::Removed);
    let second = bench.create(&spec).await;
    assert_ne!(first, second);
}

pub(crate) async fn a_create_during_a_removal_comes_after_it(bench: &Bench) {
    let engine = &bench.engine;
    for _ in 0..3 {
        let spec = bench.sleeper("during");
        let old = bench.create(&spec).await;
        engine.start(&old).await.unwrap();
        let create = async {
            loop {
                match engine.create_container(&spec).await {
                    Ok(Created::New { id }) => break id,
                    // Not begun, or killed and not yet being removed.
                    Ok(Created::Exists(there)) => assert_eq!(there.id, old),
                    Err(EngineError::RemovalInProgress { .. } | EngineError::NameInUse { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                let listed = engine.list_containers(&bench.ours()).await.unwrap();
                if let Some(there) = listed.iter().find(|container| container.id == old) {
                    let ends = [
                        ContainerState::Running,
                        ContainerState::Exited,
                        ContainerState::Removing,
                        ContainerState::Dead,
                    ];
                    assert!(ends.contains(&there.state), "{there:?}");
                }
            }
        };
        let (removed, new) = join(engine.remove_container(&old), create).await;
        assert_eq!(removed.unwrap(), Removal::Removed);
        assert_eq!(engine.inspect_container(&old).await.unwrap(), None);
        assert_eq!(engine.inspect_container(&spec.name).await.unwrap().unwrap().id, new);
    }
}

pub(crate) async fn a_start_during_a_removal_changes_nothing(bench: &Bench) {
    let engine = &bench.engine;
    for _ in 0..3 {
        let id = bench.create(&bench.sleeper("late")).await;
        let (removed, started) = join(engine.remove_container(&id), engine.start(&id)).await;
        if let Err(error) = started {
            assert!(
                matches!(
                    error,
                    EngineError::NotFound { .. }
                        | EngineError::RemovalInProgress { .. }
                        | EngineError::Conflict { .. }
                ),
                "{error:?}"
            );
        }
        // The start may have come between the look at it and its removal.
        if !matches!(removed, Ok(Removal::Removed)) {
            assert!(matches!(removed, Err(EngineError::Conflict { .. })), "{removed:?}");
            assert_eq!(engine.remove_container(&id).await.unwrap(), Removal::Removed);
        }
        assert_eq!(engine.inspect_container(&id).await.unwrap(), None);
    }
}
