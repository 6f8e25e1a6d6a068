//! Ways between hosts that do not carry tunnel packets, as a create finds them.

use std::{net::Ipv4Addr, time::Duration};

use shoal_docker_fake::{Action, Method, Refusal, Rule};
use shoal_proto::v1::{ExamineHostsResponse, UpdateHostRequest, Verdict};
use shoal_storage::EventFilter;
use shoal_tests::sim::{Coordinator, Fault, Point, Rows, Wish, World, nothing_wrong};
use shoal_types::{ClusterPhase, EventLevel};
use tokio::time::Instant;
use tonic::{Code, Status};

/// Underlay address of `h1`, `h2`, ...
fn address(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host)
}

/// Packets from one host to another are lost that are larger than this.
fn narrow(world: &World, from: u8, to: u8, largest: u32) {
    world.mesh(&format!("h{to}"), |mesh| mesh.largest_from.insert(address(from), largest));
}

/// What a create came to.
struct Created {
    answer: Result<(), Status>,
    took: Duration,
    /// Warnings and errors about ways, among the events.
    told: Vec<String>,
    rows: Rows,
}

impl Created {
    /// The text of the error.
    fn error(&self) -> &str {
        let status = self.answer.as_ref().unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        status.message()
    }
}

fn create(world: &World, wish: &Wish) -> Created {
    let (ended, rows) = world
        .command("create", async |_, c| {
            let began = Instant::now();
            let answer = c.create(wish).await.map(drop);
            let took = began.elapsed();
            let filter = EventFilter { realm: None, cluster: None, after: 0, limit: 10_000 };
            let events = c.store.read().await?.events().list(&filter).await?;
            let bad = events.into_iter().map(|e| e.event).filter(|e| e.level != EventLevel::Info);
            anyhow::Ok((answer, took, bad.map(|e| e.message).filter(|text| text.contains(" -> ")).collect()))
        })
        .unwrap();
    let (answer, took, told) = ended.unwrap();
    Created { answer, took, told, rows }
}

/// How often this was done on any host since the world was armed.
fn done(world: &World, what: &str) -> usize {
    world.points().seen().get(&(what.to_owned(), true)).copied().unwrap_or(0)
}

/// Three hosts with agents, and the effects counted from now on.
fn three(seed: u64) -> World {
    let world = World::registered(seed, 3).unwrap();
    // Brings the agents, which are started, too.
    world.command("look", async |_, c| c.examine(&[]).await.unwrap()).unwrap();
    world.points().arm(None);
    world
}

/// No container was made or started, no network was made.
fn nothing_made(world: &World) {
    for what in ["engine create network", "engine create container", "engine start", "agent ApplyNetwork"] {
        assert_eq!(done(world, what), 0, "{what}: {:?}", world.points().seen());
    }
}

#[test]
fn a_closed_port_ends_the_create_before_anything_is_made() {
    let world = three(1);
    narrow(&world, 1, 3, 0);
    let created = create(&world, &Wish::new("dev", 5));
    let error = created.error();
    assert_eq!(
        error,
        "cluster dev did not become ready: tunnel packets do not arrive between hosts of the cluster\n  \
         h1 -> h3: no packet to UDP port 4799 arrives\n    \
         fix: let UDP port 4799 from h1 to 10.77.0.3 through every firewall on the way\n\
         it was removed"
    );
    let hint = shoal_api::hint_of(created.answer.as_ref().unwrap_err());
    assert_eq!(hint.as_deref(), Some("`shoal doctor h1 h3` tries the ways between hosts again"));
    assert!(created.took < Duration::from_secs(2), "{:?}", created.took);
    assert!(
        created.told[0].starts_with("h1 -> h3: no packet to UDP port 4799 arrives; let"),
        "{:?}",
        created.told
    );
    nothing_made(&world);
    // Which of the two is at fault is not known.
    assert!(created.rows.failures.is_empty(), "{:?}", created.rows.failures);
    assert!(created.rows.clusters.is_empty());
    nothing_wrong(&world, &created.rows);
}

