//! Client credentials of a TLS engine, read from PEM files on this machine.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use shoal_api::TlsCredentials;

use crate::report;

/// Largest file taken for a certificate or key.
const MAX_BYTES: u64 = 1 << 20;

/// How the first line of a key's PEM block ends.
const KEY_MARKER: &str = "PRIVATE KEY";

/// A file that is no credential.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PemError {
    /// It cannot be read.
    #[error("cannot read the {what} {}", path.display())]
    Read {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It holds no such PEM block.
    #[error("{} is not a {what} in PEM form: no `-----BEGIN {marker}-----` in it", path.display())]
    NotPem {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What its first line should name.
        marker: &'static str,
    },
    /// It is DER: what PEM wraps.
    #[error("{0} is DER and not PEM: `openssl {command} -inform DER -in {0} -out {0}.pem`", path.display())]
    Der {
        /// The file.
        path: PathBuf,
        /// OpenSSL's command for what it should hold.
        command: &'static str,
    },
    /// It is a PKCS#12 archive.
    #[error(
        "{0} is a PKCS#12 archive: `openssl pkcs12 -in {0} -noenc -out all.pem` writes its certificates and key, and each of the \
         three may be in that one file",
        path.display()
    )]
    Pkcs12 {
        /// The file.
        path: PathBuf,
    },
    /// It is larger than any credential.
    #[error("{} is too large for a {what}: more than 1 MiB", path.display())]
    TooLarge {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
}

/// Reads the three files of a client; warns of a key that others can read.
///
/// # Errors
/// [`PemError`]: the first file that cannot be used.
pub(crate) fn read(ca: &Path, cert: &Path, key: &Path) -> Result<TlsCredentials, PemError> {
    let credentials = TlsCredentials {
        ca: read_one("CA certificate", "CERTIFICATE", ca)?,
        cert: read_one("client certificate", "CERTIFICATE", cert)?,
        key: read_one("client key", KEY_MARKER, key)?,
    };
    warn_of_exposed("client key", key);
    Ok(credentials)
}

/// Reads the three files of a directory, named as Docker's own client names them.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_dir(dir: &Path) -> Result<TlsCredentials, PemError> {
    read(&dir.join("ca.pem"), &dir.join("cert.pem"), &dir.join("key.pem"))
}

/// Says so of a key that others can read.
pub(crate) fn warn_of_exposed(what: &str, key: &Path) {
    if let Some(warning) = exposed(what, key) {
        report::warning(&warning);
    }
}

/// What is to be said of a key that others can read; one that cannot be looked at any more is not.
fn exposed(what: &str, key: &Path) -> Option<String> {
    let mode = key.metadata().ok()?.mode() & 0o7777;
    let shown = key.display();
    (mode & 0o077 != 0).then(|| {
        format!(
            "the {what} {shown} is open to others (mode {mode:04o}), and who has it is root on the host: chmod 600 {shown}"
        )
    })
}

