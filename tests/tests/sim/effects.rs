//! Crashes and faults at every effect: of a create and of a delete, before and after each call to an engine or an agent and
//! each commit. Whatever happens where, the cluster ends ready or leaves nothing, with the next command and not after a lease.
//!
//! By default crashes at the first, the middle and the last of each kind of effect, and the other faults at its last; everything
//! everywhere with `SHOAL_SIM_POINTS=all`. One run alone: `SHOAL_SIM_POINT='create, crash after engine start #3'`.

use std::{env, time::Duration};

use anyhow::{Context as _, bail, ensure};
use shoal_api::RepairedCluster;
use shoal_docker_fake::{ContainerTruth, Vanished};
use shoal_proto::v1;
use shoal_tests::sim::{
    Choice, Coordinator, Fault, Life, Point, Rows, Wish, World, forgotten, none, problems,
};
use shoal_types::{Scheduling, Timestamp};
use tonic::Code;

/// Hosts of every run.
const HOSTS: usize = 3;
/// Workers of the cluster that is made or deleted.
const WORKERS: u32 = 4;
/// What the next command after a crash may take: half a lease, and everything it does itself.
const AT_ONCE: Duration = Duration::from_secs(45);
/// After this long no call of anyone can be on its way to a host any more.
const LATE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Create,
    Delete,
    Repair,
    Drain,
    Rebalance,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Repair => "repair",
            Self::Drain => "drain",
            Self::Rebalance => "rebalance",
        }
    }

    /// A world in which it can be done.
    fn world(self) -> anyhow::Result<World> {
        let world = World::registered(1, HOSTS)?;
        if self != Self::Create {
            alone(&world, "first", async |_, c| {
                c.create(&dev()).await?;
                Ok(())
            })?;
        }
        if self == Self::Repair {
            damage(&world)?;
        }
        if self == Self::Drain {
            let truth = world.engine("h1").truth();
            let role = |c: &ContainerTruth| c.spec.labels.get("shoal.role").cloned();
            ensure!(truth.containers.iter().any(|c| role(c).as_deref() == Some("controller")), "not on h1");
        }
        if self == Self::Rebalance {
            // It came back, and is empty.
            alone(&world, "before", async |_, c| {
                c.drain("h3", false, 60_000).await?;
                c.hosts().uncordon_host(v1::UncordonHostRequest { name: "h3".into() }).await?;
                Ok(())
            })?;
        }
        Ok(world)
    }

    async fn work(self, coordinator: &Coordinator) -> Result<(), tonic::Status> {
        match self {
            Self::Create => coordinator.create(&dev()).await.map(drop),
            Self::Delete => coordinator.delete(&["dev"]).await,
            // What is left is told, and is no failure of the call.
            Self::Repair => coordinator.repair(&["dev"], false).await.map(drop),
            // The controller's, so that its state is carried, too.
            Self::Drain => coordinator.drain("h1", false, 60_000).await.map(drop),
            Self::Rebalance => coordinator.rebalance(false, 0).await.map(drop),
        }
    }
}

/// A host was off and lost its agent with all that it kept, one node elsewhere has ended, and another is gone.
fn damage(world: &World) -> anyhow::Result<()> {
    world.power_off("h2");
    world.mesh("h2", |mesh| (mesh.kept.clear(), mesh.devices.clear()));
    world.engine("h2").up();
    let truth = world.engine("h3").truth();
    let mut nodes = truth.containers.iter().filter(|c| c.spec.labels.contains_key("shoal.node"));
    let ended = nodes.next().context("no node on h3")?;
    world.engine("h3").end_container(&ended.id, 137);
    if let Some(gone) = nodes.next() {
        let id = gone.id.clone();
        alone(world, "somebody", async |_, _| {
            let engine = world.engine("h3").client("somebody");
            engine.remove_container(&id).await?;
            Ok(())
        })?;
    }
    Ok(())
}

fn dev() -> Wish {
    Wish::new("dev", WORKERS)
}

/// One command by a coordinator of its own, and what the store holds afterwards.
fn alone(
    world: &World,
    name: &str,
    command: impl AsyncFnOnce(&Life, &Coordinator) -> anyhow::Result<()>,
) -> anyhow::Result<Rows> {
    let (done, rows) = world.command(name, command)?;
    done?;
    Ok(rows)
}

