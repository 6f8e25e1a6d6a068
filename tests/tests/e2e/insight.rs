//! `shoal status` and `shoal doctor`: things are broken on real nodes and hosts, and exactly these are told.

use std::{
    collections::BTreeSet,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use shoal_tests::{Call, Installation, Machine, Stage, list, text};

/// Longer than Slurm takes to notice a state set by hand, or systemd a service's end.
const SOON: Duration = Duration::from_secs(20);
/// Longer than a node's services are given to come up.
const YOUTH: Duration = Duration::from_secs(40);

fn answer(home: &Installation, words: &[&str], code: i32) -> anyhow::Result<Value> {
    let ended = home.run(&[words, &["-o", "json"]].concat())?.with(code)?;
    serde_json::from_str(&ended.stdout).with_context(|| ended.to_string())
}

/// Every trouble as `node: trouble`.
fn troubles(status: &Value) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for node in list(&status["nodes"])? {
        for trouble in list(&node["troubles"])? {
            found.push(format!("{}: {}", text(node, "name")?, trouble.as_str().unwrap_or_default()));
        }
    }
    Ok(found)
}

/// Asks until the troubles are these.
fn until_troubles(home: &Installation, expected: &[String], code: i32) -> anyhow::Result<Value> {
    let began = Instant::now();
    loop {
        let ended = home.run(&["status", "why", "-o", "json"])?;
        let status: Value = serde_json::from_str(&ended.stdout).with_context(|| ended.to_string())?;
        let found = troubles(&status)?;
        if found == expected && ended.code == Some(code) {
            return Ok(status);
        }
        ensure!(began.elapsed() < SOON, "{found:?}, status {:?}, where {expected:?} should be", ended.code);
    }
}

/// The cluster that is looked at and then broken.
fn why(home: &Installation) -> anyhow::Result<()> {
    match home.phase("why")? {
        Some(_) => Ok(()),
        None => home.run(&["create", "cluster", "why", "--workers", "5"])?.ok().map(drop),
    }
}

/// Nothing is told of a cluster that is well. It stays for the test that breaks it: then no node of it is young any more.
pub(crate) fn a_new_cluster_is_well(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    why(home)?;
    let well = until_troubles(home, &[], 0)?;
    println!("  status of 6 nodes: {} ms in the coordinator", well["elapsed_ms"]);
    for node in list(&well["nodes"])? {
        let state = [&node["container"], &node["systemd"], &node["munge"], &node["sshd"], &node["daemon"]];
        ensure!(state == ["running", "running", "up", "up", "up"], "{node}");
        ensure!((node["role"] == "worker") == (node["slurm"] == "idle") && node["age_ms"] == 0, "{node}");
    }
    for host in list(&well["hosts"])? {
        ensure!(
            host["network"] == "ok"
                && host["agent_version"].is_string()
                && host["engine_version"].is_string(),
            "{host}"
        );
    }
    ensure!(well["slurm"]["version"].is_string() && well["network"]["mtu"] == 1450, "{well}");
    Ok(())
}

/// A service is stopped, another killed for good, a container paused, one stopped, a node drained: these are told, and nothing else.
pub(crate) fn what_is_broken_in_nodes_is_told(stage: &Stage) -> anyhow::Result<()> {
    let (home, machines) = (stage.home()?, stage.machines()?);
    why(home)?;
    let why = home.cluster("why", machines)?;
    let [munge, slurmd, paused, drained] =
        ["worker-0", "worker-1", "worker-2", "worker-3"].map(|name| why.node(name));
    let (munge, slurmd, paused, drained) = (munge?, slurmd?, paused?, drained?);
    munge.exec(&["systemctl", "stop", "munge"])?.ok()?;
    // Without its unit's word it would be started again.
    slurmd
        .shell(
            "mkdir -p /run/systemd/system/slurmd.service.d && printf '[Service]\\nRestart=no\\n' \
        > /run/systemd/system/slurmd.service.d/zz.conf && systemctl daemon-reload && pkill -KILL -x slurmd",
        )?
        .ok()?;
    let pause = Paused::new(&paused.machine, paused.container()?)?;
    let words =
        ["exec", "why", "--", "scontrol", "update", "nodename=worker-3", "state=drain", "reason=bad memory"];
    home.run(&words)?.ok()?;
    let expected = [
        "worker-0: munge is down",
        "worker-1: slurmd is down",
        "worker-2: its container is paused",
        "worker-3: Slurm has it drained: bad memory",
    ]
    .map(str::to_owned);
    let of = |status: &Value, name: &str| {
        list(&status["nodes"]).map(|all| all.iter().find(|n| n["name"] == name).cloned().unwrap_or_default())
    };
    let began = Instant::now();
    let ill = loop {
        let ill = until_troubles(home, &expected, 1)?;
        // A node that is young counts as starting while a service of it is not there.
        if of(&ill, &munge.name)?["systemd"] == "degraded" {
            break ill;
        }
        ensure!(began.elapsed() < YOUTH, "{ill}");
    };
    ensure!(of(&ill, &drained.name)?["slurm_reason"] == "bad memory", "{ill}");
    ensure!(of(&ill, "controller")?["systemd"] == "running", "{ill}");
    // On a busy machine Slurm may be late: then its part is unknown, and said to be.
    let began = Instant::now();
    let human = loop {
        let human = home.run(&["status", "why"])?.with(1)?.stdout;
        if human.starts_with("why is ready, but not well: 2 of 6 nodes are well") {
            break human;
        }
        ensure!(began.elapsed() < SOON, "{human}");
    };
    ensure!(human.contains("\nworker-2: its container is paused\n"), "{human}");

    munge.exec(&["systemctl", "start", "munge"])?.ok()?;
    slurmd.exec(&["systemctl", "start", "slurmd"])?.ok()?;
    drop(pause);
    home.run(&["exec", "why", "--", "scontrol", "update", "nodename=worker-3", "state=resume"])?.ok()?;
    until_troubles(home, &[], 0)?;
    doctor(home, machines)?;
    home.run(&["delete", "cluster", "why"])?.ok().map(drop)
}

