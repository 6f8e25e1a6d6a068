//! The Debian releases an image can be built from.

use std::{fmt, str::FromStr};

/// A Debian release whose Slurm and systemd are known to work in nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12: Slurm 22.05, systemd 252.
    #[default]
    Bookworm,
    /// Debian 13: Slurm 24.11, systemd 257.
    Trixie,
    /// Debian 14 to be: Slurm 26.05, systemd 262, which needs engines with control groups v2.
    Forky,
}

/// A word that is no suite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a suite nodes can be built from: bookworm, trixie or forky")]
pub struct SuiteError {
    /// What was read, shortened and escaped.
    pub text: String,
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 3] = [Self::Bookworm, Self::Trixie, Self::Forky];

    /// What the image of it is called when nothing else is said.
    #[must_use]
    pub fn default_tag(self) -> String {
        format!("shoal-node:{self}")
    }

    /// Debian's name of it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Suite {
    type Err = SuiteError;

    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let shown = || text.chars().take(40).flat_map(char::escape_default).collect();
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| SuiteError { text: shown() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for suite in Suite::ALL {
            assert_eq!(suite.to_string().parse(), Ok(suite));
        }
        assert_eq!(Suite::default().default_tag(), crate::DEFAULT_TAG);
        assert_eq!("--x\u{1b}".parse::<Suite>().unwrap_err().text, "--x\\u{1b}");
    }
}
