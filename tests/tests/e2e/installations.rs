//! Two installations on the same hosts, one on SQLite and one on PostgreSQL: neither sees or touches the other's.

use anyhow::ensure;
use shoal_lab::Postgres;
use shoal_tests::{Installation, Stage, Traces, list};

/// The second makes a cluster of the same name as the first's, deletes it and leaves; the first's jobs run all along.
pub(crate) fn two_on_the_same_hosts_do_not_touch_each_other(stage: &Stage) -> anyhow::Result<()> {
    let (home, dev) = (stage.home()?, stage.dev()?);
    let before = Traces::of(stage.machines()?)?;
    let server = Postgres::start()?;
    // Without a server this is a second SQLite file, and the tier lists the other half as skipped.
    let guest = Installation::new(stage.means(), server.as_ref().map(Postgres::url))?;
    guest.register(stage.machines()?)?;
    ensure!(list(&guest.json(&["get", "clusters"])?)?.is_empty(), "it sees what is not its own");

    guest.run(&["create", "cluster", "dev", "--workers", "3"])?.ok()?;
    let twin = guest.cluster("dev", stage.machines()?)?;
    ensure!(twin.id != dev.id && twin.subnet != dev.subnet, "{} and {}", twin.subnet, dev.subnet);
    for (installation, workers) in [(&guest, "3"), (home, "7")] {
        let said = installation.run(&["exec", "dev", "--", "srun", "-N", workers, "hostname"])?.ok()?;
        ensure!(said.lines().count().to_string() == workers, "{said}");
    }
    let said = twin.node("worker-0")?.exec(&["getent", "hosts", "worker-1"])?.ok()?;
    ensure!(said.starts_with(&twin.node("worker-1")?.address.to_string()), "{said}");

    guest.run(&["delete", "cluster", "--all"])?.ok()?;
    for machine in stage.machines()? {
        guest.run(&["unregister", &machine.name()])?.ok()?;
    }
    let after = Traces::of(stage.machines()?)?;
    ensure!(after == before, "{:?}", after.since(&before));
    home.run(&["exec", "dev", "--", "srun", "-N", "7", "true"])?.ok().map(drop)
}
