//! Plain ssh and its kin, copies, and journals.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use shoal_tests::{Call, Stage, USER_KEY, tell};

use crate::terminals::gone;

/// More than any buffer on the way holds.
const BIG: usize = 8_000_000;

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 7 + n / 251).to_le_bytes()[0]).collect()
}

fn mode(path: &Path) -> anyhow::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
}

/// `Include` of the file that Shoal keeps makes `ssh worker-0.dev` work, and what builds on ssh; a user's own key opens nodes.
pub(crate) fn plain_ssh_and_its_kin_go_by_one_file(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let place = tempfile::tempdir()?;
    let at = |name: &str| place.path().join(name).display().to_string();
    let said = home.run(&["get", "ssh-config", "--write"])?.ok()?;
    let include = said.lines().find(|line| line.starts_with("Include ")).context("no Include line")?;
    fs::write(at("config"), format!("{include}\n"))?;
    let kept = home.state_dir().join("ssh/ssh_config");
    ensure!(mode(&kept)? == 0o600, "{:o}", mode(&kept)?);
    ensure!(
        fs::read_to_string(&kept)? == fs::read_to_string(home.state_dir().join("ssh/default/ssh_config"))?
    );

    let (config, ssh) = (at("config"), format!("ssh -F {}", at("config")));
    fs::write(at("big"), bytes(BIG))?;
    for node in dev.one_worker_per_host() {
        for name in [format!("{}.dev", node.name), node.fqdn.clone()] {
            let ended = Call::new("ssh").words(["-F", &config, &name, "hostname; cat; exit 7"]).input("in\n");
            let ended = ended.end()?.with(7)?;
            ensure!(ended.stdout == format!("{}\nin\n", node.name) && ended.stderr.is_empty(), "{ended}");
        }
        let there = |path: &str| format!("{}.dev:{path}", node.name);
        Call::new("scp").words(["-q", "-F", &config, &at("big"), &there("/tmp/scp")]).end()?.ok()?;
        let get = format!("get /tmp/scp {}\n", at("sftp"));
        let sftp = ["-q", "-F", &config, "-b", "-", &format!("{}.dev", node.name)];
        Call::new("sftp").words(sftp).input(get).end()?.ok()?;
        Call::new("rsync").words(["-e", &ssh, &at("sftp"), &there("/tmp/rsync")]).end()?.ok()?;
        Call::new("rsync").words(["-e", &ssh, &there("/tmp/rsync"), &at("back")]).end()?.ok()?;
        ensure!(fs::read(at("back"))? == bytes(BIG), "other bytes came back from {}", node.name);
        // Not the cluster's key: the user's, that was given at create.
        let key = home.state_dir().join(USER_KEY).display().to_string();
        let own = ["-F", &config, "-o", &format!("IdentityFile={key}"), "-o", "BatchMode=yes", "-v"];
        let ended =
            Call::new("ssh").words(own).words([&format!("{}.dev", node.name), "true"]).end()?.with(0)?;
        ensure!(ended.stderr.contains(&format!("Server accepts key: {key}")), "{ended}");
    }
    Ok(())
}

/// With modes, into directories and under names, below a tmpfs too; what does not arrive whole changes nothing.
pub(crate) fn files_and_directories_are_copied_both_ways(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let place = tempfile::tempdir()?;
    let at = |name: &str| place.path().join(name).display().to_string();
    fs::create_dir_all(at("src/sub dir"))?;
    fs::write(at("src/sub dir/big"), bytes(BIG))?;
    fs::set_permissions(at("src/sub dir/big"), fs::Permissions::from_mode(0o750))?;
    symlink("/nowhere", at("src/link"))?;
    for node in dev.one_worker_per_host() {
        let there = |path: &str| format!("{}.dev:{path}", node.name);
        let copy = |from: &str, to: &str| home.run(&["cp", from, to]);
        copy(&at("src"), &there("/tmp"))?.ok()?;
        copy(&there("/tmp/src"), &at(&node.name))?.ok()?;
        ensure!(fs::read(at(&format!("{}/sub dir/big", node.name)))? == bytes(BIG), "other bytes came back");
        ensure!(mode(Path::new(&at(&format!("{}/sub dir/big", node.name))))? == 0o750);
        ensure!(fs::read_link(at(&format!("{}/link", node.name)))? == Path::new("/nowhere"));
        let stream = home.call(&["cp", "-", &there("/tmp/it's $(a) name")]).input(bytes(1000)).end()?;
        stream.with(0)?;
        copy(&there("/tmp/it's $(a) name"), &at("stream"))?.ok()?;
        ensure!(fs::read(at("stream"))? == bytes(1000), "other bytes came back");
        ensure!(copy(&there("/etc/hostname"), "-")?.ok()?.trim() == node.name);
        ensure!(node.shell("ls -A /tmp | grep -c '^[.]shoal-cp'")?.stdout.trim() == "0", "something is left");
    }
    for (from, to, code, says) in [
        ("worker-0.dev:/nope", place.path().to_str().context("a path")?, 3, "no worker-0.dev:/nope"),
        ("worker-99.dev:/etc", ".", 3, "worker-99"),
        ("worker-0.dev:/", ".", 2, "end in a name"),
        ("worker-0.dev:/etc/hostname", "/nowhere/x", 2, "/nowhere/x"),
        ("/nope", "worker-0.dev:/tmp", 2, "/nope"),
        ("/etc/hostname", "worker-0.dev:/nowhere/x", 1, "/nowhere"),
    ] {
        let ended = home.run(&["cp", from, to])?.with(code)?;
        ensure!(ended.stderr.contains(says), "{ended}");
    }
    Ok(())
}

/// One service's, the whole, what is not there; and following one leaves nothing behind in the node.
pub(crate) fn the_journal_is_shown_and_followed(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    for node in dev.one_worker_per_host() {
        let name = format!("{}.dev", node.name);
        let said = home.run(&["logs", &name, "slurmd"])?.ok()?;
        ensure!(said.contains("slurmd") && !said.contains("munged["), "{said}");
        let said = home.run(&["logs", &name, "-n", "3"])?.ok()?;
        ensure!(said.lines().count() == 3, "{said}");
        ensure!(home.run(&["logs", &name, "--since", "1s"])?.ok()?.lines().count() < 50);
        for (service, code) in [("slurmctld", 3), ("nope", 3), ("--root=/", 2)] {
            home.run(&["logs", &name, "--", service])?.with(code)?;
        }
        let mut follow = home.begin(&["logs", &name, "--follow"])?;
        let mut lines = BufReader::new(follow.stdout.take().context("no output")?).lines();
        // It follows once its first lines are there.
        lines.next().context("no journal")??;
        node.exec(&["logger", "-t", "e2e", "\u{1b}[31mred"])?.ok()?;
        let mut seen = String::new();
        while !seen.contains("e2e") {
            seen = lines.next().context("the journal ended")??;
        }
        ensure!(!seen.contains('\u{1b}'), "{seen:?}");
        tell(&follow, Signal::SIGINT)?;
        ensure!(follow.wait()?.code() == Some(0), "following ends with 0");
        gone(node, "journalctl --no-pager")?;
    }
    Ok(())
}
