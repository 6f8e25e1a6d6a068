//! Slurm runs jobs, asked for by its commands or over HTTP, and Shoal tells what is where.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use shoal_tests::{Stage, eventually, list, text};

/// `srun` reaches every worker, and workers are on engines of both kinds.
pub(crate) fn a_job_runs_on_every_worker_of_both_kinds_of_engine(stage: &Stage) -> anyhow::Result<()> {
    let dev = stage.dev()?;
    let said = stage.home()?.run(&["exec", "dev", "--", "srun", "-N", "7", "hostname"])?.ok()?;
    let ran: BTreeSet<&str> = said.lines().collect();
    let workers: BTreeSet<&str> = dev.workers().map(|node| node.name.as_str()).collect();
    ensure!(ran == workers && said.lines().count() == 7, "{said}");

    let engines: BTreeSet<String> = dev.workers().map(|node| node.machine.engine().to_string()).collect();
    ensure!(engines.len() == 2, "workers on {engines:?} only");
    // Placed where Shoal says: the container is on that engine, running.
    for node in &dev.nodes {
        let container = node.container()?;
        let state = node.machine.docker(&["inspect", "--format", "{{.State.Running}}", &container])?.ok()?;
        ensure!(state.trim() == "true", "{}: {state}", node.name);
    }
    Ok(())
}

/// A node of role `api` takes a job over HTTP from who shows a token that the controller signed, and from nobody else.
pub(crate) fn a_program_submits_over_http(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let config = "kind: Cluster\nname: rest\nnodes: [controller, api, worker: 1]\n";
    home.call(&["create", "cluster", "--config", "-"]).input(config).end()?.ok()?;
    let inside = |words: &[&str]| home.run(&[&["exec", "rest", "--"], words].concat())?.ok();
    let said = inside(&["scontrol", "token", "lifespan=600"])?;
    let token = said.trim().strip_prefix("SLURM_JWT=").with_context(|| said.clone())?;
    let ask = |token: &str, request: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\\r\\nHost: api\\r\\nX-SLURM-USER-NAME: root\\r\\nX-SLURM-USER-TOKEN: {token}\\r\\nContent-Type: \
             application/json\\r\\nContent-Length: {length}\\r\\nConnection: close\\r\\n\\r\\n"
        );
        let line = format!("exec 3<>/dev/tcp/api/6820; printf '{head}%s' '{body}' >&3; timeout 30 cat <&3");
        inside(&["bash", "-c", &line])
    };
    let version = "/slurm/v0.0.38";
    let job = r##"{"script": "#!/bin/sh\nhostname > /tmp/ran\n", "job": {"name": "web", "environment": {"PATH": "/bin"}}}"##;
    let answer = ask("forged", &format!("POST {version}/job/submit"), job)?;
    // slurmctld ends the connection of who it does not believe.
    ensure!(answer.starts_with("HTTP/1.1 500") && !answer.contains("job_id\": 1"), "{answer}");
    let answer = ask(token, &format!("POST {version}/job/submit"), job)?;
    ensure!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"job_id\": 1"), "{answer}");
    let looked = ["exec", "--node", "worker-0", "rest", "--", "grep", "-x", "worker-0", "/tmp/ran"];
    eventually(|| home.call(&looked))?;
    let status = home.run(&["status", "rest"])?.ok()?;
    ensure!(status.contains("3 of 3 nodes are well"), "{status}");
    home.run(&["delete", "cluster", "rest", "--quiet"])?.ok()?;
    Ok(())
}

/// What other people's slurm.conf says: ports and paths of their own, resources that no host has, files and scripts.
const SITE: &str = r#"
kind: Cluster
name: site
nodes:
  - controller
  - role: worker
    count: 2
    slurm: { gres: 'gpu:a100:2,fpga:1', features: [big], weight: 10, cpus: 4, memory: 4g }
