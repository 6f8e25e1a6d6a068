//! Names of Debian packages: checked once, so that what a user adds to an image can be nothing but a name.

use std::{fmt, str::FromStr};

/// Longest name taken; Debian's longest has some 80 characters.
const LONGEST: usize = 128;

/// A name as Debian policy has it (section 5.6.1): lower-case letters, digits, `+`, `-` and `.`; at least two characters,
/// the first a letter or a digit. No version, architecture or release can be named with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package(String);

/// A text that is no name of a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a package name: lower-case letters, digits, `+`, `-` and `.`, two characters at least, such as libopenmpi-dev"
)]
pub struct PackageError {
    /// What was read, shortened and escaped.
    pub text: String,
}

impl Package {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Package {
    type Err = PackageError;

    fn from_str(text: &str) -> Result<Self, PackageError> {
        let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (2..=LONGEST).contains(&text.len())
            && text.bytes().next().is_some_and(first)
            && text.bytes().all(|b| first(b) || matches!(b, b'+' | b'-' | b'.'));
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(PackageError { text: text.chars().take(40).flat_map(char::escape_default).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_nothing_else() {
        for good in ["gcc", "g++", "libstdc++6", "0ad", "python3.11", "openmpi-bin"] {
            assert_eq!(good.parse::<Package>().unwrap().as_str(), good);
        }
        let long = "a".repeat(LONGEST + 1);
        for bad in [
            "",
            "a",
            "Gcc",
            "-y",
            "--option",
            "gcc=1",
            "gcc:arm64",
            "gcc/sid",
            "a b",
            "a,b",
            "a;b",
            "a\nb",
            "$(id)",
            "../x",
            "+a",
            ".a",
            "ä1",
            "?name(x)",
            "~n",
            long.as_str(),
        ] {
            assert!(bad.parse::<Package>().is_err(), "{bad}");
        }
        assert_eq!("x\u{1b}".parse::<Package>().unwrap_err().text, "x\\u{1b}");
    }
}
