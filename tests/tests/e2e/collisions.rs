//! What is in the way on hosts that are not ours alone: images that are no nodes, networks and routes of others.

use std::process::Command;

use anyhow::{Context, ensure};
use shoal_tests::{Installation, Machine, Stage, list, text};

/// An image that is nowhere is refused before anything is made; one that is no node's is named, and what was begun goes.
/// Neither counts against a host.
pub(crate) fn images_that_cannot_be_nodes_are_named(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let ended =
        home.run(&["create", "cluster", "bare", "--workers", "1", "--image", "nobody-has:this"])?.with(1)?;
    ensure!(ended.stderr.contains("nobody-has:this") && ended.stderr.contains("shoal load image"), "{ended}");
    home.run(&["get", "cluster", "bare"])?.with(3)?;

    // Only an executable is in the agent's image: no accounts, no systemd.
    let [one, ..] = stage.machines()? else { anyhow::bail!("a lab without hosts") };
    let images = one.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"])?.ok()?;
    let agents =
        images.lines().find(|image| image.starts_with("shoal-agent:")).context("no image of an agent")?;
    let ended = home.run(&["create", "cluster", "bare", "--workers", "1", "--image", agents])?.with(1)?;
    ensure!(ended.stderr.contains("cannot be a node") && ended.stderr.contains("/etc/passwd"), "{ended}");
    home.run(&["get", "cluster", "bare"])?.with(3)?;
    for host in list(&home.json(&["get", "hosts"])?)? {
        ensure!(text(host, "state")? == "ready" && host["error"].is_null(), "{host}");
    }
    Ok(())
}

/// A subnet that a foreign Docker network or a route of a member host has is stepped over.
pub(crate) fn subnets_of_others_are_left_to_them(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let [one, two, ..] = stage.machines()? else { anyhow::bail!("a lab without hosts") };
    let first = subnet_of_next(home)?;
    one.docker(&["network", "create", "--subnet", &first, "foreign"])?.ok()?;
    let second = subnet_of_next(home);
    let routed = second.as_ref().map_or(Ok(()), |second| route(two, "add", second));
    let third = subnet_of_next(home);
    let unrouted = second.as_ref().map_or(Ok(()), |second| route(two, "del", second));
    one.docker(&["network", "rm", "foreign"])?.ok()?;
    routed?;
    unrouted?;
    let (second, third) = (second?, third?);
    ensure!(first != second && second != third && first != third, "{first}, {second}, {third}");
    Ok(())
}

/// The subnet that a cluster gets now, with a node on every host.
fn subnet_of_next(home: &Installation) -> anyhow::Result<String> {
    home.run(&["create", "cluster", "next", "--workers", "3"])?.ok()?;
    let shown = home.json(&["get", "cluster", "next"]);
    home.run(&["delete", "cluster", "next"])?.ok()?;
    text(&shown?["network"], "subnet")
}

fn route(machine: &Machine, verb: &str, subnet: &str) -> anyhow::Result<()> {
    let netns = &machine.host().netns;
    let status = Command::new("ip").args(["-n", netns, "route", verb, "blackhole", subnet]).status()?;
    ensure!(status.success(), "ip route {verb} blackhole {subnet} in {netns}: {status}");
    Ok(())
}