slurm:
  main: |
    SlurmctldPort=7000
    SlurmdPort=7001
    StateSaveLocation=/var/spool/site/state
    SlurmdSpoolDir=/var/spool/slurmd.%n
    SlurmctldLogFile=/var/log/site/slurmctld.log
    DefMemPerNode=200
    TopologyPlugin=topology/tree
    Prolog=/etc/slurm/prolog
    TaskProlog=/etc/slurm/task_prolog
    PrologFlags=X11
    Include site.conf
  topology: SwitchName=s0 Nodes=worker-[0-1]
  files:
    site.conf: MaxArraySize=77
    prolog: |
      #!/bin/sh
      touch /tmp/prolog
    task_prolog: |
      #!/bin/sh
      echo export SITE=here
"#;

/// Each line of it is followed, and jobs run by it.
pub(crate) fn what_people_configure_is_followed(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    home.call(&["create", "cluster", "--config", "-"]).input(SITE).end()?.ok()?;
    let line = "srun -N2 --gres=gpu:1 -C big sh -c 'echo gpu $CUDA_VISIBLE_DEVICES $SITE; ls /tmp/prolog'; squeue; sinfo -h -o '%G %w %f'; \
                scontrol show config | grep -E '^(MaxArraySize|SlurmctldPort|SlurmdPort|ProctrackType) '; \
                ls /var/spool/site/state/last_config_lite /var/log/site/slurmctld.log";
    let ended = home.run(&["exec", "site", "--", "bash", "-c", line])?.with(0)?;
    let said: Vec<String> =
        ended.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    ensure!(said.iter().filter(|line| *line == "gpu 0 here").count() == 2, "{ended}");
    for line in [
        "fpga:1,gpu:a100:2 10 big",
        "MaxArraySize = 77",
        "SlurmctldPort = 7000",
        "SlurmdPort = 7001",
        "ProctrackType = proctrack/pgid",
        "/tmp/prolog",
        "/var/spool/site/state/last_config_lite",
        "/var/log/site/slurmctld.log",
    ] {
        ensure!(said.iter().any(|said| said == line), "no `{line}` in {ended}");
    }
    // No command complains of the text.
    ensure!(!ended.stderr.contains("error"), "{ended}");
    home.run(&["delete", "cluster", "site", "--quiet"])?.ok()?;
    Ok(())
}

/// The fields that programs read are there, and agree with the lab.
pub(crate) fn what_json_tells_of_hosts_and_nodes(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let hosts = home.json(&["get", "hosts"])?;
    ensure!(list(&hosts)?.len() == 3, "{hosts}");
    for (host, machine) in list(&hosts)?.iter().zip(stage.machines()?) {
        ensure!(text(host, "name")? == machine.name(), "{host}");
        ensure!(text(host, "endpoint")?.contains(&machine.host().address.to_string()), "{host}");
        ensure!(text(host, "state")? == "ready" && text(&host["agent"], "state")? == "ready", "{host}");
        let version = machine.host().engine_version.clone().unwrap_or_default();
        ensure!(text(&host["engine"], "version")? == version, "{host} should run {version}");
        let here = dev.nodes.iter().filter(|node| node.machine.name() == machine.name()).count();
        ensure!(host["nodes"].as_u64() == Some(here as u64), "{host} should have {here} nodes");
        for amounts in [&host["capacity"], &host["reserved"]] {
            let (cpus, memory) = (amounts["cpus"].as_f64(), amounts["memory_bytes"].as_u64());
            ensure!(cpus > Some(0.0) && memory > Some(0) && amounts["node_slots"].is_u64(), "{amounts}");
        }
    }
    let clusters = home.json(&["get", "clusters"])?;
    let Some(cluster) = list(&clusters)?.iter().find(|cluster| cluster["name"] == "dev") else {
        anyhow::bail!("no dev in {clusters}");
    };
    ensure!(
        text(cluster, "phase")? == "ready" && text(cluster, "slurm_version")?.starts_with("22.05"),
        "{cluster}"
    );
    let network = &cluster["network"];
    ensure!(
        network["vni"].is_u64() && network["mtu"] == 1450 && network["subnet"] == dev.subnet,
        "{network}"
    );
    for node in &dev.nodes {
        ensure!(node.state == "ready", "{node:?}");
        ensure!(node.fqdn == format!("{}.dev.default.shoal.internal", node.name), "{node:?}");
    }
    let addresses: BTreeSet<_> = dev.nodes.iter().map(|node| node.address).collect();
    ensure!(addresses.len() == dev.nodes.len(), "{addresses:?}");
    Ok(())
}
