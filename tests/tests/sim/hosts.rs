//! Hosts that fail while a cluster is made or deleted there.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use shoal_docker::ContainerState;
use shoal_docker_fake::{Action, ContainerTruth, Method, Refusal, Rule};
use shoal_tests::sim::{IMAGE, Rows, Wish, World, forgotten, none, nothing_wrong};
use shoal_types::ClusterPhase;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

/// After this long no call of anyone can be on its way to a host any more.
const LATE: Duration = Duration::from_secs(150);

fn create(world: &World, wish: &Wish) -> (Result<(), Status>, Rows) {
    world.command("create", async |_, c| c.create(wish).await.map(drop)).unwrap()
}

/// The same, while something befalls the world some time after its begin.
fn create_while(
    world: &World,
    wish: &Wish,
    after: Duration,
    ill: impl FnOnce() + Send + 'static,
) -> (Result<(), Status>, Rows) {
    world
        .command("create", async |_, c| {
            drop(tokio::spawn(async move {
                sleep(after).await;
                ill();
            }));
            c.create(wish).await.map(drop)
        })
        .unwrap()
}

/// Late effects come, and a sweep clears what is remembered; nothing is wrong then.
fn clears(world: &World) {
    world.pass(LATE).unwrap();
    let (_, rows) = world.command("late", async |_, _| ()).unwrap();
    none(&forgotten(world, &rows), "late").unwrap();
    let (swept, rows) = world
        .command("sweep", async |_, c| {
            c.sweep().await?;
            c.sweep().await
        })
        .unwrap();
    swept.unwrap();
    nothing_wrong(world, &rows);
}

fn runs_a_node(world: &World, host: &str) -> bool {
    let truth = world.engine(host).truth();
    let nodes = truth.containers.iter().filter(|c| c.spec.labels.contains_key("shoal.node"));
    nodes.into_iter().any(|c| c.state == ContainerState::Running)
}

#[test]
fn a_host_that_cannot_be_reached_is_passed_over() {
    let world = World::registered(3, 3).unwrap();
    world.engine("h2").cut();
    let (answer, rows) = create(&world, &Wish::new("dev", 4));
    answer.unwrap();
    assert_eq!(rows.members("dev"), ["h1", "h3"].into());
    nothing_wrong(&world, &rows);
}

#[test]
fn a_host_lost_before_anything_was_started_is_left_and_cleared_later() {
    let world = World::registered(3, 3).unwrap();
    // It goes with the first container made there.
    world.fleet().rule(Rule::on(Method::CreateContainer, Action::Hang).engine("h2"));
    let (engine, cut) = (world.engine("h2"), world.engine("h2"));
    let (answer, rows) =
        create_while(&world, &Wish::new("dev", 4), Duration::from_secs(1), move || cut.cut());
    answer.unwrap();
    assert_eq!(rows.members("dev"), ["h1", "h3"].into());
    none(&forgotten(&world, &rows), "after it").unwrap();
    assert!(rows.failures.contains_key("h2"), "{:?}", rows.failures);
    world.fleet().clear_rules();
    engine.up();
    clears(&world);
}

#[test]
fn a_host_that_refuses_before_anything_was_started_is_cleared_though_the_cluster_stays() {
    let world = World::registered(3, 3).unwrap();
    // It goes with the first container made there.
    world.fleet().rule(Rule::on(Method::CreateContainer, Action::Hang).engine("h2"));
    let (engine, killed) = (world.engine("h2"), world.engine("h2"));
    let (answer, rows) =
        create_while(&world, &Wish::new("dev", 4), Duration::from_secs(1), move || killed.kill());
    answer.unwrap();
    assert_eq!(rows.members("dev"), ["h1", "h3"].into());
    assert_eq!(rows.cluster("dev").map(|c| c.phase), Some(ClusterPhase::Ready));
    world.fleet().clear_rules();
    engine.up();
    // Whatever changes something next clears it.
    create(&world, &Wish::new("other", 1)).0.unwrap();
    let (answer, rows) = world.command("delete", async |_, c| c.delete(&["other"]).await).unwrap();
    answer.unwrap();
    assert!(world.engine("h2").truth().is_free_of("shoal.cluster"));
    assert_eq!(rows.members("dev"), ["h1", "h3"].into());
    none(&forgotten(&world, &rows), "after it").unwrap();
    clears(&world);
}

