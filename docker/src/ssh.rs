//! SSH material: a private key that opens an account on a host, and the keys by which that host is known.
//!
//! Only for who has no OpenSSH configuration of their own: else the user's own agent, files and jump hosts open the way.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How OpenSSH's own format of private keys begins (PROTOCOL.key).
const OPENSSH: &[u8] = b"openssh-key-v1\0";

/// SSH material that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshMaterialError {
    /// It is no private key.
    #[error("the SSH key is no private key in OpenSSH's or PEM form{0}")]
    NotPrivate(&'static str),
    /// It is encrypted.
    #[error(
        "the SSH key is encrypted: `ssh-keygen -p -N '' -f COPY` takes the passphrase off a copy; without --ssh-key your own agent \
         is asked"
    )]
    Encrypted,
    /// Nothing tells the host from another.
    #[error("there is no key by which the host is known")]
    NoHostKey,
    /// A host key that is none.
    #[error(
        "a key by which the host is known cannot be read: it is TYPE and BASE64, as in a known_hosts file"
    )]
    HostKey,
}

/// A private key and the host keys that are taken. Whoever holds the key is root on that host: never shown, wiped when dropped;
/// serialised only to be sealed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct SshMaterial {
    key: String,
    host_keys: Vec<String>,
}

impl fmt::Debug for SshMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SshMaterial { .. }")
    }
}

impl SshMaterial {
    /// Takes a private key without passphrase, and host keys as in a known_hosts file after the names: `[MARKER] TYPE BASE64`.
    ///
    /// # Errors
    /// [`SshMaterialError`].
    pub fn new(key: &str, host_keys: Vec<String>) -> Result<Self, SshMaterialError> {
        // OpenSSH wants LF, and one after the last line.
        let key: Zeroizing<String> =
            Zeroizing::new(key.lines().map(|line| format!("{}\n", line.trim_end())).collect());
        check_key(&key)?;
        if host_keys.is_empty() {
            return Err(SshMaterialError::NoHostKey);
        }
        if !host_keys.iter().all(|line| is_host_key(line)) {
            return Err(SshMaterialError::HostKey);
        }
        Ok(Self { key: key.to_string(), host_keys })
    }

    /// The private key as a file's text.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The host keys as a known_hosts file's text, all under one name.
    pub(crate) fn known_hosts(&self, name: &str) -> String {
        let line = |key: &String| match key.strip_prefix('@').and_then(|key| key.split_once(' ')) {
            Some((marker, key)) => format!("@{marker} {name} {key}\n"),
            None => format!("{name} {key}\n"),
        };
        self.host_keys.iter().map(line).collect()
    }
}

fn check_key(key: &str) -> Result<(), SshMaterialError> {
    if key.starts_with("PuTTY-") {
        return Err(SshMaterialError::NotPrivate(
            ": `puttygen KEY.ppk -O private-openssh -o KEY` converts PuTTY's",
        ));
    }
    if key.starts_with("ssh-") || key.starts_with("ecdsa-") {
        return Err(SshMaterialError::NotPrivate(
            ": it is a public key, the private one has the same name without .pub",
        ));
    }
    let mut lines = key.lines();
    let begin = lines.find(|line| line.starts_with("-----BEGIN ") && line.ends_with("PRIVATE KEY-----"));
    let begin = begin.ok_or(SshMaterialError::NotPrivate(""))?;
    let body: Zeroizing<String> =
        Zeroizing::new(lines.take_while(|line| !line.starts_with("-----END ")).collect());
    if begin.contains("ENCRYPTED") || body.contains("ENCRYPTED") {
        return Err(SshMaterialError::Encrypted);
    }
    if begin == "-----BEGIN OPENSSH PRIVATE KEY-----" {
        let bytes = STANDARD
            .decode(body.as_bytes())
            .map_err(|_| SshMaterialError::NotPrivate(": its base64 is broken"))?;
        let bytes = Zeroizing::new(bytes);
        // Then a string, its length in four bytes before it: the cipher.
        let rest = bytes.strip_prefix(OPENSSH).ok_or(SshMaterialError::NotPrivate(""))?;
        if !rest.starts_with(b"\0\0\0\x04none") {
            return Err(SshMaterialError::Encrypted);
        }
    }
    Ok(())
}

fn is_host_key(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    let (kind, key) = match words.as_slice() {
        [marker, kind, key] if matches!(*marker, "@cert-authority" | "@revoked") => (*kind, *key),
        [kind, key] => (*kind, *key),
        _ => return false,
    };
    let is_kind = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'@' | b'.');
    !kind.is_empty() && !kind.starts_with('@') && kind.bytes().all(is_kind) && STANDARD.decode(key).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==";

    /// A key in OpenSSH's form whose cipher is this.
    fn openssh(cipher: &str) -> String {
        let length = u32::try_from(cipher.len()).unwrap().to_be_bytes();
        let body = STANDARD.encode([OPENSSH, &length, cipher.as_bytes(), b"rest"].concat());
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\r\n{body}\r\n-----END OPENSSH PRIVATE KEY-----")
    }

    #[test]
    fn a_key_is_taken_and_never_shown() {
        let material =
            SshMaterial::new(&openssh("none"), vec![HOST.into(), format!("@cert-authority {HOST}")]).unwrap();
        assert_eq!(format!("{material:?}"), "SshMaterial { .. }");
        assert!(material.key().ends_with("KEY-----\n") && !material.key().contains('\r'));
        assert_eq!(material.known_hosts("h"), format!("h {HOST}\n@cert-authority h {}\n", HOST));
        let sealed = serde_json::to_string(&material).unwrap();
        assert_eq!(serde_json::from_str::<SshMaterial>(&sealed).unwrap(), material);
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        use SshMaterialError as E;
        let error = |key: &str| SshMaterial::new(key, vec![HOST.into()]).unwrap_err();
        assert_eq!(error(&openssh("aes256-ctr")), E::Encrypted);
        assert_eq!(error("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"), E::Encrypted);
        assert_eq!(error("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nAAAA\n"), E::Encrypted);
        for (key, part) in [
            ("", "no private key"),
            ("ssh-ed25519 AAAA me@here\n", "public key"),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n", "puttygen"),
        ] {
            assert!(error(key).to_string().contains(part), "{key}");
        }
        let key = openssh("none");
        assert_eq!(SshMaterial::new(&key, vec![]), Err(E::NoHostKey));
        for bad in ["", "ssh-ed25519", "ssh-ed25519 A A", "h ssh-ed25519 AAAA", "ssh-ed25519 !", "a\nb AAAA"]
        {
            assert_eq!(SshMaterial::new(&key, vec![bad.into()]), Err(E::HostKey), "{bad}");
        }
    }
}
