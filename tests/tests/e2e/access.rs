//! Ways in: SSH between nodes, `shoal ssh`, `shoal exec`.

use anyhow::ensure;
use shoal_tests::Stage;

/// ssh(1) that neither asks nor believes.
const SSH: [&str; 5] = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"];

/// From a node of every host and role to each of the others and to itself, without a prompt and with known host keys.
pub(crate) fn any_node_reaches_any_other_by_ssh(stage: &Stage) -> anyhow::Result<()> {
    let dev = stage.dev()?;
    let mut nodes = dev.one_worker_per_host();
    nodes.extend(dev.nodes.iter().filter(|node| node.role != "worker"));
    for from in &nodes {
        for to in &nodes {
            for name in [&to.name, &to.fqdn, &to.address.to_string()] {
                let said = from.exec(&[&SSH[..], &[name, "hostname"]].concat())?.ok()?;
                ensure!(said.trim() == to.name, "{} -> {name}: {said}", from.name);
            }
        }
    }
    Ok(())
}

/// Host keys are checked, not merely present: another node's name does not fit.
pub(crate) fn a_host_key_that_is_not_the_nodes_is_refused(stage: &Stage) -> anyhow::Result<()> {
    let dev = stage.dev()?;
    let workers = dev.one_worker_per_host();
    let [from, to, other] = workers.as_slice() else { anyhow::bail!("workers on {} hosts", workers.len()) };
    let alias = format!("HostKeyAlias={}", other.name);
    let ended = from.exec(&[&SSH[..], &["-o", &alias, &to.name, "true"]].concat())?.with(255)?;
    ensure!(ended.stderr.contains("Host key verification failed"), "{ended}");
    Ok(())
}

/// `shoal ssh` is the user's own ssh: input, output and status pass.
pub(crate) fn ssh_passes_input_output_and_status(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    for node in dev.one_worker_per_host() {
        let target = format!("{}.dev", node.name);
        let ended =
            home.call(&["ssh", &target, "--", "hostname; cat; exit 7"]).input("in\n").end()?.with(7)?;
        ensure!(ended.stdout == format!("{}\nin\n", node.name), "{ended}");
    }
    Ok(())
}

/// `shoal exec` runs in the submitter: input, both outputs and status pass.
pub(crate) fn exec_passes_input_outputs_and_status(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    stage.dev()?;
    let words = ["exec", "dev", "--", "sh", "-c", "hostname; cat; echo no >&2; exit 9"];
    let ended = home.call(&words).input("in\n").end()?.with(9)?;
    ensure!(ended.stdout == "submitter\nin\n" && ended.stderr == "no\n", "{ended}");
    // More than any buffer on the way holds.
    let ended = home.run(&["exec", "dev", "--", "head", "-c", "8000000", "/dev/zero"])?.ok()?;
    ensure!(ended.len() == 8_000_000, "{} bytes came", ended.len());
    let ended = home.run(&["exec", "dev", "--", "/no/such/program"])?.with(127)?;
    ensure!(ended.stderr.contains("/no/such/program"), "{ended}");
    home.run(&["exec", "dev", "--", "/etc/hostname"])?.with(126)?;
    Ok(())
}

/// Both say so with the status they keep for their own failures.
pub(crate) fn what_is_not_there_cannot_be_entered(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    stage.dev()?;
    for (words, code, says) in [
        (["exec", "nope", "--", "true"], 125, "nope"),
        (["ssh", "worker-0.nope", "--", "true"], 255, "nope"),
        (["ssh", "worker-99.dev", "--", "true"], 255, "worker-99"),
    ] {
        let ended = home.run(&words)?.with(code)?;
        ensure!(ended.stderr.contains(says), "{ended}");
    }
    Ok(())
}
