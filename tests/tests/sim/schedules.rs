//! Random histories: creates and deletes, one or two at a time, by coordinators that crash, on hosts that fail in every way.
//! In the end all hosts are back, everything is deleted, and nothing is left but what is remembered; after a sweep not even that.
//!
//! `SHOAL_SIM_SCHEDULES=5000` runs that many, `SHOAL_SIM_SEED=77` one again, with what happened in it.

use std::{env, fmt::Write as _, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use futures_util::{FutureExt as _, future::join_all};
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha12Rng;
use shoal_docker_fake::{Action, Method, Refusal, Rule};
use shoal_tests::sim::{Coordinator, Life, Wish, World, forgotten, none, problems};
use shoal_types::ClusterPhase;
use tokio::time::{sleep, timeout};

/// Histories of a run that names no number.
const SCHEDULES: u64 = 60;
/// No command takes longer, whatever happens.
const ENDLESS: Duration = Duration::from_secs(1800);
/// How long the clusters may take.
const WAIT: Duration = Duration::from_secs(120);
/// After this long no call of anyone can be on its way to a host any more.
const LATE: Duration = Duration::from_secs(150);
const NAMES: [&str; 3] = ["red", "green", "blue"];

/// What happened, line by line, with the simulated time.
#[derive(Clone)]
struct Log {
    world: World,
    text: Arc<std::sync::Mutex<String>>,
}

impl Log {
    fn note(&self, line: &str) {
        let at = self.world.now().0 as f64 / 1000.0 - 1_800_000_000.0;
        let _ = writeln!(self.text.lock().unwrap(), "{at:9.3} {line}");
    }
}

#[derive(Debug, Clone)]
enum Command {
    Create(Box<Wish>),
    Delete(Vec<&'static str>),
    Resume,
    Sweep,
}

impl Command {
    fn draw(rng: &mut ChaCha12Rng) -> Self {
        let name = *NAMES.choose(rng).unwrap();
        match rng.random_range(0..100) {
            0..60 => {
                let wait = if rng.random_ratio(1, 8) { Duration::from_secs(10) } else { WAIT };
                Self::Create(Box::new(Wish { wait, ..Wish::new(name, rng.random_range(1..=5)) }))
            }
            60..88 => Self::Delete(vec![name]),
            88..93 => Self::Delete(vec![]),
            93..97 => Self::Resume,
            _ => Self::Sweep,
        }
    }

    async fn run(&self, coordinator: &Coordinator, log: &Log) {
        log.note(&format!("{}: {self}", coordinator.name()));
        let ended = timeout(ENDLESS, async {
            match self {
                Self::Create(wish) => coordinator.create(wish).await.map(drop),
                Self::Delete(names) => coordinator.delete(names).await,
                Self::Resume => coordinator.resume().await,
                Self::Sweep => coordinator.sweep().await.map(drop),
            }
        });
        match ended.await {
            Ok(Ok(())) => log.note(&format!("{}: {self}: done", coordinator.name())),
            Ok(Err(status)) => {
                log.note(&format!(
                    "{}: {self}: {:?} {}",
                    coordinator.name(),
                    status.code(),
                    status.message()
                ));
            }
            Err(_) => log.note(&format!("{}: {self}: ENDLESS", coordinator.name())),
        }
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create(wish) => {
                write!(f, "create {} of {} within {:?}", wish.name, wish.workers, wish.wait)
            }
            Self::Delete(names) if names.is_empty() => f.write_str("delete all"),
            Self::Delete(names) => write!(f, "delete {}", names.join(" ")),
            Self::Resume => f.write_str("resume"),
            Self::Sweep => f.write_str("sweep"),
        }
    }
}

/// What befalls a host.
#[derive(Debug, Clone, Copy)]
enum Ill {
    Cut,
    Kill,
    Hang,
    PowerOff,
    Restart,
    Forget,
    Full,
    Slow,
    Moody,
}

impl Ill {
    const ALL: [Self; 9] = [
        Self::Cut,
        Self::Kill,
        Self::Hang,
        Self::PowerOff,
        Self::Restart,
        Self::Forget,
        Self::Full,
        Self::Slow,
        Self::Moody,
    ];

    fn befall(self, world: &World, host: &str) {
        let engine = world.engine(host);
        match self {
            Self::Cut => engine.cut(),
            Self::Kill => engine.kill(),
            Self::Hang => engine.hang(),
            Self::PowerOff => world.power_off(host),
            Self::Restart => engine.restart(),
            Self::Forget => world.forget(host),
            Self::Full => {
                let full = || Action::Answer(Refusal::DiskFull);
                world.fleet().rule(Rule::on(Method::CreateContainer, full()).engine(host));
                world.fleet().rule(Rule::on(Method::LoadImage, full()).engine(host));
            }
            Self::Slow => world
                .fleet()
                .rule(Rule::any(Action::Slow(Duration::from_secs(4))).engine(host).per_mille(300)),
            Self::Moody => {
                let error = Action::Answer(Refusal::ServerError(500, "simulated".into()));
                for action in
                    [Action::DropBefore, Action::DropAfter, error, Action::Late(Duration::from_secs(3))]
                {
                    world.fleet().rule(Rule::any(action).engine(host).per_mille(30));
                }
            }
        }
    }
}

/// All of a schedule that is drawn: a step's commands, what befalls whom when, and when it crashes.
struct Step {
    commands: Vec<Command>,
    ills: Vec<(Duration, Ill, String, Option<Duration>)>,
    crash: Option<Duration>,
    /// Only the first of two coordinators.
    killed: Option<Duration>,
    rest: Duration,
}

impl Step {
    fn draw(rng: &mut ChaCha12Rng, hosts: usize) -> Self {
        let both = rng.random_ratio(1, 4);
        let commands: Vec<_> = (0..=usize::from(both)).map(|_| Command::draw(rng)).collect();
        let millis = |rng: &mut ChaCha12Rng, most: u64| Duration::from_millis(rng.random_range(0..most));
        let count = *[0, 1, 1, 2, 3].choose(rng).unwrap();
        let ills = (0..count).map(|_| {
            let host = format!("h{}", rng.random_range(1..=hosts));
            let back = rng.random_ratio(2, 3).then(|| millis(rng, 60_000));
            (millis(rng, 4_000), *Ill::ALL.choose(rng).unwrap(), host, back)
        });
        let ills = ills.collect();
        // A create takes some three seconds if nothing is wrong.
        let crash = rng.random_ratio(2, 5).then(|| millis(rng, 4_000));
        let killed = (both && rng.random_ratio(1, 2)).then(|| millis(rng, 4_000));
        Self { commands, ills, crash, killed, rest: millis(rng, 20_000) }
    }
}

fn all_well(world: &World) {
    world.fleet().clear_rules();
    for engine in world.fleet().all() {
        engine.up();
    }
}

async fn play(life: Life, number: usize, step: Step, log: Log) -> anyhow::Result<()> {
    let mut coordinators = Vec::new();
    for at in 0..step.commands.len() {
        coordinators.push(life.coordinator(&format!("s{number}{}", if at == 0 { "a" } else { "b" })).await?);
    }
    for (after, ill, host, back) in step.ills {
        let (world, log) = (log.world.clone(), log.clone());
        // Ends with the runtime.
        drop(tokio::spawn(async move {
            sleep(after).await;
            log.note(&format!("{host}: {ill:?}"));
            ill.befall(&world, &host);
            if let Some(back) = back {
                sleep(back).await;
                log.note(&format!("{host}: well"));
                world.fleet().clear_rules();
                world.engine(&host).up();
            }
        }));
    }
    let work =
        join_all(step.commands.iter().zip(&coordinators).enumerate().map(|(at, (command, coordinator))| {
            let log = &log;
            async move {
                match step.killed.filter(|_| at == 0) {
                    None => command.run(coordinator, log).await,
                    Some(after) => tokio::select! {
                        () = command.run(coordinator, log) => {}
                        () = sleep(after) => {
                            log.note(&format!("{}: killed", coordinator.name()));
                            coordinator.kill();
                        }
                    },
                }
            }
            .boxed_local()
        }));
    tokio::select! {
        _ = work => {}
        () = async { sleep(step.crash.unwrap_or(ENDLESS * 2)).await } => {
            log.note("crash");
            return Ok(());
        }
    }
    let killed = step.killed.is_some();
    for (at, coordinator) in coordinators.into_iter().enumerate() {
        if at > 0 || !killed {
            coordinator.shutdown().await;
        }
    }
    sleep(step.rest).await;
    Ok(())
}

fn schedule(seed: u64, log: &mut Option<Log>) -> anyhow::Result<()> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let hosts = rng.random_range(2..=5);
    let world = World::registered(seed, hosts)?;
    let log = log.insert(Log { world: world.clone(), text: Arc::default() }).clone();
    for number in 0..rng.random_range(3..=8) {
        let step = Step::draw(&mut rng, hosts);
        world
            .live(async |life| play(life, number, step, log.clone()).await)?
            .context("a crash nobody armed")??;
        if rng.random_ratio(1, 2) {
            log.note("all well");
            all_well(&world);
        }
    }
    ensure!(!log.text.lock().unwrap().contains("ENDLESS"), "a command did not end");
    log.note("all well; the end");
    all_well(&world);
    world.pass(LATE)?;
    let (deleted, rows) = world.command("end", async |_, c| timeout(ENDLESS, c.delete(&[])).await)?;
    deleted.context("the last delete did not end")?.context("the last delete")?;
    if let Some(cluster) = rows.clusters.iter().find(|c| c.phase != ClusterPhase::Ready) {
        bail!("cluster {} is {}", cluster.spec.name, cluster.phase);
    }
    none(&forgotten(&world, &rows), "after the last delete")?;
    world.pass(LATE)?;
    let (swept, rows) = world.command("broom", async |_, c| {
        c.sweep().await?;
        c.sweep().await
    })?;
    swept?;
    none(&problems(&world, &rows), "after the last sweep")
}

#[test]
fn whatever_happens_nothing_is_left() -> anyhow::Result<()> {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>()).transpose();
    let only = number("SHOAL_SIM_SEED")?;
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..number("SHOAL_SIM_SCHEDULES")?.unwrap_or(SCHEDULES),
    };
    let (mut count, mut failed) = (0, Vec::new());
    for seed in seeds {
        // Whatever stops the whole run, the last seed is known.
        eprintln!("seed {seed}");
        let mut log = None;
        let ended = schedule(seed, &mut log);
        count += 1;
        if let (Some(log), true) = (&log, only.is_some() || ended.is_err()) {
            print!("{}", log.text.lock().unwrap());
        }
        if let Err(error) = ended {
            println!("SHOAL_SIM_SEED={seed}: {error:#}\n");
            failed.push(format!("SHOAL_SIM_SEED={seed}"));
        }
    }
    println!("{count} schedules");
    ensure!(failed.is_empty(), "{} of {count} schedules failed: {}", failed.len(), failed.join(" "));
    Ok(())
}
