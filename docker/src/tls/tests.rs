//! Each way in which TLS material can be wrong is told apart, with its file.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use shoal_types::{Clock as _, SystemClock};

use super::*;

struct Pem {
    cert: String,
    key: String,
}

fn made(params: CertificateParams) -> Pem {
    let key = KeyPair::generate().unwrap();
    Pem { cert: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn plain() -> Pem {
    made(CertificateParams::new(vec!["h".to_owned()]).unwrap())
}

fn dated(from: i32, to: i32) -> Pem {
    let mut params = CertificateParams::new(vec!["h".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    made(params)
}

/// The error of these three texts.
fn error_of(ca: &str, cert: &str, key: &str) -> (TlsFile, String) {
    let error = TlsMaterial::from_pem(ca.into(), cert.into(), key.into(), SystemClock.now()).unwrap_err();
    (error.file, error.problem.to_string())
}

#[test]
fn good_material_is_taken_and_never_shown() {
    let pem = plain();
    let material =
        TlsMaterial::from_pem(pem.cert.clone(), pem.cert.clone(), pem.key.clone(), SystemClock.now())
            .unwrap();
    assert_eq!(format!("{material:?}"), "TlsMaterial { .. }");
    let sealed = serde_json::to_string(&material).unwrap();
    assert_eq!(serde_json::from_str::<TlsMaterial>(&sealed).unwrap(), material);
}

#[test]
fn what_a_file_holds_instead() {
    let Pem { cert, key } = plain();
    let (file, text) = error_of("hello", &cert, &key);
    assert_eq!((file, text.as_str()), (TlsFile::Ca, "is not PEM (it has no `-----BEGIN` section)"));
    let (file, text) = error_of(&key, &cert, &key);
    assert_eq!((file, text.as_str()), (TlsFile::Ca, "holds no certificate, but: private key"));
    let (file, text) = error_of(&cert, &key, &key);
    assert_eq!((file, text.as_str()), (TlsFile::Certificate, "holds no certificate, but: private key"));
    let (file, text) = error_of(&cert, &cert, &cert);
    assert_eq!((file, text.as_str()), (TlsFile::Key, "holds no private key, but: certificate"));
    let (file, text) = error_of(&cert, &cert, "");
    assert_eq!((file, text.as_str()), (TlsFile::Key, "is not PEM (it has no `-----BEGIN` section)"));
    let cut = &cert[..cert.len() / 2];
    let (file, text) = error_of(cut, &cert, &key);
    assert!(file == TlsFile::Ca && text.starts_with("is not PEM ("), "{text}");
    let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let (file, text) = error_of(&cert, garbled, &key);
    assert!(
        file == TlsFile::Certificate && text.starts_with("holds a certificate that cannot be used"),
        "{text}"
    );
}

#[test]
fn an_encrypted_key() {
    let Pem { cert, .. } = plain();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let (file, text) = error_of(&cert, &cert, encrypted);
    assert_eq!((file, text.as_str()), (TlsFile::Key, "is encrypted: give a key without passphrase"));
}

#[test]
fn dates() {
    let Pem { cert, key } = plain();
    let old = dated(2001, 2002);
    let (file, text) = error_of(&cert, &old.cert, &old.key);
    assert_eq!(
        (file, text.as_str()),
        (TlsFile::Certificate, "expired on Jan  1 00:00:00 2002 +00:00: issue a new one")
    );
    let (file, _) = error_of(&old.cert, &cert, &key);
    assert_eq!(file, TlsFile::Ca);
    let early = dated(2101, 2102);
    let (file, text) = error_of(&cert, &early.cert, &early.key);
    assert!(file == TlsFile::Certificate && text.starts_with("is not valid before Jan"), "{text}");
}

#[test]
fn a_key_of_another_certificate() {
    let (one, two) = (plain(), plain());
    let (file, text) = error_of(&one.cert, &one.cert, &two.key);
    assert_eq!((file, text.as_str()), (TlsFile::Key, "does not belong to the client certificate"));
}
