//! Ways to an engine that people have already: a context of Docker's client, its variables, and SSH.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use shoal_lab::{SshDoor, until};
use shoal_tests::{Call, Installation, Stage, text};
use tempfile::TempDir;

/// How long processes and directories may take to go.
const GOES: Duration = Duration::from_secs(20);

/// What `docker context` wrote leads to the same engine, and `DOCKER_HOST` makes it the first host.
pub(crate) fn contexts_and_variables_of_dockers_client(stage: &Stage) -> anyhow::Result<()> {
    // The image is there.
    stage.home()?;
    let machines = stage.machines()?;
    let config = tempfile::tempdir()?;
    for (machine, context) in machines.iter().zip(["one", "two"]) {
        let host = machine.host();
        let file = |name: &str| host.tls_dir.join(name).display().to_string();
        let docker = format!(
            "host={},ca={},cert={},key={}",
            host.endpoint,
            file("ca.pem"),
            file("cert.pem"),
            file("key.pem")
        );
        let create = Call::new("docker").words(["context", "create", context, "--docker", &docker]);
        create.env("DOCKER_CONFIG", config.path()).end()?.ok()?;
    }
    let home = Installation::new(stage.means(), None)?;
    let call = |words: &[&str]| home.call(words).env("DOCKER_CONFIG", config.path());
    call(&["register", "--from-context", "one", "two", "--label", "by=context"]).end()?.ok()?;
    let hosts = home.json(&["get", "hosts", "--label", "by=context"])?;
    for (host, machine) in hosts.as_array().context("no list")?.iter().zip(machines) {
        ensure!(host["endpoint"] == machine.host().endpoint.as_str() && host["state"] == "ready", "{hosts}");
    }
    for name in ["one", "two"] {
        home.run(&["unregister", name])?.ok()?;
    }
    // None is registered now.
    let [first, ..] = machines else { anyhow::bail!("a lab without hosts") };
    let plan =
        home.call(&["create", "cluster", "dev", "--dry-run"]).env("DOCKER_HOST", &first.host().endpoint);
    let ended = plan.env("DOCKER_CERT_PATH", &first.host().tls_dir).env("DOCKER_TLS_VERIFY", "1").end()?;
    ensure!(
        ended.code == Some(0) && ended.stderr.contains("registered the engine of DOCKER_HOST as docker-host"),
        "{ended}"
    );
    home.run(&["unregister", "docker-host"])?.ok().map(drop)
}

/// A directory whose `ssh` has a configuration of its own: OpenSSH finds its files by the account, not by HOME.
struct Client(TempDir);

impl Client {
    fn new(lines: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("config"), lines)?;
        let ssh = dir.path().join("ssh");
        fs::write(&ssh, format!("#!/bin/sh\nexec /usr/bin/ssh -F {}/config \"$@\"\n", dir.path().display()))?;
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755))?;
        Ok(Self(dir))
    }

    fn call(&self, home: &Installation, words: &[&str]) -> Call {
        home.call(words).env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.0.path().display()))
    }
}

/// Processes of ssh that were started for an installation's `shoal` and lead to this endpoint's host: id, directory of its socket.
fn clients(door: &SshDoor) -> anyhow::Result<Vec<(Pid, PathBuf)>> {
    let socket =
        door.endpoint.trim_start_matches("ssh://root@").split_once('/').context("no path")?.1.to_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let words = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&str> = words.split('\0').collect();
        let forward = words.iter().find(|word| word.ends_with(&format!("/s:/{socket}")));
        if let Some(forward) = forward.filter(|_| words[0].ends_with("ssh")) {
            let dir =
                Path::new(forward.split(':').next().unwrap_or_default()).parent().context("no directory")?;
            found.push((Pid::from_raw(pid), dir.to_owned()));
        }
    }
    Ok(found)
}

/// One of them, once its socket is there.
fn connected(door: &SshDoor) -> anyhow::Result<(Pid, PathBuf)> {
    until(GOES, || match clients(door)?.first() {
        Some((pid, dir)) if dir.join("s").exists() => Ok((*pid, dir.clone())),
        Some(_) | None => Err(anyhow::anyhow!("no ssh yet")),
    })
}

fn logins(door: &SshDoor) -> usize {
    fs::read_to_string(&door.log).unwrap_or_default().matches("Accepted publickey").count()
}

