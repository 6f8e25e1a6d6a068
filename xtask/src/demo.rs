//! `cargo xtask demo`: from a fresh Debian machine to a Slurm job on three Docker engines, as a transcript.
//!
//! ```text
//! packages -> shoal, shoal-lab -> lab of 3 hosts -> node image -> hosts registered -> cluster -> job, name, SSH
//! ```
//! Every step checks the present state first: the demo can be repeated, also after a failure half way or a reboot.

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::Value;
use shoal_lab::{Lab, LabName, install};
use shoal_tests::STATE_DIR;

use crate::{
    cargo::Programs,
    image, machine, shell,
    shoal::{Shoal, entries},
    workspace::Workspace,
};

/// The lab's name.
const LAB: &str = "demo";
/// Where the demo's `shoal` keeps its state.
const STATE: &str = "/var/lib/shoal-demo";
/// The cluster and its workers.
const CLUSTER: &str = "dev";
const WORKERS: &str = "8";

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Remove all of it
    #[arg(long)]
    down: bool,
}

impl Demo {
    /// Shows it, or removes it.
    ///
    /// # Errors
    /// What cannot be done on this machine, or the step that failed.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        machine::for_labs().map_err(|reason| anyhow!("the demo cannot run here: {reason}"))?;
        match self.down {
            true => down()?,
            false => up()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn up() -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    step("What this machine lacks");
    install::ensure_packages(image::PACKAGES)?;
    install::ensure_packages(&["openssh-client", "iproute2", "nftables"])?;

    step("Build");
    let programs = Programs::build(&workspace)?;
    let bin = programs.shoal.parent().context("shoal is in no directory")?;
    println!("$ export PATH={}:$PATH {STATE_DIR}={STATE}", bin.display());
    let shoal = Shoal::new(&programs.shoal, Path::new(STATE));

    step("Three hosts: each with an address, a Docker engine and its certificates");
    shell::run(Command::new(&programs.lab).args(["--name", LAB, "up", "--hosts", "3", "--engine", "mixed"]))?;
    let lab = Lab::open(&LAB.parse::<LabName>()?, None)?;
    shoal.register(lab.hosts())?;

    step("The image of nodes, into every host");
    let archive = image::ensure(&workspace, &programs.shoal)?;
    shoal.run(&["load", "image", &archive.display().to_string()])?;

    step("A cluster");
    if !is_usable(&shoal)? {
        shoal.run(&["create", "cluster", CLUSTER, "--workers", WORKERS])?;
    }
    shoal.run(&["get", "nodes", CLUSTER])?;
    shoal.run(&["get", "hosts"])?;

    step("A job on all of its workers");
    shoal.run(&["exec", CLUSTER, "--", "srun", "-N", WORKERS, "hostname"])?;

    let (one, other) = apart(&shoal.json(&["get", "nodes", CLUSTER])?)?;
    step(&format!("{one} and {other} are on different hosts: a name, and SSH"));
    let target = format!("{one}.{CLUSTER}");
    shoal.run(&["ssh", &target, "--", "getent", "hosts", &other])?;
    shoal.run(&["ssh", &target, "--", "ssh", &other, "hostname"])?;

    println!("\nIt is left running. To look around:\n");
    println!("  export PATH={}:$PATH {STATE_DIR}={STATE}", bin.display());
    println!("  shoal ssh {target}");
    println!("  shoal exec {CLUSTER} -- sinfo");
    println!("  shoal exec {CLUSTER} -- sbatch --wrap 'srun hostname' -N 4");
    println!("  shoal create cluster big --workers 64");
    println!("  shoal get events {CLUSTER}");
    println!("  shoal-lab --name {LAB} status");
    println!("\nTo remove all of it: cargo xtask demo --down");
    Ok(())
}

/// Is the cluster there and answering? One that is there but does not (the machine was rebooted, say) is deleted.
fn is_usable(shoal: &Shoal) -> anyhow::Result<bool> {
    let clusters = shoal.json(&["get", "clusters"])?;
    if !entries(&clusters).any(|cluster| cluster["name"] == CLUSTER) {
        return Ok(false);
    }
    if shoal.succeeds(&["exec", CLUSTER, "--", "srun", "-N", WORKERS, "--immediate=10", "true"]) {
        println!("{CLUSTER} is there from before");
        return Ok(true);
    }
    shoal.run(&["delete", "cluster", CLUSTER])?;
    Ok(false)
}

/// Two workers on different hosts.
fn apart(nodes: &Value) -> anyhow::Result<(String, String)> {
    let workers: Vec<&Value> = entries(nodes).filter(|node| node["role"] == "worker").collect();
    let [first, ..] = workers.as_slice() else { bail!("{CLUSTER} has no workers") };
    let other = workers.iter().find(|node| node["host"] != first["host"]);
    let other = other.with_context(|| format!("all workers of {CLUSTER} are on one host"))?;
    let name = |node: &Value| node["name"].as_str().map(str::to_owned).context("a node without a name");
    Ok((name(first)?, name(other)?))
}

/// The hosts go with all that is on them, then what was known of them.
fn down() -> anyhow::Result<()> {
    shoal_lab::down(&LAB.parse()?, None)?;
    match fs::remove_dir_all(STATE) {
        Err(failed) if failed.kind() != std::io::ErrorKind::NotFound => Err(failed).context(STATE),
        Ok(()) | Err(_) => {
            println!("removed: the lab {LAB} with its hosts and their clusters, and {STATE}");
            Ok(())
        }
    }
}

fn step(title: &str) {
    println!("\n== {title} ==");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_on_different_hosts() {
        let node = |name, role, host| serde_json::json!({"name": name, "role": role, "host": host});
        let mut nodes = vec![
            node("controller", "controller", "host2"),
            node("worker-0", "worker", "host1"),
            node("worker-1", "worker", "host1"),
        ];
        assert!(apart(&Value::from(nodes.clone())).is_err());
        nodes.push(node("worker-2", "worker", "host2"));
        assert_eq!(apart(&Value::from(nodes)).unwrap(), ("worker-0".into(), "worker-2".into()));
        assert!(apart(&Value::Null).is_err());
    }
}