#[test]
fn a_host_lost_with_started_nodes_fails_the_create_which_is_finished_when_it_is_back() {
    let world = World::registered(3, 3).unwrap();
    let lost = world.clone();
    let (answer, rows) = world
        .command("create", async |_, c| {
            drop(tokio::spawn(async move {
                while !runs_a_node(&lost, "h2") {
                    sleep(Duration::from_millis(20)).await;
                }
                lost.power_off("h2");
            }));
            c.create(&Wish::new("dev", 4)).await.map(drop)
        })
        .unwrap();
    let status = answer.unwrap_err();
    assert!(status.message().contains("h2"), "{status:?}");
    let phase = rows.cluster("dev").map(|c| c.phase);
    assert_eq!(phase, Some(ClusterPhase::Deleting), "{status:?}");
    assert_eq!(rows.members("dev"), ["h2"].into(), "rolled back on the others");
    world.engine("h2").up();
    let (answer, rows) = create(&world, &Wish::new("other", 1));
    answer.unwrap();
    assert!(rows.cluster("dev").is_none());
    none(&forgotten(&world, &rows), "after it").unwrap();
    clears(&world);
}

#[test]
fn a_node_that_ends_whenever_it_is_started_ends_the_create() {
    for node in ["worker-1", "controller"] {
        ends_the_create(node);
    }
}

fn ends_the_create(node: &str) {
    let world = World::registered(3, 3).unwrap();
    world.doom(node, Duration::from_secs(1), 255);
    let (answer, rows) = world
        .command("create", async |_, c| {
            let began = Instant::now();
            (c.create(&Wish::new("dev", 4)).await.map(drop), began.elapsed())
        })
        .unwrap();
    let (status, after) = (answer.0.unwrap_err(), answer.1);
    let on: &str = &format!("{node} on h");
    for word in [on, "ends when it is started: exited, exit status 255", "| no space left in /run"] {
        assert!(status.message().contains(word), "no `{word}` in {status:?}");
    }
    assert!(after < Duration::from_secs(20), "told after {after:?}");
    assert!(rows.cluster("dev").is_none());
    nothing_wrong(&world, &rows);
}