/// The user's own OpenSSH, its jump host included; one connection for a whole create; nothing of it outlives `shoal`.
pub(crate) fn a_host_is_reached_by_the_users_own_ssh(stage: &Stage) -> anyhow::Result<()> {
    stage.home()?;
    let [one, two, ..] = stage.machines()? else { anyhow::bail!("a lab without hosts") };
    let lab = stage.lab()?;
    let (jump, door) = (lab.open_ssh(one.host().name)?, lab.open_ssh(two.host().name)?);
    let (first, second) = (one.host().address, two.host().address);
    let config = format!(
        "Host jumped\n  HostName {second}\n  User root\n  ProxyJump root@{first}\n  LocalForward 127.0.0.1:1 127.0.0.1:1\n  RemoteCommand false\n\
         Host *\n  IdentityFile {}\n  UserKnownHostsFile {}\n  ControlMaster auto\n  ControlPath /tmp/never-%C\n",
        door.key.display(),
        door.known_hosts.display()
    );
    let client = Client::new(&config)?;
    let home = Installation::new(stage.means(), None)?;
    let endpoint = format!("ssh://jumped{}", two.host().socket.display());
    let underlay = second.to_string();
    client.call(&home, &["register", "far", "--docker", &endpoint, "--underlay", &underlay]).end()?.ok()?;
    let (before, jumps) = (logins(&door), logins(&jump));
    client.call(&home, &["create", "cluster", "dev", "--workers", "2"]).end()?.ok()?;
    ensure!(logins(&door) == before + 1, "{} logins for one command", logins(&door) - before);
    ensure!(logins(&jump) == jumps + 1, "not through the jump host");
    let bytes = client
        .call(&home, &["exec", "dev", "--", "sh", "-c", "srun -N 2 hostname; head -c 3000000 /dev/zero"])
        .end()?
        .ok()?;
    ensure!(bytes.len() > 3_000_000 && bytes.contains("worker-1"), "{} bytes", bytes.len());

    // A create outlives its connection: it is made anew.
    let mut create = client.call(&home, &["create", "cluster", "second", "--workers", "8"]).begin()?;
    let mut lines = BufReader::new(create.stdout.take().context("no output")?).lines();
    let first = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("created")));
    first.context("no node was created")??;
    let (pid, _) = connected(&door)?;
    kill(pid, Signal::SIGKILL)?;
    let rest = lines.collect::<Result<Vec<_>, _>>()?.join("\n");
    ensure!(create.wait()?.success() && rest.contains("second is ready"), "{rest}");

    // And nothing of it outlives a `shoal` that is killed.
    let mut child = client.call(&home, &["exec", "dev", "--", "sleep", "1000"]).begin()?;
    let (_, dir) = connected(&door)?;
    ensure!(fs::metadata(&dir)?.permissions().mode() & 0o777 == 0o700);
    let shoal = Pid::from_raw(i32::try_from(child.id())?);
    kill(Pid::from_raw(-shoal.as_raw()), Signal::SIGKILL)?;
    child.wait()?;
    until(GOES, || {
        let left = clients(&door)?;
        ensure!(left.is_empty() && !dir.exists(), "{left:?} {}", dir.display());
        Ok(())
    })?;
    client.call(&home, &["delete", "cluster", "--all"]).end()?.ok()?;
    client.call(&home, &["unregister", "far"]).end()?.ok().map(drop)
}

