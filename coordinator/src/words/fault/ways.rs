//! Ways between member hosts that do not carry a cluster's packets.

use std::{collections::BTreeSet, fmt};

/// The way from one host to another, on which packets are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostWay {
    /// The host that sends.
    pub from: String,
    /// The host that receives.
    pub to: String,
    /// What was found.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// All such ways, the first of them in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostWays {
    /// The first ones.
    pub shown: Vec<LostWay>,
    /// How many more there are.
    pub more: usize,
}

impl LostWays {
    /// Most that are described.
    const SHOWN: usize = 4;

    pub(crate) fn new(mut ways: Vec<LostWay>) -> Self {
        let more = ways.len().saturating_sub(Self::SHOWN);
        ways.truncate(Self::SHOWN);
        Self { shown: ways, more }
    }

    /// What to do once the fixes were tried.
    pub(super) fn hint(&self) -> String {
        let hosts: BTreeSet<&str> =
            self.shown.iter().flat_map(|way| [way.from.as_str(), way.to.as_str()]).collect();
        let named: String = hosts.iter().map(|host| format!(" {host}")).collect();
        format!("`shoal doctor{named}` tries the ways between hosts again")
    }
}

impl fmt::Display for LostWays {
    /// Lines that follow another one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for LostWay { from, to, message, fix } in &self.shown {
            write!(f, "\n  {from} -> {to}: {message}\n    fix: {fix}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_ways_are_described_and_the_others_counted() {
        let way = |to: usize| LostWay {
            from: "host1".into(),
            to: format!("host{to}"),
            message: "no packet arrives".into(),
            fix: "open it".into(),
        };
        let two = LostWays::new(vec![way(2), way(3)]);
        assert_eq!(
            two.to_string(),
            "\n  host1 -> host2: no packet arrives\n    fix: open it\n  host1 -> host3: no packet arrives\n    fix: open it"
        );
        assert_eq!(two.hint(), "`shoal doctor host1 host2 host3` tries the ways between hosts again");
        let many = LostWays::new((2..100).map(way).collect());
        assert!(many.to_string().ends_with("\n  and 94 more"), "{many}");
        assert_eq!(many.to_string().lines().count(), 1 + 2 * LostWays::SHOWN + 1);
    }
}
