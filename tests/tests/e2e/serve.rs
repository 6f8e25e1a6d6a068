//! A server on real hosts: what is damaged while it runs is mended by itself, and it is killed and ended.

use std::{
    io::{BufRead, BufReader},
    process::Child,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use shoal_lab::{Lab, until};
use shoal_tests::{Cluster, Installation, Machine, Node, Stage};

const CREATE: [&str; 6] = ["create", "cluster", "kept", "--workers", "5", "--detach"];
/// How long a worker that was removed may take to be IDLE again: what is promised, and as much for a machine that does other things.
const MENDED: Duration = Duration::from_secs(10);
/// How long nodes of a host may take that has power again: its agent begins, they boot, Slurm hears of them.
const REBOOTED: Duration = Duration::from_secs(90);

/// How long what was left on a host may stay there once it is back.
const CLEARED: Duration = Duration::from_secs(150);

/// A server that runs; killed with this.
struct Server(Child);

impl Server {
    /// Starts one, and waits until it serves.
    fn start(home: &Installation) -> anyhow::Result<Self> {
        let mut server = Self(home.begin(&["serve"])?);
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().context("no output")?).read_line(&mut line)?;
        ensure!(line.starts_with("serving installation "), "{line}");
        Ok(server)
    }

    /// Ends it by a signal; its exit status.
    fn end(mut self, signal: Signal) -> anyhow::Result<Option<i32>> {
        kill(Pid::from_raw(i32::try_from(self.0.id())?), signal)?;
        Ok(self.0.wait()?.code())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What Slurm says of a worker, asked in the controller without Shoal: its state, and when its slurmd began. Slurm takes minutes to
/// miss a node: one that is idle is back only if its slurmd is a new one.
fn slurm_says(cluster: &Cluster, worker: &Node) -> anyhow::Result<(String, String)> {
    let shown = cluster.node("controller")?.exec(&["scontrol", "show", "node", &worker.name])?.ok()?;
    let value = |key: &str| {
        let found = shown.split_whitespace().find_map(|word| word.strip_prefix(key));
        found.map(str::to_owned).with_context(|| format!("no {key} in {shown}"))
    };
    Ok((value("State=")?, value("SlurmdStartTime=")?))
}

/// Returns once these workers are IDLE with a new slurmd; how long that took.
fn until_back(
    cluster: &Cluster,
    workers: &[(&Node, String)],
    began: Instant,
    limit: Duration,
) -> anyhow::Result<Duration> {
    until(limit, || {
        for (worker, slurmd) in workers {
            let (state, now) = slurm_says(cluster, worker)?;
            ensure!(state == "IDLE" && now != *slurmd, "{} is {state}, its slurmd of {now}", worker.name);
        }
        Ok(())
    })?;
    Ok(began.elapsed())
}

/// All is as it should be, as `status` has it.
fn until_well(home: &Installation, limit: Duration) -> anyhow::Result<Duration> {
    let began = Instant::now();
    until(limit, || home.run(&["status", "kept"])?.with(0).map(drop))?;
    Ok(began.elapsed())
}

pub(crate) fn what_is_broken_while_a_server_runs_is_mended_by_itself(stage: &Stage) -> anyhow::Result<()> {
    stage.home()?;
    let (lab, machines) = (stage.lab()?, stage.machines()?);
    let home = Installation::new(stage.means(), None)?;
    let refused = home.run(&CREATE)?.with(2)?;
    ensure!(refused.stderr.contains("--detach needs a server"), "{refused}");
    let server = Server::start(&home)?;
    home.register(machines)?;
    home.run(&CREATE)?.ok()?;
    home.run(&["create", "--follow", "kept"])?.ok()?;
    let cluster = home.cluster("kept", machines)?;
    until_well(&home, REBOOTED)?;

    let worker = cluster.node("worker-0")?;
    let (before, slurmd) = (worker.container()?, slurm_says(&cluster, worker)?.1);
    let began = Instant::now();
    worker.machine.docker(&["rm", "--force", &before])?.ok()?;
    let took = until_back(&cluster, &[(worker, slurmd)], began, MENDED)?;
    println!("  a worker that was removed is IDLE again after {:.1} s", took.as_secs_f32());
    ensure!(worker.container()? != before, "its container is the same");
    worker.exec(&["systemctl", "is-active", "slurmd"])?.ok()?;
    let took = until_well(&home, REBOOTED)?;
    println!("  everything in it runs {:.1} s later", took.as_secs_f32());
    home.run(&["exec", "kept", "--", "srun", "-N5", "true"])?.ok()?;

    let of_controller = cluster.node("controller")?.machine.name();
    let other = machines.iter().find(|machine| machine.name() != of_controller).context("one host")?;
    let there = cluster.workers().filter(|node| node.machine.name() == other.name());
    let there =
        there.map(|node| Ok((node, slurm_says(&cluster, node)?.1))).collect::<anyhow::Result<Vec<_>>>()?;
    lab.cut_power(other.host().name)?;
    lab.restart(other.host().name)?;
    let took = until_back(&cluster, &there, Instant::now(), REBOOTED)?;
    println!(
        "  the {} nodes of a host that lost power are IDLE again after {:.1} s",
        there.len(),
        took.as_secs_f32()
    );
    until_well(&home, REBOOTED)?;

    goes_elsewhere(&home, lab, machines, other)?;
    controller_goes_elsewhere(&home, lab, machines)?;

    ensure!(server.end(Signal::SIGKILL)?.is_none(), "it was to be killed");
    ensure!(home.state_dir().join("shoal.sock").exists(), "a killed server takes nothing away");
    home.run(&["status", "kept"])?.ok()?;
    let server = Server::start(&home)?;
    ensure!(server.end(Signal::SIGTERM)? == Some(0), "it was to end by itself");
    ensure!(!home.state_dir().join("shoal.sock").exists(), "its socket is still there");
    home.run(&["delete", "cluster", "kept"])?.ok()?;
    for machine in machines {
        home.run(&["unregister", &machine.name()])?.ok()?;
    }
    Ok(())
}

/// A host loses power for good: its workers are IDLE elsewhere, and what was left there goes when it is back.
fn goes_elsewhere(
    home: &Installation,
    lab: &Lab,
    machines: &[Machine],
    lost: &Machine,
) -> anyhow::Result<()> {
    home.run(&["set", "cluster", "kept", "--heal-after", "0s"])?.ok()?;
    let before = home.cluster("kept", machines)?;
    let of_lost = |cluster: &Cluster| cluster.workers().filter(|n| n.machine.name() == lost.name()).count();
    ensure!(of_lost(&before) > 0, "no worker on {}", lost.name());
    let slurmd = |worker: &Node| Ok::<_, anyhow::Error>(slurm_says(&before, worker)?.1);
    let began_with = before.workers().map(slurmd).collect::<Result<Vec<_>, _>>()?;
    lab.cut_power(lost.host().name)?;
    let began = Instant::now();
    until(REBOOTED, || {
        let now = home.cluster("kept", machines)?;
        ensure!(of_lost(&now) == 0, "workers are on the host that is lost");
        for (was, slurmd) in before.workers().zip(&began_with) {
            let node = now.node(&was.name)?;
            ensure!(node.address == was.address, "{} has another address", was.name);
            let (state, begun) = slurm_says(&now, node)?;
            let is_new = (was.machine.name() == lost.name()) == (begun != *slurmd);
            ensure!(state == "IDLE" && is_new, "{} is {state}, its slurmd of {begun}", node.name);
        }
        Ok(())
    })?;
    println!(
        "  {} workers of a host that is lost are idle elsewhere after {:.1} s",
        of_lost(&before),
        began.elapsed().as_secs_f32()
    );
    home.run(&["exec", "kept", "--", "srun", "-N5", "true"])?.ok()?;
    lab.restart(lost.host().name)?;
    until(CLEARED, || {
        let left = lost.docker(&["ps", "--all", "--quiet", "--filter", "label=shoal.node"])?.ok()?;
        ensure!(left.is_empty(), "containers are left: {left}");
        Ok(())
    })?;
    until_well(home, REBOOTED).map(drop)
}

/// Where slurmctld keeps the jobs.
const JOBS: &str = "/var/lib/slurm/slurmctld/job_state";
/// How long a copy of the state may be on its way.
const COPIED: Duration = Duration::from_secs(60);
/// How long the jobs of the test may take.
const RAN: Duration = Duration::from_secs(120);

/// The host of the controller loses power for good: the jobs that waited wait elsewhere, one that runs goes on, and all of them end.
fn controller_goes_elsewhere(home: &Installation, lab: &Lab, machines: &[Machine]) -> anyhow::Result<()> {
    let before = home.cluster("kept", machines)?;
    let controller = before.node("controller")?;
    let lost = controller.machine.clone();
    let runs = before.workers().find(|node| node.machine.name() != lost.name()).context("one host")?;
    let submit = |words: &[&str]| home.run(&[&["exec", "kept", "--", "sbatch"], words].concat())?.ok();
    submit(&["-J", "runs", "-w", &runs.name, "--wrap", "sleep 25"])?;
    for name in ["first", "second", "last"] {
        submit(&["-J", name, "-N5", "--wrap", "hostname"])?;
    }
    // slurmctld writes some seconds late.
    until(COPIED, || controller.exec(&["grep", "-q", "last", JOBS])?.ok().map(drop))?;
    let written = Instant::now();
    until(COPIED, || {
        let copy = &home.json(&["status", "kept"])?["state_copy"];
        let age = Duration::from_millis(copy["age_ms"].as_u64().with_context(|| copy.to_string())?);
        ensure!(copy["trouble"].is_null() && age < written.elapsed(), "{copy}");
        Ok(())
    })?;
    println!(
        "  a state of a few jobs has a copy {:.1} s after it was written",
        written.elapsed().as_secs_f32()
    );
    let size = &home.json(&["status", "kept"])?["state_copy"];
    println!("  it takes {} bytes, the copy {}", size["state_bytes"], size["copy_bytes"]);

    lab.cut_power(lost.host().name)?;
    let began = Instant::now();
    until(REBOOTED, || {
        let now = home.cluster("kept", machines)?;
        let node = now.node("controller")?;
        ensure!(node.machine.name() != lost.name(), "it is on the host that is lost");
        let queue = node.exec(&["squeue", "-h", "-o", "%j %T"])?.ok()?;
        for job in ["first PENDING", "second PENDING", "last PENDING", "runs RUNNING"] {
            ensure!(queue.lines().any(|line| line == job), "{queue}");
        }
        ensure!(queue.lines().count() == 4, "{queue}");
        Ok(())
    })?;
    println!("  squeue answers elsewhere after {:.1} s, with every job", began.elapsed().as_secs_f32());
    let now = home.cluster("kept", machines)?;
    let node = now.node("controller")?;
    ensure!(node.address == controller.address, "it has another address");
    until(RAN, || {
        let jobs = node.exec(&["scontrol", "--oneliner", "show", "jobs"])?.ok()?;
        // The test's other jobs are no batch jobs.
        let ours: Vec<&str> = jobs.lines().filter(|job| job.contains("BatchFlag=1")).collect();
        ensure!(ours.len() == 4, "{jobs}");
        ensure!(ours.iter().all(|job| job.contains("JobState=COMPLETED")), "{jobs}");
        ensure!(ours.iter().all(|job| job.contains("Restarts=0")), "a job ran twice: {jobs}");
        Ok(())
    })?;
    lab.restart(lost.host().name)?;
    until(CLEARED, || {
        let label = "label=shoal.cluster";
        let left = lost.docker(&["ps", "--all", "--quiet", "--filter", "label=shoal.node"])?.ok()?;
        ensure!(left.is_empty(), "containers are left: {left}");
        let left = lost.docker(&["volume", "ls", "--quiet", "--filter", label])?.ok()?;
        ensure!(left.is_empty(), "volumes are left: {left}");
        Ok(())
    })?;
    let running = machines
        .iter()
        .map(|machine| machine.docker(&["ps", "--quiet", "--filter", "label=shoal.role=controller"])?.ok());
    let running = running.collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(running.iter().flat_map(|said| said.lines()).count() == 1, "{running:?}");
    until_well(home, REBOOTED).map(drop)
}

/// A create is under way when its server ends: the next one goes on with it.
pub(crate) fn a_create_outlives_its_server(stage: &Stage) -> anyhow::Result<()> {
    stage.home()?;
    let machines = stage.machines()?;
    let home = Installation::new(stage.means(), None)?;
    let server = Server::start(&home)?;
    home.register(machines)?;
    home.run(&CREATE)?.ok()?;
    let began = Instant::now();
    ensure!(server.end(Signal::SIGTERM)? == Some(0), "it was to end by itself");
    println!("  a server in the middle of a create ended after {:.1} s", began.elapsed().as_secs_f32());
    ensure!(home.phase("kept")?.as_deref() == Some("interrupted"), "{:?}", home.phase("kept")?);
    let _server = Server::start(&home)?;
    until(REBOOTED, || match home.phase("kept")?.as_deref() {
        Some("ready") => Ok(()),
        other => bail!("it is {other:?}"),
    })?;
    home.run(&["delete", "cluster", "kept"])?.ok()?;
    for machine in machines {
        home.run(&["unregister", &machine.name()])?.ok()?;
    }
    Ok(())
}
