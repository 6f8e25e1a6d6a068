//! SSH public keys that people bring: one line of OpenSSH's format, checked once at the edge.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ssh_key::PublicKey;

/// Longest line: an RSA key of 16,384 bits has 2,800 characters.
const MAX_LINE: usize = 8192;

/// An invalid public key. The text never shows the line, which may be a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// It begins as a private key's file does.
    #[error(
        "this is a private key, which belongs to nobody else: give the public one, from the file ending in .pub"
    )]
    Private,
    /// Nothing is there.
    #[error("the line has no key")]
    Empty,
    /// More than one line.
    #[error("a public key is one line without control characters")]
    Lines,
    /// Longer than any key.
    #[error("too long for a public key: at most {MAX_LINE} characters")]
    TooLong,
    /// Not `TYPE BASE64 [COMMENT]`, or the two parts disagree.
    #[error(
        "not an OpenSSH public key: one line such as `ssh-ed25519 AAAA... name`, without options in front"
    )]
    Malformed,
}

/// An OpenSSH public key: `ssh-ed25519 AAAA... comment`, one line, as `ssh-keygen` writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshPublicKey(String);

impl SshPublicKey {
    /// Its line, without a newline.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The keys in a text of lines, such as a `.pub` file or `authorized_keys`: empty lines and comments are skipped. A
    /// refusal comes with the line's number, from 1.
    ///
    /// # Errors
    /// The first line that is no key.
    pub fn lines(text: &str) -> Result<Vec<Self>, (usize, SshKeyError)> {
        let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let keys = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let keys: Result<Vec<Self>, _> =
            keys.map(|(at, line)| line.parse().map_err(|error| (at, error))).collect();
        match keys {
            Ok(keys) if keys.is_empty() => Err((1, SshKeyError::Empty)),
            keys => keys,
        }
    }
}

impl fmt::Display for SshPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for SshPublicKey {
    type Err = SshKeyError;

    fn from_str(text: &str) -> Result<Self, SshKeyError> {
        let line = text.trim_matches([' ', '\t', '\n', '\r']);
        if line.contains("PRIVATE KEY-----") || line.starts_with("PuTTY-User-Key-File") {
            return Err(SshKeyError::Private);
        }
        if line.is_empty() {
            return Err(SshKeyError::Empty);
        }
        if line.len() > MAX_LINE {
            return Err(SshKeyError::TooLong);
        }
        if line.chars().any(char::is_control) {
            return Err(SshKeyError::Lines);
        }
        // Kept as the library writes the key: no unparsed text gets into a node's file.
        let key = PublicKey::from_openssh(line).map_err(|_| SshKeyError::Malformed)?;
        key.to_openssh().map(Self).map_err(|_| SshKeyError::Malformed)
    }
}

impl TryFrom<String> for SshPublicKey {
    type Error = SshKeyError;

    fn try_from(text: String) -> Result<Self, SshKeyError> {
        text.parse()
    }
}

impl From<SshPublicKey> for String {
    fn from(key: SshPublicKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC9GBAegsGjkqJORwtyWQ1aAJ+IS1ablwZ7IbfqZVWzy me@desk";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBF8qraPfRwnKhDYu7ILIgBx4oG7DoRscXHOqqfVkWdJinvDFpcNB/pFp93D9S+dFadRgl5cVmLmaPJqykczzF1g= me";

    #[test]
    fn keys_as_ssh_keygen_writes_them() {
        for line in [ED25519, ECDSA] {
            assert_eq!(line.parse::<SshPublicKey>().unwrap().as_str(), line);
            assert_eq!(format!("  {line}\n").parse::<SshPublicKey>().unwrap().as_str(), line);
        }
        let text = format!("# mine\n\n{ED25519}\n{ECDSA}\n");
        assert_eq!(SshPublicKey::lines(&text).unwrap().len(), 2);
        let kept = serde_json::to_string(&ED25519.parse::<SshPublicKey>().unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<SshPublicKey>(&kept).unwrap().as_str(), ED25519);
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_shown() {
        let two = format!("{ED25519}\n{ED25519}");
        let option = format!("command=\"rm -rf /\" {ED25519}");
        let escape = format!("{ED25519}\u{1b}[31m");
        let kind = ED25519.replace("ssh-ed25519", "ssh-rsa");
        let long = format!("{ED25519} {}", "x".repeat(MAX_LINE));
        for (line, reason) in [
            ("", SshKeyError::Empty),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA", SshKeyError::Private),
            ("-----BEGIN RSA PRIVATE KEY-----", SshKeyError::Private),
            ("PuTTY-User-Key-File-3: ssh-ed25519", SshKeyError::Private),
            (two.as_str(), SshKeyError::Lines),
            (escape.as_str(), SshKeyError::Lines),
            (long.as_str(), SshKeyError::TooLong),
            (option.as_str(), SshKeyError::Malformed),
            (kind.as_str(), SshKeyError::Malformed),
            ("ssh-ed25519", SshKeyError::Malformed),
            ("ssh-ed25519 AAAA me", SshKeyError::Malformed),
            ("hunter2", SshKeyError::Malformed),
        ] {
            let error = line.parse::<SshPublicKey>().unwrap_err();
            assert_eq!(error, reason, "{line}");
            let shown = error.to_string();
            assert!(["", "ssh-ed25519"].contains(&line) || !shown.contains(line), "{shown}");
        }
        assert_eq!(SshPublicKey::lines("# none\n"), Err((1, SshKeyError::Empty)));
        assert_eq!(SshPublicKey::lines(&format!("{ED25519}\nx")), Err((2, SshKeyError::Malformed)));
    }

    proptest! {
        /// Whatever is taken is one line of printable characters with at least two words.
        #[test]
        fn what_is_taken_is_one_line(text in "\\PC{0,40}|(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]{0,90}( .{0,20})?") {
            if let Ok(key) = text.parse::<SshPublicKey>() {
                prop_assert!(!key.as_str().chars().any(char::is_control));
                prop_assert!(key.as_str().split(' ').count() >= 2);
            }
        }
    }
}
