//! What is refused, and how it is said: exit statuses and reasons.

use std::collections::BTreeSet;

use anyhow::ensure;
use shoal_tests::{Installation, Stage, Traces, list, text};

/// Status 4, one line that counts the reasons, and with `--dry-run` a reason per host.
pub(crate) fn what_does_not_fit_says_why(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let words = ["create", "cluster", "huge", "--workers", "3", "--memory", "900g"];
    let ended = home.run(&words)?.with(4)?;
    ensure!(ended.stderr.contains("does not fit") && ended.stderr.contains("memory"), "{ended}");

    let ended = home.run(&[&words[..], &["--dry-run", "-o", "json"]].concat())?.with(4)?;
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    ensure!(plan["fits"] == false && list(&plan["placements"])?.is_empty(), "{plan}");
    for machine in stage.machines()? {
        let refusal =
            list(&plan["refusals"])?.iter().find(|refusal| refusal["host"] == machine.name().as_str());
        let Some(refusal) = refusal else { anyhow::bail!("no refusal of {} in {plan}", machine.name()) };
        ensure!(text(refusal, "filter")? == "memory" && !text(refusal, "reason")?.is_empty(), "{refusal}");
    }
    home.run(&["get", "cluster", "huge"])?.with(3).map(drop)
}

/// A dry run places every node and leaves nothing, neither on hosts nor in the store.
pub(crate) fn a_dry_run_shows_where_and_makes_nothing(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let before = Traces::of(stage.machines()?)?;
    let plan = home.json(&["create", "cluster", "plan", "--workers", "5", "--dry-run"])?;
    let nodes: BTreeSet<String> =
        list(&plan["placements"])?.iter().map(|p| text(p, "node")).collect::<anyhow::Result<_>>()?;
    let expected = ["controller", "worker-0", "worker-1", "worker-2", "worker-3", "worker-4"];
    ensure!(nodes == expected.map(String::from).into(), "{plan}");
    ensure!(placed(&plan)?.len() == 3, "spread over all hosts: {plan}");
    for node in stage.dev()?.nodes.iter().take(2) {
        let why = home.json(&["explain", "placement", &format!("{}.dev", node.name)])?;
        ensure!(why["host"] == node.machine.name().as_str() && why["differs"].is_null(), "{why}");
        ensure!(why["rank"].as_u64().is_some_and(|rank| rank >= 1), "{why}");
    }
    let added = |host: &serde_json::Value| host["added"]["nodes"].as_u64().unwrap_or(0);
    ensure!(list(&plan["hosts"])?.iter().map(added).sum::<u64>() == 6, "{plan}");
    ensure!(plan["rules"]["scheduler"] == "spread", "{plan}");
    let words = ["create", "cluster", "plan", "--workers", "5", "--scheduler", "binpack", "--dry-run"];
    let ended = home.run(&words)?.with(0)?;
    ensure!(ended.stdout.contains("scheduler:    binpack") && ended.stdout.contains("MEMORY"), "{ended}");
    let pinned = ["create", "cluster", "plan", "--pin", "controller=host2", "--dry-run"];
    let on = |plan: &serde_json::Value| plan["placements"][0]["host"].clone();
    ensure!(on(&home.json(&pinned)?) == "host2");
    let nowhere = ["create", "cluster", "plan", "--pin", "controller=host9", "--dry-run"];
    ensure!(home.run(&nowhere)?.with(3)?.stderr.contains("host9"));
    home.run(&["get", "cluster", "plan"])?.with(3)?;
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "{:?}", after.since(&before));
    Ok(())
}

/// Labels choose the hosts, and a constraint that none meets is a refusal with that reason.
pub(crate) fn constraints_choose_the_hosts(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    for (constraint, hosts) in [
        ("engine=28", vec!["host2"]),
        ("engine!=28", vec!["host1", "host3"]),
        ("engine in (28,system)", vec!["host1", "host2", "host3"]),
    ] {
        let words = ["create", "cluster", "plan", "--workers", "5", "--dry-run", "--constraint", constraint];
        let plan = home.json(&words)?;
        ensure!(placed(&plan)? == hosts.iter().map(ToString::to_string).collect(), "{constraint}: {plan}");
    }
    let words = ["create", "cluster", "plan", "--dry-run", "--constraint", "rack=b"];
    let ended = home.run(&words)?.with(4)?;
    ensure!(ended.stderr.contains("rack=b"), "{ended}");
    Ok(())
}