/// What went wrong, as `host check` and `from -> to`.
fn failed(found: &Value) -> anyhow::Result<Vec<String>> {
    let mut failed = Vec::new();
    for host in list(&found["hosts"])? {
        ensure!(host["error"].is_null(), "{host}");
        for finding in list(&host["findings"])?.iter().filter(|f| f["verdict"] == "fail") {
            failed.push(format!("{} {}", text(host, "host")?, text(finding, "check")?));
        }
    }
    for pair in list(&found["pairs"])?.iter().filter(|p| p["verdict"] == "fail") {
        failed.push(format!("{} -> {} {}", text(pair, "from")?, text(pair, "to")?, pair["largest_bytes"]));
    }
    Ok(failed)
}

/// A container that is paused while this lives: what is frozen cannot be killed, and would keep its host from going down.
struct Paused<'a> {
    machine: &'a Machine,
    container: String,
}

impl<'a> Paused<'a> {
    fn new(machine: &'a Machine, container: String) -> anyhow::Result<Self> {
        machine.docker(&["pause", &container])?.ok()?;
        Ok(Self { machine, container })
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        drop(self.machine.docker(&["unpause", &self.container]));
    }
}

/// Undoes what a test did to the network of hosts, whatever became of the test.
struct Mend(Vec<Vec<String>>);

impl Drop for Mend {
    fn drop(&mut self) {
        for words in &self.0 {
            drop(Call::new(Path::new("ip")).words(words).end());
        }
    }
}

/// The names of a host's VXLAN devices.
fn tunnels(machine: &Machine) -> anyhow::Result<BTreeSet<String>> {
    let devices = machine.kernel("ip", &["link", "show", "type", "vxlan"])?;
    list(&devices)?.iter().map(|device| text(device, "ifname")).collect()
}

/// A create over hosts that do not get each other's packets ends at once, and says which hosts these are and what to do.
fn apart(home: &Installation, a: &str, b: &str, c: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    let ended = home.run(&["create", "cluster", "apart", "--workers", "5"])?.with(1)?;
    ensure!(started.elapsed() < SOON, "it took {:?}: {ended}", started.elapsed());
    for words in [
        format!("{b} -> {a}: no packet to UDP port 4799 arrives\n    fix: let UDP port 4799 from {b} to "),
        format!("{c} -> {a}: no packet to UDP port 4799 arrives"),
        format!("{a} -> {c}: packets of 1500 bytes do not arrive, those of 1400 do"),
        format!("`shoal set host {a} --mtu 1400`, `shoal set host {c} --mtu 1400`"),
        "it was removed".into(),
        format!("`shoal doctor {a} {b} {c}` tries"),
    ] {
        ensure!(ended.stderr.contains(&words), "no `{words}` in {ended}");
    }
    home.run(&["get", "cluster", "apart"])?.with(3).map(drop)
}

/// The network of healthy hosts passes while a cluster uses it; a firewall on one host and a narrow link of another are named.
fn doctor(home: &Installation, machines: &[Machine]) -> anyhow::Result<()> {
    // Those of clusters, also of other tests' ones.
    let before = machines.iter().map(tunnels).collect::<anyhow::Result<Vec<_>>>()?;
    let well = answer(home, &["doctor"], 0)?;
    ensure!(failed(&well)?.is_empty() && list(&well["pairs"])?.len() == 6, "{well}");
    let [first, second, third] = machines else { anyhow::bail!("{} hosts", machines.len()) };
    // The port of tunnels is closed on one host, and a way to another drops large packets without a word. (Of tunnels alone:
    // a link that is narrow for all would keep the engine's own answers away, too.)
    let rule = |verb: &str, (host, what): &(&Machine, &str)| {
        let netns = &host.host().netns;
        let words = format!("netns exec {netns} iptables {verb} INPUT -p udp {what} -j DROP");
        words.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // What a host with a firewall of its own does to nodes that ask for names.
    let (closed, large) = ("--dport 4799", "--dport 4799 -m length --length 1401:65535");
    let rules = [(first, closed), (third, large), (second, "--dport 53")];
    let mend = Mend(rules.iter().map(|of| rule("-D", of)).collect());
    for of in &rules {
        Call::new(Path::new("ip")).words(rule("-I", of)).end()?.ok()?;
    }
    let ill = failed(&answer(home, &["doctor"], 1)?)?;
    let [a, b, c] = [first, second, third].map(Machine::name);
    let expected = [
        format!("{b} names"),
        format!("{a} -> {c} 1400"),
        format!("{b} -> {a} 0"),
        format!("{b} -> {c} 1400"),
        format!("{c} -> {a} 0"),
    ];
    ensure!(ill == expected, "{ill:?} where {expected:?} should be");
    apart(home, &a, &b, &c)?;
    drop(mend);
    ensure!(failed(&answer(home, &["doctor"], 0)?)?.is_empty(), "it is not mended");
    // The devices of the check are gone.
    let began = Instant::now();
    for (machine, before) in machines.iter().zip(&before) {
        while tunnels(machine)? != *before {
            ensure!(began.elapsed() < SOON, "a device of the check stays on {}", machine.name());
            thread::yield_now();
        }
    }
    answer(home, &["doctor", &b], 0)?;
    home.run(&["doctor", "nope"])?.with(3).map(drop)
}
