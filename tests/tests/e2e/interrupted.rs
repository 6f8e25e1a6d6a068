//! Creations that are cut short: by Ctrl-C, and by the death of the process.

use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use shoal_tests::{Stage, Traces, list, text};

/// Sends a signal once the process has said a line with this word; all it said, and how it ended.
pub(crate) fn signal_after(
    mut child: Child,
    word: &str,
    signal: Signal,
) -> anyhow::Result<(String, Option<i32>)> {
    let mut output = BufReader::new(child.stdout.take().context("no pipe")?);
    let mut said = String::new();
    loop {
        let before = said.len();
        ensure!(output.read_line(&mut said)? > 0, "it ended without saying `{word}`: {said}");
        if said[before..].contains(word) {
            break;
        }
    }
    kill(Pid::from_raw(child.id().try_into()?), signal)?;
    output.read_to_string(&mut said)?;
    Ok((said, child.wait()?.code()))
}

/// Ctrl-C: status 130, and nothing is left.
pub(crate) fn an_interrupt_rolls_back(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let before = Traces::of(stage.machines()?)?;
    let child = home.begin(&["create", "cluster", "cut", "--workers", "6"])?;
    let (said, code) = signal_after(child, "worker-", Signal::SIGINT)?;
    ensure!(code == Some(130), "{code:?}: {said}");
    home.run(&["get", "cluster", "cut"])?.with(3)?;
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "{:?} after {said}", after.since(&before));
    Ok(())
}

/// SIGKILL: what is there is known, and the next command that changes something brings it to its end.
pub(crate) fn a_killed_create_is_finished_by_the_next_command(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let before = Traces::of(stage.machines()?)?;
    let child = home.begin(&["create", "cluster", "orphan", "--workers", "6"])?;
    let (said, code) = signal_after(child, "worker-", Signal::SIGKILL)?;
    ensure!(code.is_none(), "{code:?}: {said}");
    let clusters = home.json(&["get", "clusters"])?;
    let orphan = list(&clusters)?.iter().find(|cluster| cluster["name"] == "orphan").context("no orphan")?;
    ensure!(text(orphan, "phase")? != "ready", "{orphan}");

    // Its deadline has not passed: forward.
    home.run(&["create", "cluster", "next", "--workers", "1"])?.ok()?;
    let said = home.run(&["exec", "orphan", "--", "srun", "-N", "6", "hostname"])?.ok()?;
    ensure!(said.lines().count() == 6, "{said}");
    home.run(&["delete", "cluster", "orphan", "next"])?.ok()?;
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "{:?}", after.since(&before));
    Ok(())
}
