//! `bench tunnel`: what a stream out of a node carries, next to `docker exec NODE cat FILE` on the same engine, in turn, in one run.
//!
//! ```text
//! base:    docker(1) == TLS ==> engine -- cat
//! tunnel:  shoal proxy == TLS ==> engine -- agent == TCP ==> cat in the node
//! exec:    shoal exec  == TLS ==> engine -- cat
//! ```
//! All three are timed as a user sees them: from the command to the end of its output, which is counted.

use std::{
    io::Read,
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use shoal_lab::{Engines, Host, Lab, Options};

use super::{median, rounded};
use crate::{cargo::Programs, image, machine, shell, shoal::Shoal, workspace::Workspace};

/// The least a tunnel may carry, in times of the base.
const TARGET: f64 = 0.6;
/// The lab's name, and the cluster's.
const NAME: &str = "bench";
/// The node whose stream is measured.
const NODE: &str = "worker-0";
/// A file in memory, read several times over: a node's `/tmp` has 256 MiB.
const FILE: &str = "/tmp/stream";
const FILE_BYTES: u64 = 100 << 20;
const TIMES: usize = 6;
/// Port on which each connection gets it.
const PORT: &str = "9999";

/// Arguments of `bench tunnel`.
#[derive(Debug, Args)]
pub(crate) struct Tunnel {
    /// The host's engine
    #[arg(long, default_value = "28")]
    engine: Engines,
    /// Rounds of each, at least 3
    #[arg(long, default_value = "5", value_name = "N")]
    rounds: usize,
}

impl Tunnel {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        machine::for_labs().map_err(|reason| anyhow!("this bench cannot run here: {reason}"))?;
        ensure!(self.rounds >= 3, "a median needs at least 3 rounds");
        let workspace = Workspace::find()?;
        shoal_lab::install::ensure_packages(image::PACKAGES)?;
        let programs = Programs::build(&workspace)?;
        let archive = image::ensure(&workspace, &programs.shoal)?;
        let state = tempfile::tempdir()?;
        let shoal = Shoal::new(&programs.shoal, state.path());

        let mut options = Options::named(NAME.parse()?);
        options.hosts = Some(1);
        options.engines = Some(self.engine);
        options.program = Some(programs.lab);
        let lab = Lab::up(&options)?.guard();
        shoal.register(lab.hosts())?;
        shoal.run(&["load", "image", &archive.display().to_string()])?;
        shoal.run(&["create", "cluster", NAME])?;
        let result = self.measure(&shoal, lab.hosts().first().context("a lab without hosts")?);
        shoal.run(&["delete", "cluster", NAME])?;
        lab.down()?;
        result
    }

    fn measure(&self, shoal: &Shoal, host: &Host) -> anyhow::Result<ExitCode> {
        let files = [FILE; TIMES].join(" ");
        let serve = format!(
            "head -c {FILE_BYTES} /dev/zero >{FILE} && \
             systemd-run --quiet systemd-socket-activate --listen {PORT} --accept --inetd cat {files} && \
             until ss -Hltn 'sport = {PORT}' | grep -q .; do sleep 0.1; done"
        );
        shoal.run(&["exec", NAME, "--node", NODE, "--", "sh", "-c", &serve])?;
        let mut ps = docker(host);
        let node = shell::output(ps.args(["ps", "--quiet", "--filter", &format!("name={NODE}")]))?;
        let cat = [&["cat"][..], &[FILE; TIMES]].concat();
        let commands = || {
            let mut base = docker(host);
            base.args(["exec", node.trim()]).args(&cat);
            let tunnel = shoal.command(&["proxy", &format!("{NODE}.{NAME}"), "--port", PORT]);
            let exec = shoal.command(&[&["exec", NAME, "--node", NODE, "--"], cat.as_slice()].concat());
            [base, tunnel, exec]
        };
        let mut seconds = [const { Vec::new() }; 3];
        for round in 1..=self.rounds {
            for (command, seconds) in commands().iter_mut().zip(&mut seconds) {
                seconds.push(stream(command)?);
            }
            let [base, tunnel, exec] = seconds.each_ref().map(|all| all.last().copied().unwrap_or_default());
            println!(
                "round {round}: docker exec {base:.2} s, tunnel {tunnel:.2} s ({:.2}), shoal exec {exec:.2} s ({:.2})",
                base / tunnel,
                base / exec
            );
        }
        let bytes = (FILE_BYTES * TIMES as u64) as f64;
        let [base, tunnel, exec] = seconds.map(median);
        let rate = |seconds: f64| rounded(bytes / seconds / 1e6);
        println!("medians of {} rounds; target: a tunnel carries at least {TARGET} of the base", self.rounds);
        let result = serde_json::json!({
            "ratio": rounded(base / tunnel), "exec_ratio": rounded(base / exec), "bytes": bytes,
            "docker_exec_mb_s": rate(base), "tunnel_mb_s": rate(tunnel), "shoal_exec_mb_s": rate(exec),
            "rounds": self.rounds,
        });
        println!("{result}");
        Ok(if base / tunnel >= TARGET { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// docker(1), over TLS as Shoal goes.
fn docker(host: &Host) -> Command {
    let file = |name: &str| host.tls_dir.join(name);
    let mut docker = Command::new("docker");
    docker.arg("--tlsverify").arg("--tlscacert").arg(file("ca.pem"));
    docker.arg("--tlscert").arg(file("cert.pem")).arg("--tlskey").arg(file("key.pem"));
    docker.args(["-H", &host.endpoint]);
    docker
}

/// Reads all a command writes; how long that took, in seconds.
fn stream(command: &mut Command) -> anyhow::Result<f64> {
    let line = shell::line(command);
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(line.clone())?;
    let mut output = child.stdout.take().context("no pipe")?;
    let (mut piece, mut bytes) = (vec![0; 1 << 20], 0_u64);
    loop {
        match output.read(&mut piece)? {
            0 => break,
            read => bytes += read as u64,
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "{line}: {status}");
    ensure!(bytes == FILE_BYTES * TIMES as u64, "{line}: {bytes} bytes came");
    Ok(began.elapsed().as_secs_f64())
}
