//! Which calls a rule picks.

use shoal_docker::Engine;
use shoal_docker_fake::{Action, Method, Refusal, Release, Rule};

use crate::bed::{Bed, one};

fn broken() -> Action {
    Action::Answer(Refusal::ServerError(500, "rule".into()))
}

async fn fails(docker: &dyn Engine, times: usize) -> Vec<bool> {
    let mut failed = Vec::new();
    for _ in 0..times {
        failed.push(docker.ping().await.is_err());
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn by_count() {
    let (bed, _host, docker) = one();
    bed.fleet.rule(Rule::on(Method::Ping, broken()).nth(2));
    bed.fleet.rule(Rule::on(Method::Ping, broken()).every(3));
    docker.facts().await.unwrap();
    assert_eq!(fails(&*docker, 7).await, [false, true, true, false, false, true, false]);
    bed.fleet.clear_rules();
    assert_eq!(fails(&*docker, 3).await, [false; 3]);
}

#[tokio::test(start_paused = true)]
async fn by_engine_client_and_subject() {
    let bed = Bed::new(1);
    bed.clock.enter();
    let (h1, h2) = (bed.host("h1", Release::V28_5), bed.host("h2", Release::V28_5));
    bed.fleet.rule(Rule::any(broken()).engine("h1").client("a").subject("container n1"));
    let inspect = async |host: &shoal_docker_fake::FakeEngine, client: &str, name: &str| {
        host.client(client).inspect_container(name).await.is_err()
    };
    assert!(inspect(&h1, "a", "n1").await);
    assert!(!inspect(&h2, "a", "n1").await);
    assert!(!inspect(&h1, "b", "n1").await);
    assert!(!inspect(&h1, "a", "n2").await);
    h1.client("a").ping().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn by_chance_of_the_seed() {
    let drawn = async |seed| {
        let bed = Bed::new(seed);
        bed.clock.enter();
        let host = bed.host("h1", Release::V28_5);
        bed.fleet.rule(Rule::on(Method::Ping, broken()).per_mille(300));
        fails(&*host.client("test"), 200).await
    };
    let (one, again, other) = (drawn(1).await, drawn(1).await, drawn(2).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
    let failed = one.iter().filter(|failed| **failed).count();
    assert!((30..90).contains(&failed), "{failed} of 200");
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_whose_turn_it_is_decides() {
    let (bed, _host, docker) = one();
    bed.fleet.rule(Rule::on(Method::Ping, Action::DropBefore).nth(1));
    bed.fleet.rule(Rule::on(Method::Ping, broken()));
    let (first, second) = (docker.ping().await.unwrap_err(), docker.ping().await.unwrap_err());
    assert!(matches!(first, shoal_docker::EngineError::Unreachable { .. }), "{first:?}");
    assert!(matches!(second, shoal_docker::EngineError::ServerError { .. }), "{second:?}");
}