#[test]
fn full_size_packets_that_are_lost_are_named_with_the_size_that_arrives() {
    let world = three(2);
    narrow(&world, 2, 1, 1420);
    narrow(&world, 1, 2, 1420);
    let created = create(&world, &Wish::new("dev", 5));
    let error = created.error();
    for word in [
        "h1 -> h2: packets of 1500 bytes do not arrive, those of 1420 do",
        "h2 -> h1: packets of 1500 bytes do not arrive, those of 1420 do",
        "`shoal set host h1 --mtu 1420`",
        "`shoal set host h2 --mtu 1420`",
    ] {
        assert!(error.contains(word), "no `{word}` in {error}");
    }
    assert!(!error.contains("h3"), "{error}");
    assert!(created.took < Duration::from_secs(2), "{:?}", created.took);
    nothing_made(&world);
    nothing_wrong(&world, &created.rows);
}

#[test]
fn what_the_error_says_is_a_way_out() {
    let world = three(9);
    narrow(&world, 2, 1, 1420);
    narrow(&world, 1, 2, 1420);
    create(&world, &Wish::new("dev", 5)).error();
    let set = async |c: &Coordinator| {
        for host in ["h1", "h2"] {
            let (name, mtu_bytes) = (host.into(), Some(1420));
            let request = UpdateHostRequest { name, mtu_bytes, ..UpdateHostRequest::default() };
            c.hosts().update_host(request).await.unwrap();
        }
    };
    world.command("set", async |_, c| set(c).await).unwrap();
    let created = create(&world, &Wish::new("dev", 5));
    created.answer.unwrap();
    nothing_wrong(&world, &created.rows);
}

#[test]
fn a_repair_is_not_kept_from_what_it_can_do() {
    let world = three(10);
    create(&world, &Wish::new("dev", 5)).answer.unwrap();
    world.mesh("h2", |mesh| mesh.largest_packet = Some(0));
    let engine = world.engine("h1");
    let truth = engine.truth();
    let node = truth.containers.iter().find(|c| c.spec.labels.contains_key("shoal.node")).unwrap();
    engine.end_container(&node.id, 1);
    world.points().arm(None);
    let (repaired, rows) = world.command("repair", async |_, c| c.repair(&["dev"], false).await).unwrap();
    let repaired = repaired.unwrap();
    assert!(repaired[0].is_well() && repaired[0].mends.len() == 1, "{repaired:?}");
    assert_eq!(done(&world, "agent SendProbes"), 0);
    nothing_wrong(&world, &rows);
}

#[test]
fn a_create_that_is_kept_says_why_it_failed() {
    let world = three(3);
    world.mesh("h2", |mesh| mesh.largest_packet = Some(0));
    let created = create(&world, &Wish { keep: true, ..Wish::new("dev", 5) });
    let hint = shoal_api::hint_of(created.answer.as_ref().unwrap_err()).unwrap();
    assert_eq!(
        hint,
        "`shoal doctor h1 h2 h3` tries the ways between hosts again; `shoal delete cluster dev` removes it"
    );
    let cluster = created.rows.cluster("dev").unwrap();
    assert_eq!(cluster.phase, ClusterPhase::Failed);
    assert!(cluster.failure.as_ref().unwrap().contains("h3 -> h2: no packet"), "{cluster:?}");
    nothing_made(&world);
}

#[test]
fn good_ways_cost_no_time_and_are_not_told_of() {
    let world = three(4);
    let created = create(&world, &Wish::new("dev", 5));
    created.answer.unwrap();
    assert_eq!(created.told, Vec::<String>::new());
    // Every host is asked once each way, however many others there are.
    assert_eq!((done(&world, "agent ReceiveProbes"), done(&world, "agent SendProbes")), (3, 3));
    // Nothing of it takes any simulated time.
    assert!(created.took < Duration::from_secs(6), "{:?}", created.took);
    nothing_wrong(&world, &created.rows);
}