/// A key of Shoal's own: sealed, with the host's key as it was known at registration; then no file of the user's is needed.
pub(crate) fn a_host_is_reached_by_a_sealed_ssh_key(stage: &Stage) -> anyhow::Result<()> {
    let [one, ..] = stage.machines()? else { anyhow::bail!("a lab without hosts") };
    let door = stage.lab()?.open_ssh(one.host().name)?;
    let home = Installation::new(stage.means(), None)?;
    let dir = tempfile::tempdir()?;
    let [key, known] = ["key", "known"].map(|name| dir.path().join(name).display().to_string());
    fs::copy(&door.key, &key)?;
    fs::copy(&door.known_hosts, &known)?;
    let register =
        ["register", "sealed", "--docker", &door.endpoint, "--ssh-key", &key, "--ssh-known-hosts", &known];
    home.run(&register)?.ok()?;
    let secret = fs::read_to_string(&key)?;
    let line = secret.lines().nth(1).context("an empty key")?.as_bytes().to_vec();
    drop(dir);
    let hosts = home.json(&["get", "hosts"])?;
    ensure!(text(&hosts[0], "state")? == "ready", "{hosts}");
    home.run(&["doctor", "sealed"])?.ok()?;
    for file in home.files()? {
        let bytes = fs::read(&file)?;
        ensure!(!bytes.windows(line.len()).any(|window| window == line), "the key is in {}", file.display());
    }
    // To TLS and back: what opens the one does not open the other, and does not stay.
    let (endpoint, tls) = (&one.host().endpoint, one.host().tls_dir.display().to_string());
    home.run(&["set", "host", "sealed", "--docker", endpoint])?.with(2)?;
    home.run(&["set", "host", "sealed", "--docker", endpoint, "--tls-dir", &tls])?.ok()?;
    home.run(&["set", "host", "sealed", "--tls-dir", &tls, "--docker", &door.endpoint])?.with(2)?;
    let (key, known) = (door.key.display().to_string(), door.known_hosts.display().to_string());
    let back =
        ["set", "host", "sealed", "--docker", &door.endpoint, "--ssh-key", &key, "--ssh-known-hosts", &known];
    home.run(&back)?.ok()?;
    home.run(&["doctor", "sealed"])?.ok()?;
    home.run(&["unregister", "sealed"])?.ok().map(drop)
}

/// ssh's own words, once, with what to do; nothing is registered.
pub(crate) fn what_ssh_refuses_is_told(stage: &Stage) -> anyhow::Result<()> {
    let [one, ..] = stage.machines()? else { anyhow::bail!("a lab without hosts") };
    let door = stage.lab()?.open_ssh(one.host().name)?;
    let home = Installation::new(stage.means(), None)?;
    let dir = tempfile::tempdir()?;
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).map(|()| path.display().to_string())
    };
    let (key, known) = (door.key.display().to_string(), door.known_hosts.display().to_string());
    let stranger = dir.path().join("stranger").display().to_string();
    Call::new("ssh-keygen").words(["-q", "-t", "ed25519", "-N", "", "-f", &stranger]).end()?.ok()?;
    let address = one.host().address;
    let other_key = fs::read_to_string(format!("{stranger}.pub"))?;
    let changed = file("changed", &format!("{address} {other_key}"))?;
    let at = |rest: &str| format!("ssh://root@{address}{rest}");
    for (endpoint, key, known, exit, parts) in [
        (door.endpoint.clone(), &key, &changed, 1, &["Host key for", "has changed", "ssh-keygen -R"][..]),
        (door.endpoint.clone(), &stranger, &known, 1, &["Permission denied (publickey)", "authorized_keys"]),
        (at("/nowhere.sock"), &key, &known, 5, &["connect failed", "/nowhere.sock", "group docker"]),
        (door.endpoint.clone(), &key, &file("empty", "")?, 2, &["no host key", "--ssh-known-hosts"]),
        (door.endpoint.clone(), &format!("{stranger}.pub"), &known, 2, &["public key"]),
        (one.host().endpoint.clone(), &key, &known, 2, &["--ssh-key is for an ssh:// endpoint"]),
    ] {
        let ended = home.run(&[
            "register",
            "far",
            "--docker",
            &endpoint,
            "--ssh-key",
            key,
            "--ssh-known-hosts",
            known,
        ])?;
        let said = ended.stderr.clone();
        let ended = ended.with(exit)?;
        ensure!(
            said.matches(parts[0]).count() == 1 && parts.iter().all(|part| said.contains(part)),
            "{ended}"
        );
        ensure!(!said.contains("authorized use"), "{ended}");
    }
    // Without a key it is the user's own client, which does not know the host.
    let client = Client::new(&format!("UserKnownHostsFile /dev/null\nIdentityFile {key}\n"))?;
    let ended = client.call(&home, &["register", "far", "--docker", &door.endpoint]).end()?.with(1)?;
    ensure!(
        ["host key is known for", "fingerprint"].iter().all(|part| ended.stderr.contains(part)),
        "{ended}"
    );
    let refused = client.call(&home, &["register", "far", "--docker", &at(":1")]).end()?.with(5)?;
    ensure!(refused.stderr.contains("port 1: Connection refused"), "{refused}");
    ensure!(home.json(&["get", "hosts"])?.as_array().is_some_and(Vec::is_empty));
    Ok(())
}
