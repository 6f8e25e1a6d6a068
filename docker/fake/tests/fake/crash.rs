//! A coordinator that crashes: its runtime is dropped with every call in flight, and another one goes on.

use std::time::Duration;

use shoal_docker::{ContainerState, Created, Engine};
use shoal_docker_fake::{Action, FakeEngine, Method, Release, Rule, Vanished};
use shoal_types::Clock as _;
use tokio::time::{sleep, timeout};

use crate::bed::{Bed, create, in_a_runtime, node};

const SECOND: Duration = Duration::from_secs(1);

/// Begins a call in a runtime that is dropped before the call takes effect.
fn given_up(bed: &Bed, host: &FakeEngine, call: impl AsyncFnOnce(&dyn Engine)) {
    bed.fleet.rule(Rule::any(Action::Slow(10 * SECOND)));
    in_a_runtime(bed, async {
        let docker = host.client("first");
        drop(timeout(SECOND, call(&*docker)).await);
    });
    bed.fleet.clear_rules();
}

#[test]
fn a_create_is_finished_by_every_engine_at_its_time() {
    for release in [Release::V20_10, Release::V28_5] {
        let bed = Bed::new(1);
        let host = bed.host("h1", release);
        given_up(&bed, &host, async |docker| drop(docker.create_container(&node("n1")).await));
        assert_eq!(host.truth().containers.len(), 0);
        in_a_runtime(&bed, async {
            let docker = host.client("second");
            assert_eq!(docker.inspect_container("n1").await.unwrap(), None);
            sleep(10 * SECOND).await;
            let again = docker.create_container(&node("n1")).await.unwrap();
            assert!(matches!(again, Created::Exists(_)), "{again:?}");
        });
    }
}

/// Whether the engine started a container whose start was given up.
fn started(seed: u64, release: Release, vanished: Vanished) -> bool {
    let bed = Bed::new(seed);
    let host = bed.host("h1", release);
    in_a_runtime(&bed, async { create(&*host.client("first"), &node("n1")).await });
    bed.fleet.set_vanished(vanished);
    given_up(&bed, &host, async |docker| drop(docker.start("n1").await));
    in_a_runtime(&bed, async { sleep(10 * SECOND).await });
    let truth = host.truth();
    let n1 = truth.container("n1").unwrap();
    assert_eq!(n1.state == ContainerState::Running, n1.runs == 1, "whole or nothing");
    n1.runs == 1
}

#[test]
fn a_start_is_finished_by_20_10_and_by_28_5_as_the_seed_has_it() {
    assert!((0..20).all(|seed| started(seed, Release::V20_10, Vanished::AsEngines)));
    let finished = (0..20).filter(|seed| started(*seed, Release::V28_5, Vanished::AsEngines)).count();
    assert!((3..18).contains(&finished), "{finished} of 20");
    assert!((0..20).all(|seed| started(seed, Release::V28_5, Vanished::Finishes)));
    assert!(!(0..20).any(|seed| started(seed, Release::V20_10, Vanished::Aborts)));
}

#[test]
fn a_late_effect_outlives_the_runtime_but_not_the_engine() {
    for dies in [false, true] {
        let bed = Bed::new(1);
        let host = bed.host("h1", Release::V28_5);
        bed.fleet.rule(Rule::on(Method::CreateContainer, Action::Late(10 * SECOND)));
        in_a_runtime(&bed, async {
            host.client("first").create_container(&node("n1")).await.unwrap_err();
        });
        if dies {
            host.restart();
        }
        // Outside of any runtime the clock is stepped by hand.
        bed.clock.step(20 * SECOND);
        assert_eq!(host.truth().containers.len(), usize::from(!dies));
    }
}

#[test]
fn time_goes_on_from_runtime_to_runtime() {
    let bed = Bed::new(1);
    let times: Vec<_> = (0..3)
        .map(|_| {
            in_a_runtime(&bed, async { sleep(7 * SECOND).await });
            bed.clock.now()
        })
        .collect();
    assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) == 7 * SECOND), "{times:?}");
}

#[test]
fn a_removal_goes_on_without_its_caller() {
    let bed = Bed::new(1);
    let host = bed.host("h1", Release::V28_5);
    in_a_runtime(&bed, async {
        let docker = host.client("first");
        create(&*docker, &node("n1")).await;
        let gone = host.clone();
        let removing = async {
            while gone.truth().container("n1").unwrap().state != ContainerState::Removing {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            removed = docker.remove_container("n1") => panic!("{removed:?}"),
            () = removing => {}
        }
    });
    assert_eq!(host.truth().containers.len(), 1);
    bed.clock.step(SECOND);
    assert_eq!(host.truth().containers.len(), 0);
}