#[test]
fn one_host_has_no_ways() {
    let world = World::registered(4, 1).unwrap();
    world.points().arm(None);
    create(&world, &Wish::new("dev", 3)).answer.unwrap();
    assert_eq!((done(&world, "agent ReceiveProbes"), done(&world, "agent SendProbes")), (0, 0));
}

#[test]
fn packets_that_are_lost_now_and_then_are_a_warning() {
    for (lost, told) in [(1, "1 of 6 packets were lost"), (6, "6 of 12 packets were lost")] {
        let world = three(5);
        world.mesh("h2", |mesh| mesh.loses = lost);
        let created = create(&world, &Wish::new("dev", 5));
        created.answer.unwrap();
        assert_eq!(created.told.len(), 1, "{:?}", created.told);
        assert!(
            created.told[0].contains(&format!("-> h2: {told}; see what else loads the way")),
            "{:?}",
            created.told
        );
        nothing_wrong(&world, &created.rows);
    }
}

#[test]
fn a_host_that_says_nothing_has_lost_nothing() {
    for what in ["agent ReceiveProbes", "agent SendProbes"] {
        for (done, fault) in [(false, Fault::Hang), (true, Fault::Hang), (false, Fault::Error)] {
            let world = three(6);
            world.points().arm(Some((Point { what: what.into(), done, nth: 2 }, fault)));
            let created = create(&world, &Wish::new("dev", 5));
            assert!(world.points().met(), "{what}");
            created.answer.unwrap();
            assert_eq!(created.told, Vec::<String>::new(), "{what} {fault:?}");
            nothing_wrong(&world, &created.rows);
        }
    }
}

#[test]
fn ways_to_a_host_that_nodes_are_moved_to_are_tried() {
    let world = World::registered(7, 4).unwrap();
    // The cluster is placed on three of four; what goes wrong there sends its nodes to the fourth.
    let wish = Wish::new("dev", 2);
    let spare = {
        let (plan, _) = world.command("plan", async |_, c| c.plan(wish.spec()).await.unwrap()).unwrap();
        let taken: Vec<_> = plan.placements.iter().map(|placed| placed.host.clone()).collect();
        (1..=4).find(|host| !taken.contains(&format!("h{host}"))).unwrap()
    };
    let full = if spare == 2 { 3 } else { 2 };
    let full_host = format!("h{full}");
    world
        .fleet()
        .rule(Rule::on(Method::CreateContainer, Action::Answer(Refusal::DiskFull)).engine(&full_host));
    for from in (1..=4).filter(|from| *from != spare) {
        narrow(&world, from, spare, 0);
    }
    let created = create(&world, &wish);
    let error = created.error();
    assert!(error.contains(&format!("-> h{spare}: no packet to UDP port 4799 arrives")), "{error}");
    assert!(!error.contains(&full_host), "{error}");
    assert!(created.took < Duration::from_secs(10), "{:?}", created.took);
    nothing_wrong(&world, &created.rows);
}

#[test]
fn many_hosts_are_tried_in_groups_and_every_host_is_asked_once() {
    let world = World::registered(8, 40).unwrap();
    world.mesh("h40", |mesh| mesh.largest_packet = Some(0));
    world.points().arm(None);
    let found: ExamineHostsResponse =
        world.command("doctor", async |_, c| c.examine(&[]).await).unwrap().0.unwrap();
    assert_eq!(found.pairs.len(), 40 * 19);
    assert!(found.note.starts_with("each host was tried with some 19 of 39 others"), "{}", found.note);
    let failed: Vec<_> = found.pairs.iter().filter(|pair| pair.verdict() == Verdict::Fail).collect();
    assert!(failed.len() == 19 && failed.iter().all(|pair| pair.to == "h40"), "{failed:?}");
    assert_eq!(done(&world, "agent ReceiveProbes"), 40);
    // Once to all others of its group, and once more to the one that got nothing.
    assert_eq!(done(&world, "agent SendProbes"), 40 + 19);
}