/// Slurm is waited for on the controller's host, a worker's host is asked why that does not come up: the one that hangs is named.
#[test]
fn a_workers_host_that_hangs_is_blamed_itself() {
    let world = World::registered(3, 3).unwrap();
    for host in ["h1", "h2", "h3"] {
        let waits = "slurmd: error: failed to load configs\n".to_owned();
        world.mesh(host, |mesh| mesh.refuses.insert("worker-0".into(), waits));
    }
    let seen = world.clone();
    let host_of = move |node: &str| {
        ["h1", "h2", "h3"].into_iter().find(|host| {
            let runs = |c: &ContainerTruth| {
                c.state == ContainerState::Running && c.spec.hostname.as_deref() == Some(node)
            };
            seen.engine(host).truth().containers.iter().any(runs)
        })
    };
    let hung = world.clone();
    let (answer, _) = world
        .command("create", async |_, c| {
            let hangs = tokio::spawn(async move {
                loop {
                    if let (Some(of), Some(on)) = (host_of("controller"), host_of("worker-0")) {
                        sleep(Duration::from_secs(4)).await;
                        hung.engine(on).hang();
                        return (of, on);
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            });
            let answer = c.create(&Wish::new("dev", 4)).await.map(drop);
            (answer, hangs.await.unwrap())
        })
        .unwrap();
    let (answer, (controllers, workers)) = answer;
    assert_ne!(controllers, workers);
    let status = answer.unwrap_err();
    assert!(status.message().contains(workers), "{status:?}");
    assert!(!status.message().contains(&format!("{controllers}:")), "{status:?}");
}

#[test]
fn patience_with_a_host_counts_from_its_last_answer() {
    let world = World::registered(3, 3).unwrap();
    let wish = Wish::new("dev", 4);
    let (hung, since) = (world.clone(), Arc::new(OnceLock::new()));
    let seen = since.clone();
    let (answer, _) = world
        .command("create", async |_, c| {
            drop(tokio::spawn(async move {
                // Slurm is waited for, and the call that does it has a limit as long as the patience with its host.
                while !hung.engine("h1").truth().containers.iter().any(|c| c.state == ContainerState::Running)
                {
                    sleep(Duration::from_millis(20)).await;
                }
                sleep(Duration::from_secs(1)).await;
                hung.engine("h1").hang();
                seen.set(Instant::now()).unwrap();
            }));
            let answer = c.create(&wish).await.map(drop);
            (answer, since.get().map(Instant::elapsed))
        })
        .unwrap();
    let (answer, after) = answer;
    let (status, after) = (answer.unwrap_err(), after.unwrap());
    assert!(status.message().contains("h1"), "{status:?}");
    // The rollback asks the host once more: 10 s of patience.
    assert!(after < Duration::from_secs(50), "{after:?}: {status:?}");
    world.engine("h1").up();
    create(&world, &Wish::new("other", 1)).0.unwrap();
    clears(&world);
}

#[test]
fn a_host_that_hangs_is_left() {
    let world = World::registered(3, 3).unwrap();
    world.fleet().rule(Rule::on(Method::CreateNetwork, Action::Slow(Duration::from_secs(5))).engine("h2"));
    let (hung, engine) = (world.engine("h2"), world.engine("h2"));
    let (answer, rows) =
        create_while(&world, &Wish::new("dev", 4), Duration::from_secs(2), move || hung.hang());
    answer.unwrap();
    assert_eq!(rows.members("dev"), ["h1", "h3"].into());
    world.fleet().clear_rules();
    engine.up();
    clears(&world);
}

#[test]
fn a_slow_host_does_not_delay_the_others() {
    let world = World::registered(3, 3).unwrap();
    world.fleet().rule(Rule::on(Method::CreateContainer, Action::Slow(Duration::from_secs(20))).engine("h2"));
    let began = world.now();
    let started = world
        .command("a", async |life, c| {
            let looked = async {
                loop {
                    life.pass(Duration::from_millis(100)).await;
                    if runs_a_node(&world, "h1") && runs_a_node(&world, "h3") {
                        return world.now().since(began);
                    }
                }
            };
            let wish = Wish::new("dev", 4);
            let (answer, started) = tokio::join!(c.create(&wish), looked);
            answer.map(|_| started)
        })
        .unwrap();
    let (started, rows) = started;
    assert!(started.unwrap() < Duration::from_secs(10));
    nothing_wrong(&world, &rows);
}

#[test]
fn a_full_disk_is_left_at_once() {
    let world = World::registered(3, 3).unwrap();
    world.fleet().rule(Rule::on(Method::CreateContainer, Action::Answer(Refusal::DiskFull)).engine("h2"));
    let began = world.now();
    let (answer, rows) = create(&world, &Wish::new("dev", 4));
    answer.unwrap();
    assert!(world.now().since(began) < Duration::from_secs(30));
    assert_eq!(rows.members("dev"), ["h1", "h3"].into());
    nothing_wrong(&world, &rows);
}

#[test]
fn an_image_that_vanishes_sends_the_nodes_elsewhere() {
    let world = World::registered(3, 3).unwrap();
    let engine = world.engine("h2");
    let gone = engine.clone();
    world.fleet().rule(Rule::on(Method::CreateNetwork, Action::Slow(Duration::from_secs(2))).engine("h2"));
    let (answer, rows) =
        create_while(&world, &Wish::new("dev", 4), Duration::from_secs(1), move || gone.lose_image(IMAGE));
    answer.unwrap();
    assert_eq!(rows.members("dev"), ["h1", "h3"].into());
    nothing_wrong(&world, &rows);
}

#[test]
fn an_engine_that_restarts_meanwhile_is_waited_for() {
    let world = World::registered(3, 3).unwrap();
    let engine = world.engine("h2");
    let (answer, rows) =
        create_while(&world, &Wish::new("dev", 4), Duration::from_millis(800), move || engine.restart());
    answer.unwrap();
    nothing_wrong(&world, &rows);
}

#[test]
fn an_engine_that_forgets_meanwhile_is_filled_again() {
    let world = World::registered(3, 3).unwrap();
    let forgetting = world.clone();
    let (answer, rows) = create_while(&world, &Wish::new("dev", 4), Duration::from_millis(900), move || {
        forgetting.forget("h2");
    });
    // It has lost the image too: what was begun there cannot be made again.
    if answer.is_ok() {
        none(&forgotten(&world, &rows), "after it").unwrap();
    } else {
        assert!(rows.cluster("dev").is_none(), "{answer:?}");
        none(&forgotten(&world, &rows), "after it").unwrap();
    }
    clears(&world);
}

#[test]
fn a_delete_with_a_host_down_takes_the_rest_and_is_finished_by_the_next_command() {
    let world = World::registered(3, 3).unwrap();
    create(&world, &Wish::new("dev", 4)).0.unwrap();
    world.engine("h2").kill();
    let (answer, rows) = world.command("delete", async |_, c| c.delete(&["dev"]).await).unwrap();
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("h2"), "{status:?}");
    assert_eq!(rows.cluster("dev").map(|c| c.phase), Some(ClusterPhase::Deleting));
    assert_eq!(rows.members("dev"), ["h2"].into());
    for host in ["h1", "h3"] {
        assert!(world.engine(host).truth().is_free_of("shoal.cluster"), "{host}");
    }
    world.engine("h2").up();
    let (answer, rows) = create(&world, &Wish::new("other", 1));
    answer.unwrap();
    assert!(rows.cluster("dev").is_none());
    none(&forgotten(&world, &rows), "after it").unwrap();
    clears(&world);
}

#[test]
fn a_delete_with_a_host_gone_for_good_is_finished_by_unregistering_it() {
    let world = World::registered(3, 3).unwrap();
    create(&world, &Wish::new("dev", 4)).0.unwrap();
    world.power_off("h2");
    world.command("delete", async |_, c| c.delete(&["dev"]).await).unwrap().0.unwrap_err();
    let (answer, rows) = world.command("unregister", async |_, c| c.unregister("h2", true).await).unwrap();
    let answer = answer.unwrap();
    assert_eq!(answer.forgotten_nodes as usize, 5 - 3, "{answer:?}");
    assert!(!answer.left_behind.is_empty(), "what stays there is said");
    assert!(
        rows.clusters.is_empty() && rows.remnants.is_empty() && rows.reserved.is_empty() && rows.secrets == 0
    );
}

#[test]
fn a_users_error_never_counts_against_a_host() {
    let world = World::registered(3, 3).unwrap();
    let (answer, rows) = create(&world, &Wish { image: "no-such-image:1".into(), ..Wish::new("dev", 4) });
    assert_eq!(answer.unwrap_err().code(), Code::FailedPrecondition);
    assert!(rows.failures.is_empty(), "{:?}", rows.failures);
    world.fleet().rule(Rule::on(
        Method::CreateContainer,
        Action::Answer(Refusal::BadRequest("no such option".into())),
    ));
    let (answer, rows) = create(&world, &Wish::new("dev", 4));
    let status = answer.unwrap_err();
    assert!(status.message().contains("no such option"), "{status:?}");
    assert!(rows.failures.is_empty(), "{:?}", rows.failures);
    nothing_wrong(&world, &rows);
}
