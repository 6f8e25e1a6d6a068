//! A node is as a machine: its limits, its shared memory, its name for itself, and what `reboot` and `poweroff` do.

use anyhow::ensure;
use shoal_tests::{Call, Stage, eventually};

/// On engines of both kinds, for a command, a login and a job; the documentation has the same numbers.
pub(crate) fn limits_and_shared_memory_are_the_same_on_every_engine(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let ask = "ulimit -Sn; ulimit -Hn; ulimit -Sl; ulimit -Hl; ulimit -Sc; ulimit -Hc; ulimit -Ss";
    let wanted = "1024\n16384\n8192\n8192\n0\nunlimited\n8192\n";
    for node in dev.one_worker_per_host() {
        let from = format!("{} on {}", node.name, node.machine.name());
        let login = home.run(&["ssh", &node.fqdn, "--", ask])?.ok()?;
        ensure!(login == wanted, "a login to {from}: {login}");
        let command = home.run(&["exec", "dev", "--node", &node.name, "--", "bash", "-c", ask])?.ok()?;
        ensure!(command == wanted, "a command in {from}: {command}");
        // Slurm's daemon has its hard limits for soft ones, and so has a job.
        let most = "ulimit -Hn; ulimit -Hl; ulimit -Hc";
        let job = home.run(&["exec", "dev", "--", "srun", "-w", &node.name, "bash", "-c", most])?.ok()?;
        ensure!(job == "16384\n8192\nunlimited\n", "a job on {from}: {job}");
        // Half of the node's 512 MiB.
        let look = "stat -f -c '%S*%b' /dev/shm; systemctl show --property=TasksMax --value ssh";
        let said = node.shell(look)?.ok()?;
        ensure!(said == "4096*65536\ninfinity\n", "{from}: {said}");
        let name = node.shell("hostname; hostname -f; hostname -i")?.ok()?;
        ensure!(name == format!("{}\n{}\n{}\n", node.name, node.fqdn, node.address), "{from}: {name}");
    }
    Ok(())
}

/// One that is told to reboot comes back by itself, with its name and its daemons; one that is told to power off stays away.
pub(crate) fn a_node_reboots_and_powers_off_as_it_is_told(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    home.run(&["create", "cluster", "power", "--workers", "2", "--quiet"])?.ok()?;
    let said =
        |node: &str, line: &str| home.run(&["exec", "power", "--node", node, "--", "sh", "-c", line])?.ok();
    let first = "journalctl --quiet --output=short-unix | head -n 1 | cut -d ' ' -f 1 | tr -d .";
    for node in ["worker-0", "worker-1"] {
        let booted = said(node, first)?;
        said(node, "touch /tmp/lost /root/kept")?;
        home.run(&["ssh", &format!("{node}.power"), "--", "reboot"])?;
        // The journal begins anew.
        let anew =
            format!("test -f /root/kept && test ! -e /tmp/lost && test \"$({first})\" -gt {}", booted.trim());
        let up = format!(
            "{anew} && systemctl is-active slurmd && test \"$(hostname -f)\" = {node}.power.default.shoal.internal"
        );
        eventually(|| home.call(&["exec", "power", "--node", node, "--", "sh", "-c", &up]))?;
    }
    eventually(|| home.call(&["exec", "power", "--", "timeout", "20", "srun", "-N", "2", "true"]))?;
    for node in ["worker-0", "worker-1"] {
        home.run(&["exec", "power", "--node", node, "--", "poweroff"])?;
        let gone = format!("shoal status power | grep -q '^{node} .*exited'");
        eventually(|| home.beside(Call::new("bash").words(["-c", &gone])))?;
    }
    let status = home.run(&["status", "power"])?;
    ensure!(status.stdout.contains("worker-[0-1]: its container is exited"), "{status}");
    home.run(&["delete", "cluster", "power", "--quiet"])?.ok()?;
    Ok(())
}
