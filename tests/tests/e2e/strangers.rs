//! Containers that are no nodes, on a cluster's network.

use std::{collections::BTreeSet, net::Ipv4Addr};

use anyhow::{Context, ensure};
use ipnet::Ipv4Net;
use shoal_tests::{Cluster, Machine, Stage};

/// More than the engine's own share of the subnet holds, so that it runs out of addresses.
const STRANGERS: usize = 6;
const LABEL: &str = "shoal.e2e=stranger";

/// Strangers of a host, removed when this is dropped.
struct Strangers<'a>(&'a Machine);

impl Strangers<'_> {
    /// Starts one; its address, or `None` if the engine has none left to give.
    fn start(&self, network: &str) -> anyhow::Result<Option<Ipv4Addr>> {
        let words = [
            "run",
            "--detach",
            "--label",
            LABEL,
            "--network",
            network,
            "shoal-node:bookworm",
            "sleep",
            "infinity",
        ];
        let started = self.0.docker(&words)?;
        if started.code != Some(0) {
            let full = started.stderr.to_lowercase().contains("no available ip");
            ensure!(full, "{started}");
            return Ok(None);
        }
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = self.0.docker(&["inspect", "--format", format, started.stdout.trim()])?.ok()?;
        Ok(Some(address.trim().parse()?))
    }

    fn remove(&self) -> anyhow::Result<()> {
        for id in self.0.labelled("container", LABEL)? {
            self.0.docker(&["rm", "--force", "--volumes", &id])?.ok()?;
        }
        Ok(())
    }
}

impl Drop for Strangers<'_> {
    fn drop(&mut self) {
        if let Err(failed) = self.remove() {
            eprintln!("strangers stay on {}: {failed:#}", self.0.name());
        }
    }
}

/// Whoever joins the network by `docker run` gets an address of the engine's share, or none: never a node's.
pub(crate) fn a_container_without_address_never_gets_a_nodes(stage: &Stage) -> anyhow::Result<()> {
    let dev: &Cluster = stage.dev()?;
    let subnet: Ipv4Net = dev.subnet.parse()?;
    let share = subnet.subnets(30)?.last().context("a subnet smaller than its share")?;
    let nodes: BTreeSet<Ipv4Addr> = dev.nodes.iter().map(|node| node.address).collect();
    ensure!(nodes.iter().all(|address| !share.contains(address)), "{nodes:?} in {share}");
    for machine in stage.machines()? {
        let networks = machine.labelled("network", &format!("shoal.cluster={}", dev.id))?;
        let [network] = networks.as_slice() else { anyhow::bail!("{networks:?} on {}", machine.name()) };
        let strangers = Strangers(machine);
        let (mut given, mut refused) = (0, 0);
        for _ in 0..STRANGERS {
            match strangers.start(network)? {
                Some(address) => {
                    ensure!(
                        share.contains(&address) && !nodes.contains(&address),
                        "{address} on {}",
                        machine.name()
                    );
                    given += 1;
                }
                None => refused += 1,
            }
        }
        ensure!(given > 0 && refused > 0, "{given} given, {refused} refused on {}", machine.name());
    }
    // The nodes are none the worse for it.
    stage.home()?.run(&["exec", "dev", "--", "srun", "-N", "7", "true"])?.ok().map(drop)
}
