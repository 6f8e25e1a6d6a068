//! PEM as people's files have it: sections among notes, with another system's line ends, indented, behind a byte order mark.

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _, SectionKind},
};

use super::TlsMaterialProblem;

/// What OpenSSL before 1.0 began the header of an encrypted key with.
const OLD_ENCRYPTION: &str = "Proc-Type: 4,ENCRYPTED";
/// The section of an encrypted PKCS#8 key.
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// The text with neither byte order mark nor white space around its lines.
fn plain(text: &str) -> String {
    let lines = text.trim_start_matches('\u{feff}').split(['\n', '\r']);
    lines.map(str::trim).collect::<Vec<_>>().join("\n")
}

/// The certificates of a text, each once, in its order.
///
/// # Errors
/// It has none, or a section is broken.
pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, TlsMaterialProblem> {
    let text = plain(text);
    let mut certificates: Vec<CertificateDer<'static>> = Vec::new();
    for (kind, der) in sections(&text)? {
        let certificate = CertificateDer::from(der);
        if kind == SectionKind::Certificate && !certificates.contains(&certificate) {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(wrong_kind("certificate", &text)) } else { Ok(certificates) }
}

/// The private keys of a text.
///
/// # Errors
/// It has none, a section is broken, or a key is encrypted.
pub(super) fn private_keys(text: &str) -> Result<Vec<PrivateKeyDer<'static>>, TlsMaterialProblem> {
    let text = plain(text);
    if text.lines().any(|line| line == ENCRYPTED || line.starts_with(OLD_ENCRYPTION)) {
        return Err(TlsMaterialProblem::EncryptedKey);
    }
    let keys: Vec<_> =
        PrivateKeyDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, pem::Error>>().map_err(not_pem)?;
    if keys.is_empty() { sections(&text).and(Err(wrong_kind("private key", &text))) } else { Ok(keys) }
}

/// The PEM sections of a text, and an error if it has none or a broken one.
fn sections(text: &str) -> Result<Vec<(SectionKind, Vec<u8>)>, TlsMaterialProblem> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(not_pem)?;
    if sections.is_empty() && !text.lines().any(|line| line.starts_with("-----BEGIN ")) {
        return Err(TlsMaterialProblem::NotPem("it has no `-----BEGIN` section".into()));
    }
    Ok(sections)
}

fn wrong_kind(wanted: &'static str, text: &str) -> TlsMaterialProblem {
    let name = |line: &str| Some(line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?.to_lowercase());
    let found = text.lines().filter_map(name).collect::<Vec<_>>().join(", ");
    TlsMaterialProblem::WrongKind { wanted, found }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's errors; its own words do for the rest")]
fn not_pem(error: pem::Error) -> TlsMaterialProblem {
    TlsMaterialProblem::NotPem(match error {
        pem::Error::MissingSectionEnd { .. } => "it is cut short: an `-----END` line is missing".into(),
        other => other.to_string(),
    })
}