/// One run with one fault.
fn run(way: Way, point: &Point, fault: Fault) -> anyhow::Result<()> {
    let world = way.world()?;
    world.fleet().set_vanished(Vanished::Finishes);
    world.points().arm(Some((point.clone(), fault)));
    let ended = world.live(async |life| {
        let coordinator = life.coordinator("a").await?;
        let answer = way.work(&coordinator).await;
        let rows = Rows::read(&coordinator.store).await?;
        coordinator.shutdown().await;
        anyhow::Ok((answer, rows))
    })?;
    if !world.points().met() {
        bail!("it was not reached");
    }
    world.points().arm(None);
    match ended {
        Some(ended) => {
            let (answer, rows) = ended?;
            let there = rows.clusters.iter().any(|c| c.spec.name.as_str() == "dev");
            match (way, &answer) {
                (Way::Repair | Way::Drain | Way::Rebalance, _) => ensure!(there, "kept, and yet not there"),
                (Way::Create, Ok(())) => ensure!(there, "created, and yet not there"),
                (Way::Delete, Ok(())) => ensure!(!there, "deleted, and yet there"),
                (_, Err(_)) => {}
            }
            // A failed command may leave work to the next one: the objects its error names, or a write that failed.
            let unwritten = point.what.starts_with("store");
            let left = answer.as_ref().is_err_and(|status| {
                status.code() == Code::Unavailable || unwritten && status.code() == Code::Internal
            });
            if way == Way::Repair {
                whole(&world)?;
            } else if way == Way::Drain {
                rid(&world)?;
            } else if way == Way::Rebalance {
                even(&world)?;
            } else if !left {
                none(&forgotten(&world, &rows), &format!("after {answer:?}"))?;
            }
        }
        None => after_crash(way, &world)?,
    }
    last(&world)
}

/// The next repair leaves nothing to be mended.
fn whole(world: &World) -> anyhow::Result<()> {
    world.pass(LATE)?;
    let rows = alone(world, "b", async |_, coordinator| {
        let repaired = coordinator.repair(&["dev"], false).await?;
        let [dev] = repaired.as_slice() else { bail!("{repaired:?}") };
        ensure!(dev.is_well(), "{dev:?}");
        Ok(())
    })?;
    none(&problems(world, &rows), "after the next repair")
}

/// The next drain leaves the host, and nothing to be mended; Slurm gives jobs to all workers.
fn rid(world: &World) -> anyhow::Result<()> {
    world.pass(LATE)?;
    let rows = alone(world, "b", async |_, coordinator| {
        match coordinator.drain("h1", false, 60_000).await {
            Ok((clusters, word)) => ensure!(word == Scheduling::Drained, "{clusters:?}"),
            // It was done, and not told.
            Err(status) => ensure!(status.code() == Code::FailedPrecondition, "{status}"),
        }
        coordinator.hosts().uncordon_host(v1::UncordonHostRequest { name: "h1".into() }).await?;
        let status = coordinator.status("dev").await?;
        let jobless: Vec<_> = status.nodes.iter().filter(|node| node.slurm.starts_with("drain")).collect();
        ensure!(jobless.is_empty(), "{jobless:?}");
        let unwell: Vec<_> = status.nodes.iter().filter(|node| !node.troubles.is_empty()).collect();
        ensure!(unwell.is_empty(), "{unwell:?}");
        Ok(())
    })?;
    none(&forgotten(world, &rows), "after the next drain")?;
    world.pass(LATE)?;
    // What may have come late is remembered until a list shows that it has not.
    alone(world, "sweep", async |_, coordinator| Ok(coordinator.sweep().await.map(drop)?))?;
    whole(world)
}

/// The next rebalance fills the host, and once more changes nothing; Slurm gives jobs to all workers.
fn even(world: &World) -> anyhow::Result<()> {
    world.pass(LATE)?;
    let rows = alone(world, "b", async |_, coordinator| {
        let (clusters, _) = coordinator.rebalance(false, 0).await?;
        ensure!(clusters.iter().all(|cluster| cluster.error.is_none()), "{clusters:?}");
        let (clusters, hosts) = coordinator.rebalance(false, 0).await?;
        ensure!(clusters.iter().all(|cluster| cluster.moves.is_empty()), "{clusters:?}");
        ensure!(hosts.iter().all(|host| (1..=2).contains(&host.nodes_after)), "{hosts:?}");
        let status = coordinator.status("dev").await?;
        let jobless: Vec<_> = status.nodes.iter().filter(|node| node.slurm.starts_with("drain")).collect();
        ensure!(jobless.is_empty(), "{jobless:?}");
        let unwell: Vec<_> = status.nodes.iter().filter(|node| !node.troubles.is_empty()).collect();
        ensure!(unwell.is_empty(), "{unwell:?}");
        Ok(())
    })?;
    none(&forgotten(world, &rows), "after the next rebalance")?;
    world.pass(LATE)?;
    alone(world, "sweep", async |_, coordinator| Ok(coordinator.sweep().await.map(drop)?))?;
    whole(world)
}

/// The next command finishes what the crash left, at once.
fn after_crash(way: Way, world: &World) -> anyhow::Result<()> {
    let began = world.now();
    let rows = alone(world, "b", async |_, coordinator| match way {
        Way::Create => {
            coordinator.create(&Wish::new("other", 1)).await?;
            Ok(())
        }
        Way::Delete => match coordinator.delete(&["dev"]).await {
            Err(status) if status.code() == Code::NotFound => Ok(()),
            ended => Ok(ended?),
        },
        Way::Repair => {
            let repaired = coordinator.repair(&["dev"], false).await?;
            ensure!(repaired.iter().all(RepairedCluster::is_well), "{repaired:?}");
            Ok(())
        }
        // The next of its kind finishes it.
        Way::Drain | Way::Rebalance => Ok(()),
    })?;
    if way == Way::Drain {
        return rid(world);
    }
    if way == Way::Rebalance {
        return even(world);
    }
    none(&forgotten(world, &rows), "after the next command")?;
    in_time(world, began)
}

