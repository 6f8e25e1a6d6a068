//! What is on the hosts, whoever made it: compared before and after.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::Machine;

/// Containers, networks, volumes, devices, forwarding entries and neighbours of hosts, each as one line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces(BTreeSet<String>);

impl Traces {
    /// What is on these hosts now.
    ///
    /// # Errors
    /// A host cannot be looked at.
    pub fn of<'a>(machines: impl IntoIterator<Item = &'a Machine>) -> anyhow::Result<Self> {
        let mut found = BTreeSet::new();
        for machine in machines {
            let kinds: BTreeMap<&str, Vec<String>> = BTreeMap::from([
                ("container", machine.containers()?),
                ("network", machine.networks()?),
                ("volume", machine.volumes()?),
                ("device", machine.devices()?),
                ("forwarding entry", machine.forwarding()?),
                ("neighbour", machine.neighbours()?),
            ]);
            let lines =
                kinds.into_iter().flat_map(|(kind, names)| names.into_iter().map(move |name| (kind, name)));
            found.extend(lines.map(|(kind, name)| format!("{}: {kind} {name}", machine.name())));
        }
        Ok(Self(found))
    }

    /// What is here and was not there, in order.
    #[must_use]
    pub fn since<'a>(&'a self, before: &'a Self) -> Vec<&'a str> {
        self.0.difference(&before.0).map(String::as_str).collect()
    }

    /// The kinds of things among lines of [`Traces::since`].
    #[must_use]
    pub fn kinds(lines: &[&str]) -> BTreeSet<&'static str> {
        let kinds = ["container", "network", "volume", "device", "forwarding entry", "neighbour"];
        kinds
            .into_iter()
            .filter(|kind| lines.iter().any(|line| line.contains(&format!(": {kind} "))))
            .collect()
    }
}
