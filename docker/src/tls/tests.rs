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
    assert_eq!(
        (file, text.as_str()),
        (
            TlsFile::Key,
            "is encrypted: `openssl pkey -in key.pem -out key-plain.pem` asks for the passphrase and writes it without"
        )
    );
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
    assert!(
        file == TlsFile::Key && text.starts_with("does not belong to the client certificate: `openssl"),
        "{text}"
    );
}

/// A file that openssl(1) wrote: `made/make.sh` has the lines.
macro_rules! made {
    ($name:literal) => {
        include_str!(concat!("made/", $name, ".pem"))
    };
}

fn taken(ca: &str, cert: &str, key: &str) -> TlsMaterial {
    TlsMaterial::from_pem(ca.into(), cert.into(), key.into(), SystemClock.now()).unwrap()
}

#[test]
fn what_people_make_with_openssl_is_taken() {
    let ca = made!("ca");
    for (what, cert, key) in [
        ("a certificate of version 1, a key in PKCS#1", made!("v1"), made!("v1-key")),
        ("a key in PKCS#8", made!("v1"), made!("v1-pkcs8-key")),
        ("the text of the certificate before it", made!("noted"), made!("v1-key")),
        ("bag attributes, all in one file", made!("bag"), made!("bag")),
        ("SEC1 behind its parameters", made!("sec1"), made!("sec1-key")),
        ("Ed25519", made!("ed25519"), made!("ed25519-key")),
        // Engines before Go 1.18 take it.
        ("signed with SHA-1", made!("sha1"), made!("sha1-key")),
    ] {
        let error = TlsMaterial::from_pem(ca.into(), cert.into(), key.into(), SystemClock.now()).err();
        assert!(error.is_none(), "{what}: {error:?}");
    }
    taken(made!("ca-p384"), made!("p384"), made!("p384-key"));
}

#[test]
fn other_systems_text_is_taken() {
    let (ca, cert, key) = (made!("ca"), made!("v1"), made!("v1-key"));
    for (what, change) in [
        ("CRLF", (|text| text.replace('\n', "\r\n")) as fn(&str) -> String),
        ("CR", |text| text.replace('\n', "\r")),
        ("a byte order mark", |text| format!("\u{feff}{text}")),
        ("indented", |text| text.lines().map(|line| format!("    {line}  \n")).collect()),
        ("twice", |text| format!("{text}{text}")),
        ("blank lines around", |text| format!("\n\n{text}\n\n")),
        ("no line end at its end", |text| text.trim_end().to_owned()),
        ("a comment", |text| format!("# of alpha, made by ENCRYPTED hands\n{text}")),
    ] {
        let [ca, cert, key] = [ca, cert, key].map(change);
        let error = TlsMaterial::from_pem(ca, cert, key, SystemClock.now()).err();
        assert!(error.is_none(), "{what}: {error:?}");
    }
}

#[test]
fn bundles_are_taken_in_any_order() {
    let own = |material: &TlsMaterial| {
        let certified = material.certified_key(&rustls::crypto::ring::default_provider()).unwrap();
        certified.cert.iter().map(|der| Facts::of(der).unwrap().subject()).collect::<Vec<_>>()
    };
    let (ca, inter, below, key) = (made!("ca"), made!("inter"), made!("below"), made!("below-key"));
    for cert in [
        format!("{below}{inter}{ca}"),
        format!("{ca}{inter}{below}"),
        format!("{inter}{below}{ca}{below}"),
        format!("{key}{ca}{below}{inter}"),
    ] {
        assert_eq!(own(&taken(ca, &cert, key)), ["CN=below", "CN=inter", "CN=ca"]);
    }
    // The key that fits counts, and of authorities those that can be used.
    assert_eq!(own(&taken(ca, below, &format!("{}{key}", made!("v1-key")))), ["CN=below"]);
    let old = dated(2001, 2002).cert;
    let material = taken(&format!("{old}{}{}{ca}", made!("small"), made!("p521")), below, key);
    let expiries = material.expiries().unwrap();
    assert_eq!(
        expiries.iter().map(|(file, _)| *file).collect::<Vec<_>>(),
        [TlsFile::Ca, TlsFile::Certificate]
    );
    assert!(expiries.iter().all(|(_, until)| *until > SystemClock.now()), "{expiries:?}");
}

#[test]
fn what_cannot_be_used_says_which_file_and_what_makes_it_right() {
    let (ca, cert, key) = (made!("ca"), made!("v1"), made!("v1-key"));
    for (texts, file, said, command) in [
        ([made!("small"), cert, key], TlsFile::Ca, "an RSA key of 1024 bits", "openssl ecparam"),
        ([made!("p521"), cert, key], TlsFile::Ca, "a key on the curve P-521", "openssl ecparam"),
        (
            [ca, made!("client-p521"), made!("client-p521-key")],
            TlsFile::Certificate,
            "a key on the curve P-521",
            "openssl ecparam",
        ),
        ([ca, cert, made!("encrypted-key")], TlsFile::Key, "encrypted", "openssl pkey -in"),
        ([ca, cert, made!("old-encrypted-key")], TlsFile::Key, "encrypted", "openssl pkey -in"),
        ([ca, made!("trusted"), key], TlsFile::Certificate, "but: trusted certificate", "openssl x509 -in"),
        ([ca, cert, made!("sec1-key")], TlsFile::Key, "does not belong", "openssl pkey -in key.pem -pubout"),
        ([ca, made!("server"), made!("server-key")], TlsFile::Certificate, "not for clients", "clientAuth"),
    ] {
        let [ca, cert, key] = texts;
        let (found, text) = error_of(ca, cert, key);
        assert!(found == file && text.contains(said) && text.contains(command), "{found}: {text}");
    }
}

#[test]
fn what_an_engine_may_dislike_about_a_certificate() {
    let doubt = |cert: &str, key: &str| taken(made!("ca"), cert, key).doubt();
    assert_eq!(doubt(made!("v1"), made!("v1-key")), None);
    assert!(doubt(made!("sha1"), made!("sha1-key")).unwrap().contains("SHA-1"));
    let alone = doubt(made!("below"), made!("below-key")).unwrap();
    assert!(alone.contains("`CN=inter` is neither in the CA file nor behind it"), "{alone}");
    assert_eq!(doubt(&format!("{}{}", made!("below"), made!("inter")), made!("below-key")), None);
}