fn read_one(what: &'static str, marker: &'static str, path: &Path) -> Result<String, PemError> {
    let failed = |source| PemError::Read { what, path: path.into(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(PemError::TooLarge { what, path: path.into() });
    }
    if let Some(binary) = binary(&bytes) {
        return Err(match binary {
            Binary::Pkcs12 => PemError::Pkcs12 { path: path.into() },
            Binary::Der => PemError::Der {
                path: path.into(),
                command: if marker == KEY_MARKER { "pkey" } else { "x509" },
            },
        });
    }
    // Keys come as `PRIVATE KEY`, `RSA PRIVATE KEY` and `EC PRIVATE KEY`.
    let is_begin = |line: &str| {
        let line = line.trim_start_matches('\u{feff}').trim();
        line.starts_with("-----BEGIN ") && line.ends_with(&format!("{marker}-----"))
    };
    decoded(bytes).filter(|text| text.split(['\n', '\r']).any(is_begin)).ok_or_else(|| PemError::NotPem {
        what,
        path: path.into(),
        marker,
    })
}

/// What a credential in binary form is.
enum Binary {
    Der,
    Pkcs12,
}

/// Tells DER by the header of a SEQUENCE longer than 255 bytes; a PKCS#12 archive begins with its version, 3 (RFC 7292 4).
fn binary(bytes: &[u8]) -> Option<Binary> {
    let [0x30, 0x82, _, _, rest @ ..] = bytes else { return None };
    Some(if rest.starts_with(&[2, 1, 3]) { Binary::Pkcs12 } else { Binary::Der })
}

/// The text: UTF-8, or UTF-16 as `>` of Windows PowerShell writes it.
fn decoded(bytes: Vec<u8>) -> Option<String> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok()
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use shoal_types::chain;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key.pem");
        fs::write(&key, KEY).unwrap();
        for (mode, told) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o644, true)] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            let said = exposed("client key", &key).unwrap_or_default();
            assert_eq!(said.contains("chmod 600") && said.contains(&format!("{mode:04o}")), told, "{said}");
        }
        assert_eq!(exposed("client key", &dir.path().join("none")), None);
    }

    const CERT: &str = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nMII=\n-----END EC PRIVATE KEY-----\n";

    #[test]
    fn each_file_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, text) in [("ca.pem", CERT), ("cert.pem", CERT), ("key.pem", KEY)] {
            fs::write(at(name), text).unwrap();
        }
        fs::write(at("der"), [0x30, 0x82, 0xff]).unwrap();
        fs::write(at("huge"), "x".repeat(2 << 20)).unwrap();
        let (ca, cert, key) = (at("ca.pem"), at("cert.pem"), at("key.pem"));
        let message = |ca: &Path, cert: &Path, key: &Path| {
            let text = chain(&read(ca, cert, key).unwrap_err());
            text.replace(&dir.path().display().to_string(), "DIR")
        };
        assert_eq!(read(&ca, &cert, &key).unwrap().key, KEY);
        // As other systems' editors and shells write it.
        let wide = |text: &str| {
            [&[0xff, 0xfe][..], &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()].concat()
        };
        for text in
            [wide(CERT), format!("\u{feff}{CERT}").into_bytes(), CERT.replace('\n', "\r\n").into_bytes()]
        {
            fs::write(at("foreign"), &text).unwrap();
            assert!(read(&at("foreign"), &cert, &key).unwrap().ca.contains("MII="), "{text:?}");
        }
        fs::write(at("p12"), [0x30, 0x82, 9, 9, 2, 1, 3]).unwrap();
        fs::write(at("long.der"), [0x30, 0x82, 9, 9, 0x30]).unwrap();
        assert_eq!(
            message(&at("long.der"), &cert, &key),
            "DIR/long.der is DER and not PEM: `openssl x509 -inform DER -in DIR/long.der -out DIR/long.der.pem`"
        );
        assert!(message(&ca, &cert, &at("long.der")).contains("openssl pkey -inform DER"));
        assert!(message(&ca, &cert, &at("p12")).contains("`openssl pkcs12 -in DIR/p12 -noenc -out all.pem`"));
        assert_eq!(
            message(&at("none"), &cert, &key),
            "cannot read the CA certificate DIR/none: No such file or directory (os error 2)"
        );
        assert_eq!(
            message(&ca, &at("der"), &key),
            "DIR/der is not a client certificate in PEM form: no `-----BEGIN CERTIFICATE-----` in it"
        );
        assert_eq!(
            message(&ca, &cert, &cert),
            "DIR/cert.pem is not a client key in PEM form: no `-----BEGIN PRIVATE KEY-----` in it"
        );
        assert_eq!(
            message(&at("huge"), &cert, &key),
            "DIR/huge is too large for a CA certificate: more than 1 MiB"
        );
        assert_eq!(
            message(dir.path(), &cert, &key),
            "cannot read the CA certificate DIR: Is a directory (os error 21)"
        );
    }
}
