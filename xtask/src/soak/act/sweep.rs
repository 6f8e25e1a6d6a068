//! The step of a sweep: something is put on a host that carries our label and that no row explains, and must go.

use rand::Rng;
use shoal_tests::Machine;

use super::{Actor, LIMIT, outcome::Outcome};

/// Reference of the node image, as `shoal build image` makes it.
const IMAGE: &str = "shoal-node:bookworm";

impl Actor<'_> {
    pub(super) fn sweep(&mut self, done: &mut Outcome) -> anyhow::Result<()> {
        let installation = self.rows()?.installation;
        let number = self.rng.random_range(0..self.model.hosts);
        let machine = Machine::new(&self.lab.hosts()[number]);
        let (cluster, node): (u128, u128) = (self.rng.random(), self.rng.random());
        let of_cluster = [
            format!("--label=shoal.installation={installation}"),
            "--label=shoal.realm=default".to_owned(),
            format!("--label=shoal.cluster=clu_{cluster:032x}"),
        ];
        let of_node = [
            format!("--label=shoal.node=nod_{node:032x}"),
            "--label=shoal.role=worker".to_owned(),
            "--label=shoal.generation=1".to_owned(),
        ];
        let (container, network) = (format!("orphan.{installation}"), format!("orphans.{installation}"));
        let labels = || of_cluster.iter().map(String::as_str);
        let words: Vec<&str> =
            ["network", "create"].into_iter().chain(labels()).chain([network.as_str()]).collect();
        machine.docker(&words)?.ok()?;
        let words = ["create", "--name", &container, "--network", &network].into_iter().chain(labels());
        let words: Vec<&str> = words.chain(of_node.iter().map(String::as_str)).chain([IMAGE]).collect();
        machine.docker(&words)?.ok()?;

        let swept = done.take(self.begin(&["sweep", "--grace", "0", "--yes-really"])?.end(LIMIT)?);
        done.expect(&swept, &[0]);
        Ok(())
    }
}