fn in_time(world: &World, began: Timestamp) -> anyhow::Result<()> {
    let took = world.now().since(began);
    ensure!(took < AT_ONCE, "the next command took {} simulated seconds", took.as_secs());
    Ok(())
}

/// Whatever came late is remembered, and goes with everything else.
fn last(world: &World) -> anyhow::Result<()> {
    world.pass(LATE)?;
    // A host that hung for longer than a delete waits is said to be left behind: the next command goes on there.
    let rows = alone(world, "late", async |_, c| Ok(c.resume().await?))?;
    none(&forgotten(world, &rows), "after what was on its way has come")?;
    let rows = alone(world, "c", async |_, c| Ok(c.delete(&[]).await?))?;
    none(&forgotten(world, &rows), "after everything was deleted")?;
    // What is remembered as left behind is cleared by a sweep: the first removes, the second finds nothing and forgets.
    world.pass(LATE)?;
    let rows = alone(world, "d", async |_, c| {
        c.sweep().await?;
        c.sweep().await?;
        Ok(())
    })?;
    none(&problems(world, &rows), "after a later sweep")?;
    ensure!(rows.clusters.is_empty(), "clusters remain");
    Ok(())
}

fn points(way: Way, crashes: bool) -> anyhow::Result<Vec<Point>> {
    let world = way.world()?;
    world.points().arm(None);
    alone(&world, "a", async |_, coordinator| Ok(way.work(coordinator).await?))?;
    let choice = match env::var("SHOAL_SIM_POINTS").is_ok_and(|which| which == "all")
        || env::var("SHOAL_SIM_POINT").is_ok()
    {
        true => Choice::All,
        // These have many effects, each of which another command has, too.
        false if crashes && !matches!(way, Way::Drain | Way::Rebalance) => Choice::Few,
        false => Choice::Last,
    };
    Ok(world.points().chosen(choice))
}

fn each(way: Way, faults: &[Fault]) -> anyhow::Result<()> {
    let only = env::var("SHOAL_SIM_POINT").ok();
    let (mut count, mut failed) = (0, Vec::new());
    for point in points(way, faults.contains(&Fault::Crash))? {
        for &fault in faults {
            let name = format!("{}, {} {point}", way.name(), format!("{fault:?}").to_lowercase());
            if only.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            count += 1;
            if let Err(error) = run(way, &point, fault) {
                println!("SHOAL_SIM_POINT='{name}': {error:#}");
                failed.push(name);
            }
        }
    }
    println!("{count} runs of {} with {faults:?}", way.name());
    ensure!(failed.is_empty(), "{} of {count} runs failed:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}

#[test]
fn a_create_that_crashes_ends_ready_or_gone() -> anyhow::Result<()> {
    each(Way::Create, &[Fault::Crash])
}

#[test]
fn a_create_that_meets_an_error_ends_ready_or_gone() -> anyhow::Result<()> {
    each(Way::Create, &[Fault::Error, Fault::Lost])
}

#[test]
fn a_create_that_is_not_answered_ends_ready_or_gone() -> anyhow::Result<()> {
    each(Way::Create, &[Fault::Hang])
}

#[test]
fn a_delete_that_crashes_ends_with_nothing_left() -> anyhow::Result<()> {
    each(Way::Delete, &[Fault::Crash])
}

#[test]
fn a_delete_that_meets_a_fault_ends_with_nothing_left() -> anyhow::Result<()> {
    each(Way::Delete, &[Fault::Error, Fault::Lost, Fault::Hang])
}

#[test]
fn a_repair_that_crashes_is_finished_by_the_next() -> anyhow::Result<()> {
    each(Way::Repair, &[Fault::Crash])
}

#[test]
fn a_repair_that_meets_a_fault_is_finished_by_the_next() -> anyhow::Result<()> {
    each(Way::Repair, &[Fault::Error, Fault::Lost, Fault::Hang])
}

#[test]
fn a_drain_that_crashes_is_finished_by_the_next() -> anyhow::Result<()> {
    each(Way::Drain, &[Fault::Crash])
}

#[test]
fn a_drain_that_meets_a_fault_is_finished_by_the_next() -> anyhow::Result<()> {
    each(Way::Drain, &[Fault::Error, Fault::Lost, Fault::Hang])
}

#[test]
fn a_rebalance_that_crashes_is_finished_by_the_next() -> anyhow::Result<()> {
    each(Way::Rebalance, &[Fault::Crash])
}

#[test]
fn a_rebalance_that_meets_a_fault_is_finished_by_the_next() -> anyhow::Result<()> {
    each(Way::Rebalance, &[Fault::Error, Fault::Lost, Fault::Hang])
}
