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

/// What people have for all hosts, to the harm of nodes; ssh -G has the whole list (`cli/src/ssh/options.rs`).
const HOSTILE: &str = "Host *
    HostName bastion.invalid
    Port 2222
    User nobody
    ProxyJump bastion.invalid
    ControlMaster auto
    ControlPath /nowhere/one-for-all
    CanonicalizeHostname always
    HostKeyAlgorithms rsa-sha2-512
    PubkeyAuthentication no
    PreferredAuthentications password
    IdentityFile /nowhere/other
    CertificateFile /nowhere/other-cert.pub
    IdentityAgent /nowhere/agent
    KexAlgorithms diffie-hellman-group1-sha1
    RevokedHostKeys /nowhere/revoked
    KnownHostsCommand /bin/false
    RemoteCommand echo other
    RequestTTY force
    SessionType none
    StdinNull yes
    LocalForward 1 localhost:1
    ExitOnForwardFailure yes
    ConnectTimeout 1
    BatchMode yes
";

/// A user's `Host *` decides nothing for nodes: neither for `shoal ssh`, whose ssh reads it, nor for the written file.
pub(crate) fn what_a_user_has_for_all_hosts_changes_nothing(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let place = tempfile::tempdir()?;
    let config = place.path().join("config");
    let include = home.run(&["get", "ssh-config", "--write"])?.ok()?;
    let include = include.lines().find(|line| line.starts_with("Include ")).context("no Include line")?;
    fs::write(&config, format!("{include}\n{HOSTILE}"))?;
    // The user's file is found by the account, not by HOME: this is the ssh of somebody who has that one.
    let ssh = place.path().join("ssh");
    fs::write(&ssh, format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", config.display()))?;
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH")?);
    for node in dev.one_worker_per_host() {
        let name = format!("{}.dev", node.name);
        let wanted = format!("{}\nin\n", node.name);
        let plain =
            Call::new(ssh.display().to_string()).words([&name, "hostname; cat; exit 7"]).input("in\n");
        let ours = home.call(&["ssh", &name, "--", "hostname; cat; exit 7"]).env("PATH", &path).input("in\n");
        for call in [plain, ours] {
            let ended = call.end()?.with(7)?;
            ensure!(ended.stdout == wanted, "{ended}");
        }
    }
    Ok(())
}

/// Logins at the same moment, each its own connection: a machine's sshd would drop a third of them.
const LOGINS: usize = 60;

/// All are let in, by name, full name and as another account; a command without `-n` takes the loop's input, one with it does not.
pub(crate) fn many_log_in_at_once_and_by_every_name(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let node = *dev.one_worker_per_host().first().context("no worker")?;
    let logins = std::thread::scope(|scope| {
        let login = || home.run(&["ssh", &format!("root@{}", node.fqdn), "--", "hostname"])?.ok();
        let all: Vec<_> = (0..LOGINS).map(|_| scope.spawn(login)).collect();
        all.into_iter()
            .map(|one| one.join().map_err(|_| anyhow::anyhow!("a login panicked"))?)
            .collect::<Vec<_>>()
    });
    let failed: Vec<_> = logins.iter().filter_map(|login| login.as_ref().err()).collect();
    ensure!(failed.is_empty(), "{} of {LOGINS} logins failed, the first: {:#}", failed.len(), failed[0]);

    node.shell("useradd --create-home --shell /bin/bash alice")?.ok()?;
    let alice = format!("alice@{}.dev", node.name);
    for words in [
        &["ssh", &alice, "--", "id -un; pwd"][..],
        &["exec", "dev", "--node", &alice, "--", "sh", "-c", "cd; id -un; pwd"],
    ] {
        let said = home.run(words)?.ok()?;
        ensure!(said == "alice\n/home/alice\n", "{said:?}");
    }
    home.call(&["cp", "-", &format!("{alice}:made")]).input("hers").end()?.with(0)?;
    ensure!(node.shell("stat -c %U /home/alice/made")?.ok()?.trim() == "alice");
    ensure!(home.run(&["cp", &format!("alice@{}:made", node.fqdn), "-"])?.ok()? == "hers");
    home.run(&["exec", "dev", "--node", "worker-0.other", "--", "true"])?.with(125)?;

    let rest = |flag: &str| home.call(&["exec", "dev", flag, "--", "cat"]).input("the loop's").end();
    ensure!(rest("-n")?.ok()?.is_empty() && rest("-i")?.ok()? == "the loop's");
    Ok(())
}

/// Pipes, process substitutions and files of /proc are read to their end; what cannot be copied is named, and the status says so.
pub(crate) fn every_kind_of_thing_is_copied_or_named(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let place = tempfile::tempdir()?;
    let at = |name: &str| place.path().join(name).display().to_string();
    for node in dev.one_worker_per_host() {
        let there = |path: &str| format!("{}.dev:{path}", node.name);
        let substitution = format!("shoal cp <(seq 100000) {}", there("/tmp/piped"));
        home.beside(Call::new("bash").words(["-c", &substitution])).end()?.ok()?;
        ensure!(node.shell("seq 100000 | cmp - /tmp/piped && echo same")?.ok()?.trim() == "same");
        home.run(&["cp", "/proc/self/status", &there("/tmp/status")])?.ok()?;
        ensure!(node.shell("cat /tmp/status")?.ok()?.contains("VmRSS"));
        home.run(&["cp", &there("/proc/cpuinfo"), &at("cpuinfo")])?.ok()?;
        ensure!(!fs::read(at("cpuinfo"))?.is_empty());
        // Both ways: a tree with a socket, a pipe, a device's place and a file of holes.
        node.shell("rm -rf /tmp/odd; mkdir /tmp/odd && cd /tmp/odd && mkfifo pipe && truncate -s 1G holes && echo x >file \
            && perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(q(sock))) or die'")?
            .ok()?;
        let ended = home.run(&["cp", &there("/tmp/odd"), &at(&node.name)])?.with(6)?;
        ensure!(ended.stderr.contains("left out ./odd/sock: socket ignored"), "{ended}");
        let _listens = std::os::unix::net::UnixListener::bind(at(&format!("{}/sock", node.name)))?;
        let ended = home.run(&["cp", &at(&node.name), &there("/tmp/back")])?.with(6)?;
        ensure!(ended.stderr.contains("sock: a socket"), "{ended}");
        let said = node.shell(
            "cd /tmp/back && ls -A && stat -c '%F %s' pipe holes && test $(stat -c %b holes) -lt 100",
        )?;
        ensure!(said.stdout == "file\nholes\npipe\nfifo 0\nregular file 1073741824\n", "{said}");
        // A device here is written to, one there is nobody's target.
        home.run(&["cp", &there("/tmp/odd/file"), "/dev/null"])?.ok()?;
        ensure!(std::os::unix::fs::FileTypeExt::is_char_device(&fs::metadata("/dev/null")?.file_type()));
        home.call(&["cp", "-", &there("/dev/null")]).input("x").end()?.with(1)?;
        ensure!(node.shell("ls -A /tmp | grep -c '^[.]shoal-cp'")?.stdout.trim() == "0", "something is left");
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
