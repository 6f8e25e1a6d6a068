//! A node that ends again and again after a restart.

use std::fmt;

use serde::Serialize;
use shoal_proto::v1;

/// How a node ends again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failing {
    /// How often it has ended in a row.
    pub ends: u32,
    /// Exit status of its first process, the last time.
    pub exit_status: Option<i64>,
    /// Whether the kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Its last log lines, oldest first.
    pub log: Vec<String>,
    /// In how long it is restarted by itself, 0 if that is due; null if its cluster does not heal by itself.
    pub restart_in_ms: Option<u64>,
}

/// `ended 4 times in a row, last with exit status 7, out of memory; next restart in 40s`
impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended {} times in a row, last ", self.ends)?;
        match self.exit_status {
            Some(status) => write!(f, "with exit status {status}")?,
            None => f.write_str("with an exit status that is not known")?,
        }
        if self.out_of_memory {
            f.write_str(", out of memory")?;
        }
        match self.restart_in_ms {
            None => f.write_str("; its cluster does not heal by itself"),
            Some(0) => f.write_str("; its restart is due"),
            Some(ms) => write!(f, "; next restart in {}s", ms.div_ceil(1000)),
        }
    }
}

impl From<v1::Failing> for Failing {
    fn from(said: v1::Failing) -> Self {
        let v1::Failing { ends, exit_status, out_of_memory, log, restart_in_ms } = said;
        Self { ends, exit_status, out_of_memory, log, restart_in_ms }
    }
}

impl From<Failing> for v1::Failing {
    fn from(told: Failing) -> Self {
        let Failing { ends, exit_status, out_of_memory, log, restart_in_ms } = told;
        Self { ends, exit_status, out_of_memory, log, restart_in_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_wire_and_is_told_on_one_line() {
        let failing = |exit_status, out_of_memory, restart_in_ms| Failing {
            ends: 4,
            exit_status,
            out_of_memory,
            log: vec!["no space left".into()],
            restart_in_ms,
        };
        for (told, text) in [
            (
                failing(Some(137), true, Some(39_500)),
                "ended 4 times in a row, last with exit status 137, out of memory; next restart in 40s",
            ),
            (
                failing(Some(7), false, Some(0)),
                "ended 4 times in a row, last with exit status 7; its restart is due",
            ),
            (
                failing(None, false, None),
                "ended 4 times in a row, last with an exit status that is not known; its cluster does not heal by itself",
            ),
        ] {
            assert_eq!(told.to_string(), text);
            assert_eq!(Failing::from(v1::Failing::from(told.clone())), told);
        }
    }
}
