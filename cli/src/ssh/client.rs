//! The user's OpenSSH client: which version it is, because an option that it does not know is an error for it.

use std::process::{Command, Stdio};

/// A version of OpenSSH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientVersion(pub(crate) u16, pub(crate) u16);

impl ClientVersion {
    /// Of a client that says nothing of itself, or is not there: it is told nothing that is newer than ours.
    pub(crate) const UNKNOWN: Self = Self(0, 0);

    /// The version of `ssh`, as it says itself.
    pub(crate) fn of_ssh() -> Self {
        let said = Command::new("ssh").arg("-V").stdin(Stdio::null()).output();
        said.ok()
            .and_then(|said| Self::in_text(&String::from_utf8_lossy(&said.stderr)))
            .unwrap_or(Self::UNKNOWN)
    }

    /// `OpenSSH_9.2p1 Debian-2, ...`; Windows has a word between.
    fn in_text(text: &str) -> Option<Self> {
        let rest = text.split_once("OpenSSH_")?.1;
        let rest = rest.strip_prefix("for_Windows_").unwrap_or(rest);
        let (major, rest) = rest.split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, version) in [
            ("OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.19 27 Jan 2026\n", Some(ClientVersion(9, 2))),
            ("OpenSSH_10.0p2, LibreSSL 3.3.6", Some(ClientVersion(10, 0))),
            ("OpenSSH_for_Windows_8.1p1, LibreSSL 3.0.2", Some(ClientVersion(8, 1))),
            ("Sun_SSH_1.1", None),
            ("OpenSSH_x.y", None),
            ("", None),
        ] {
            assert_eq!(ClientVersion::in_text(text), version, "{text}");
        }
        assert!(ClientVersion(10, 0) > ClientVersion(9, 9));
        assert!(ClientVersion::of_ssh() > ClientVersion(8, 0), "the tests need ssh");
    }
}
