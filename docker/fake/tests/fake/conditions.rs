//! Whole engines: dead, cut off, hung, forgetful, parted from one client.

use std::time::Duration;

use shoal_docker::{ContainerSpec, ContainerState, Endpoint, EngineError, LabelFilter, RestartPolicy};
use shoal_docker_fake::{Condition, HostSpec, Release};
use tokio::time::{Instant, sleep};

use crate::bed::{Bed, create, network, node, on, one};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_killed_engines_containers_live_on_until_it_is_back() {
    let (_bed, host, docker) = one();
    let made = network("net", 4);
    let id = docker.create_network(&made).await.unwrap();
    let address = "10.96.4.2".parse().unwrap();
    create(&*docker, &on(node("n1"), &id, address)).await;
    create(&*docker, &ContainerSpec { restart: RestartPolicy::Always, ..node("agent") }).await;
    create(&*docker, &node("never")).await;
    docker.start("n1").await.unwrap();
    docker.start("agent").await.unwrap();

    host.kill();
    assert_eq!(host.condition(), Condition::Dead);
    let error = docker.ping().await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { .. }), "{error:?}");
    let truth = host.truth();
    assert_eq!(truth.container("n1").unwrap().state, ContainerState::Running);
    assert_eq!(truth.container("n1").unwrap().address, Some(address));

    host.up();
    let state = async |name: &str| docker.inspect_container(name).await.unwrap().unwrap();
    let ended = state("n1").await;
    assert_eq!((ended.state, ended.exit_code, ended.pid), (ContainerState::Exited, Some(137), None));
    assert_eq!(state("agent").await.state, ContainerState::Running);
    assert_eq!(state("never").await.state, ContainerState::Created);
    assert_eq!(host.truth().container("agent").unwrap().runs, 2);
    docker.start("n1").await.unwrap();
    assert_eq!(host.truth().container("n1").unwrap().address, Some(address));
}

#[tokio::test(start_paused = true)]
async fn a_restart_breaks_calls_in_flight_and_leaves_a_removal_half_done() {
    let (_bed, host, docker) = one();
    create(&*docker, &node("n1")).await;
    let (removed, ()) = tokio::join!(docker.remove_container("n1"), async {
        while host.truth().container("n1").unwrap().state != ContainerState::Removing {
            sleep(Duration::from_millis(1)).await;
        }
        host.restart();
    });
    let error = removed.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    assert_eq!(host.truth().container("n1").unwrap().state, ContainerState::Dead);
    let dead = docker.start("n1").await.unwrap_err();
    assert!(matches!(dead, EngineError::RemovalInProgress { .. }), "{dead:?}");
    docker.remove_container("n1").await.unwrap();
    assert!(host.truth().containers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn power_and_cable() {
    let (_bed, host, docker) = one();
    create(&*docker, &node("n1")).await;
    docker.start("n1").await.unwrap();
    host.cut();
    let began = Instant::now();
    let error = docker.ping().await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    assert_eq!(began.elapsed(), 5 * SECOND, "nobody says no");
    assert_eq!(host.truth().container("n1").unwrap().state, ContainerState::Running);
    host.up();
    assert_eq!(docker.inspect_container("n1").await.unwrap().unwrap().state, ContainerState::Running);

    host.power_off();
    docker.ping().await.unwrap_err();
    assert_eq!(host.truth().container("n1").unwrap().state, ContainerState::Exited);
    host.up();
    assert_eq!(docker.inspect_container("n1").await.unwrap().unwrap().exit_code, Some(137));
}

#[tokio::test(start_paused = true)]
async fn a_hung_engine_costs_one_limit_and_does_later_what_it_was_asked() {
    let (_bed, host, docker) = one();
    host.hang();
    let began = Instant::now();
    let error = docker.ping().await.unwrap_err();
    assert!(matches!(error, EngineError::Timeout { .. }), "{error:?}");
    assert_eq!(began.elapsed(), docker.limit(shoal_docker::CallClass::Read));
    docker.create_container(&node("n1")).await.unwrap_err();
    assert!(host.truth().containers.is_empty());
    let n2 = node("n2");
    let (created, ()) = tokio::join!(docker.create_container(&n2), async {
        sleep(3 * SECOND).await;
        host.up();
    });
    created.unwrap();
    assert!(host.truth().container("n1").is_some(), "its caller was gone, the engine does it all the same");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_forgets_is_empty_under_its_old_id_or_a_new_one() {
    let (_bed, host, docker) = one();
    let old = docker.facts().await.unwrap().id;
    for id in [None, Some("another-engine")] {
        docker.create_network(&network("net", 4)).await.unwrap();
        docker.create_volume("v", &[].into()).await.unwrap();
        host.add_image(&crate::bed::image());
        create(&*docker, &node("n1")).await;
        docker.start("n1").await.unwrap();
        host.forget(id);
        assert_eq!(docker.facts().await.unwrap().id, id.unwrap_or(&old));
        assert_eq!(docker.list_containers(&LabelFilter::all()).await.unwrap(), []);
        assert_eq!(docker.list_networks(&LabelFilter::all()).await.unwrap().len(), 3);
        assert_eq!(docker.list_volumes(&LabelFilter::all()).await.unwrap(), []);
        assert_eq!(docker.list_images(&LabelFilter::all()).await.unwrap(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_parted_client_alone_sees_nothing() {
    let (_bed, host, docker) = one();
    let other = host.client("other");
    host.part("test");
    docker.ping().await.unwrap_err();
    other.ping().await.unwrap();
    host.join("test");
    docker.ping().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connecting_tells_apart_what_cannot_be_used() {
    let bed = Bed::new(1);
    bed.clock.enter();
    let old = bed.fleet.add(&HostSpec::new("old", Release::V20_10));
    old.change_facts(|facts| facts.api_version = "1.40".into());
    let tcp: Endpoint = "tcp://10.0.0.1".parse().unwrap();
    bed.fleet.add(&HostSpec { endpoint: tcp.clone(), ..HostSpec::new("tcp", Release::V28_5) });
    let error = async |endpoint: &Endpoint| bed.fleet.connect("test", endpoint, None).await.unwrap_err();
    assert!(matches!(error(old.endpoint()).await, EngineError::TooOld { .. }));
    assert!(matches!(error(&tcp).await, EngineError::TlsRequired { .. }));
    assert!(matches!(error(&Endpoint::local()).await, EngineError::Refused { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_dies_and_an_image_that_vanishes() {
    let (_bed, host, docker) = one();
    let id = create(&*docker, &ContainerSpec { restart: RestartPolicy::Always, ..node("n1") }).await;
    docker.start(&id).await.unwrap();
    host.end_container("n1", 9);
    assert_eq!(docker.inspect_container(&id).await.unwrap().unwrap().exit_code, Some(9));
    sleep(SECOND).await;
    assert_eq!(docker.inspect_container(&id).await.unwrap().unwrap().state, ContainerState::Running);
    host.lose_image("node:1");
    let missing = docker.create_container(&node("n2")).await.unwrap_err();
    assert!(matches!(missing, EngineError::NotFound { .. }), "{missing:?}");
}
