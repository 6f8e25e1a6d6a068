//! `cargo xtask bench`: measurements; where time is measured they are ratios, because a machine's own speed swings within an
//! hour.

mod base;
mod create;
mod phases;
mod scale;
mod tunnel;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What creating a cluster costs, next to creating and starting as many bare containers
    Create(create::Create),
    /// Memory at 1,000 simulated hosts with 20,000 nodes, and how many small clusters a minute sees
    Scale,
    /// What a stream out of a node carries, next to `docker exec NODE cat FILE`
    Tunnel(tunnel::Tunnel),
}

impl Bench {
    /// Measures.
    ///
    /// # Errors
    /// It cannot be measured here, or what is measured failed.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Create(create) => create.run(),
            What::Scale => scale::run(),
            What::Tunnel(tunnel) => tunnel.run(),
        }
    }
}

/// To a thousandth.
fn rounded(value: f64) -> serde_json::Value {
    ((value * 1000.0).round() / 1000.0).into()
}

/// The median; of an even number the mean of the two in the middle. 0 of nothing.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), middle.checked_sub(1).and_then(|below| values.get(below))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => f64::midpoint(*lower, *upper),
        (Some(upper), _) => *upper,
        (None, _) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    #[expect(clippy::float_cmp, reason = "these are exact")]
    fn medians() {
        assert_eq!(median([]), 0.0);
        assert_eq!(median([3.0]), 3.0);
        assert_eq!(median([3.0, 1.0]), 2.0);
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
    }
}
