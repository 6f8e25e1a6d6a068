//! `shoal set installation`: where the subnets of clusters come from.

use clap::Args;
use shoal_api::Installation;
use shoal_types::Pools;

use crate::{args::Global, connect::Session, error::CliError, escape, exit::Exit, interrupt::Interrupt};

/// Arguments of `set installation`.
#[derive(Debug, Args)]
pub(crate) struct SetInstallation {
    /// Take subnets of new clusters from this range; repeatable, the first with room counts
    #[arg(long = "pool", value_name = "CIDR", required_unless_present = "default_pools")]
    pools: Vec<String>,
    /// Take them from the default range, 10.96.0.0/12, again
    #[arg(long, conflicts_with = "pools")]
    default_pools: bool,
}

impl SetInstallation {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        if !self.default_pools {
            let checked = self.pools.join(",").parse::<Pools>();
            checked.map_err(|error| CliError::usage(format!("--pool: {error}"), None))?;
        }
        let pools = self.pools;
        let set =
            Session::within(global, interrupt, async |client| Ok(client.set_pools(pools).await?)).await?;
        global.screen().result(&set, |_| ranges(&set))?;
        Ok(Exit::Ok)
    }
}

/// An installation, for people.
pub(crate) fn text(installation: &Installation) -> String {
    format!("installation {}: {}", escape::line(&installation.id), ranges(installation))
}

fn ranges(installation: &Installation) -> String {
    format!("subnets of clusters come from {}", escape::line(&installation.pools.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_in_order() {
        let told =
            Installation { id: "0a1b2c".into(), pools: vec!["172.20.0.0/16".into(), "10.96.0.0/12".into()] };
        assert_eq!(
            text(&told),
            "installation 0a1b2c: subnets of clusters come from 172.20.0.0/16, 10.96.0.0/12"
        );
    }
}