/// The hosts of a plan.
fn placed(plan: &serde_json::Value) -> anyhow::Result<BTreeSet<String>> {
    list(&plan["placements"])?.iter().map(|placement| text(placement, "host")).collect()
}

/// Status 3, and the name.
pub(crate) fn what_is_not_there_is_not_found(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    for words in [
        &["get", "cluster", "nope"][..],
        &["get", "nodes", "nope"],
        &["delete", "cluster", "nope"],
        &["unregister", "nope"],
        &["set", "host", "nope", "--label", "a=b"],
    ] {
        let ended = home.run(words)?.with(3)?;
        ensure!(ended.stderr.contains("nope") && ended.stdout.is_empty(), "{ended}");
    }
    Ok(())
}

/// Status 2, before anything is asked of anyone.
pub(crate) fn wrong_use_says_what_is_wrong(stage: &Stage) -> anyhow::Result<()> {
    let home = Installation::new(stage.means(), None)?;
    for words in [
        &["frobnicate"][..],
        &["create", "cluster", "Not_A_Name"],
        &["create", "cluster", "--workers", "0"],
        &["create", "cluster", "--constraint", "rack in"],
        &["register", "a", "--docker", "ftp://host"],
        &["delete", "cluster"],
    ] {
        let ended = home.run(words)?.with(2)?;
        ensure!(ended.stderr.contains("error"), "{ended}");
    }
    let config = "kind: Cluster\nname: dev\nnodez:\n  - controller\n";
    let ended = home.call(&["create", "cluster", "--config", "-"]).input(config).end()?.with(2)?;
    ensure!(["<stdin>:3:", "`nodez`", "`nodes`"].iter().all(|word| ended.stderr.contains(word)), "{ended}");
    Ok(())
}

/// Status 5, and it is not there afterwards: half a registration is none.
pub(crate) fn a_host_that_cannot_be_reached_is_not_registered(stage: &Stage) -> anyhow::Result<()> {
    let home = Installation::new(stage.means(), None)?;
    let [one, ..] = stage.machines()? else { anyhow::bail!("a lab without hosts") };
    let tls = one.host().tls_dir.display().to_string();
    // Nobody listens there.
    let endpoint = format!("tcp://{}:2377", one.host().address);
    let ended = home.run(&["register", "far", "--docker", &endpoint, "--tls-dir", &tls])?.with(5)?;
    ensure!(ended.stderr.contains("far") && ended.stderr.contains(&endpoint), "{ended}");
    let hosts = home.json(&["get", "hosts"])?;
    ensure!(list(&hosts)?.is_empty(), "{hosts}");
    Ok(())
}

/// A host with nodes is not forgotten by mistake.
pub(crate) fn a_host_with_nodes_stays(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    stage.dev()?;
    let ended = home.run(&["unregister", "host1"])?.with(1)?;
    ensure!(ended.stderr.contains("host1") && ended.stderr.contains("--force"), "{ended}");
    ensure!(list(&home.json(&["get", "hosts"])?)?.len() == 3);
    Ok(())
}

/// Neither a cluster nor a host of a name that is taken.
pub(crate) fn a_name_is_given_once(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    let dev = stage.dev()?;
    let ended = home.run(&["create", "cluster", "dev", "--workers", "1"])?.with(1)?;
    ensure!(ended.stderr.contains("dev"), "{ended}");
    let [one, ..] = stage.machines()? else { anyhow::bail!("a lab without hosts") };
    let tls = one.host().tls_dir.display().to_string();
    let ended =
        home.run(&["register", "host1", "--docker", &one.host().endpoint, "--tls-dir", &tls])?.with(1)?;
    ensure!(ended.stderr.contains("host1"), "{ended}");
    // Whose name it is keeps what it has.
    let there = home.cluster("dev", stage.machines()?)?;
    ensure!(there.id == dev.id && there.nodes.len() == dev.nodes.len());
    home.run(&["exec", "dev", "--", "srun", "-N", "7", "true"])?.ok().map(drop)
}
