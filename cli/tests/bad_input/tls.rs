//! TLS material that is wrong, each kind told apart: before the engine is asked where the files alone show it, in the
//! handshake otherwise.

use std::{fs, os::unix::fs::symlink};

use crate::{
    authority::{Authority, When},
    bed::{Bed, Row, row},
    stub::{self, Manner},
};

/// Registers the engine at `port` with the files of a directory.
fn dir(what: &str, exit: i32, port: u16, dir: &str) -> Row {
    let endpoint = format!("tcp://127.0.0.1:{port}");
    row(what, exit, ["register", "new", "--docker", &endpoint, "--tls-dir", dir])
}

/// An engine that would do, was it not for the certificates.
fn engine() -> Manner {
    Manner::Engine("1.41", "{}".into())
}

#[test]
fn files() {
    let mut bed = Bed::new();
    let ours = Authority::new("ours", When::Now);
    let port = stub::tcp(engine(), Some(ours.server("127.0.0.1", When::Now)));
    bed.redact(format!(":{port}"), ":PORT");
    let good = ours.client(&bed, "good");
    let with = |name: &str, file: &str, text: &[u8]| {
        let dir = ours.client(&bed, name);
        bed.file(&format!("{name}/{file}"), text);
        dir
    };
    let pem = |file: &str| fs::read_to_string(bed.path(&format!("good/{file}"))).unwrap();
    let (cert, key) = (pem("cert.pem"), pem("key.pem"));
    let (expired, expired_key) = ours.signed("client", When::Past);
    let (future, future_key) = ours.signed("client", When::Future);
    let (_, other_key) = ours.signed("client", When::Now);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let legacy = key.replace("-----\nM", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nM");
    let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let cut = &key[..key.len() / 2];
    let mut dirs = vec![
        ("CA has expired", with("1", "ca.pem", Authority::new("old", When::Past).pem().as_bytes())),
        ("CA is not valid yet", with("2", "ca.pem", Authority::new("new", When::Future).pem().as_bytes())),
        ("CA is garbage", with("3", "ca.pem", b"garbage\n")),
        ("CA is empty", with("4", "ca.pem", b"")),
        ("CA is binary", with("5", "ca.pem", &[0x30, 0x82, 0xff])),
        ("CA is a key", with("6", "ca.pem", key.as_bytes())),
        ("CA has broken base64", with("7", "ca.pem", broken.as_bytes())),
        ("CA is PEM around nothing", with("8", "ca.pem", no_der.as_bytes())),
        ("certificate is garbage", with("9", "cert.pem", b"garbage\n")),
        ("certificate is PEM around nothing", with("10", "cert.pem", no_der.as_bytes())),
        ("key of another certificate", with("11", "key.pem", other_key.as_bytes())),
        ("key is garbage", with("12", "key.pem", b"garbage\n")),
        ("key is a certificate", with("13", "key.pem", cert.as_bytes())),
        ("key is encrypted", with("14", "key.pem", encrypted.as_bytes())),
        ("key is encrypted as OpenSSL once did", with("15", "key.pem", legacy.as_bytes())),
        ("key is cut short", with("16", "key.pem", cut.as_bytes())),
        ("key is PEM around nothing", with("17", "key.pem", no_key.as_bytes())),
        ("certificate is too large", with("18", "cert.pem", &vec![b'x'; 2 << 20])),
    ];
    let pair = |name: &str, cert: &str, key: &str| {
        let dir = with(name, "cert.pem", cert.as_bytes());
        bed.file(&format!("{name}/key.pem"), key);
        dir
    };
    dirs.push(("certificate has expired", pair("19", &expired, &expired_key)));
    dirs.push(("certificate is not valid yet", pair("20", &future, &future_key)));
    for (name, file) in [("21", "ca.pem"), ("22", "cert.pem"), ("23", "key.pem")] {
        let dir = ours.client(&bed, name);
        fs::remove_file(format!("{dir}/{file}")).unwrap();
        dirs.push(("a file is missing", dir));
    }
    let dir_in_place = ours.client(&bed, "24");
    fs::remove_file(format!("{dir_in_place}/key.pem")).unwrap();
    fs::create_dir(format!("{dir_in_place}/key.pem")).unwrap();
    dirs.push(("key is a directory", dir_in_place));
    dirs.push(("no such directory", bed.path("nowhere")));
    dirs.push(("directory is a file", bed.file("file", "")));
    symlink("loop", bed.home().join("loop")).unwrap();
    dirs.push(("directory cannot be entered", bed.path("loop")));
    dirs.push(("directory is empty text", String::new()));
    for (what, path) in dirs {
        bed.run(dir(what, 2, port, &path));
    }
    let endpoint = format!("tcp://127.0.0.1:{port}");
    bed.run(row(
        "one file of three",
        2,
        ["register", "new", "--docker", &endpoint, "--tls-ca", "good/ca.pem"],
    ));
    bed.run(row("tcp without TLS", 2, ["register", "new", "--docker", &endpoint]));
    bed.run(row("set host: CA is garbage", 2, ["set", "host", "host1", "--tls-dir", &bed.path("3")]));
    drop(good);
    insta::assert_snapshot!(bed.said());
}

#[test]
fn handshakes() {
    let mut bed = Bed::new();
    let (ours, foreign) = (Authority::new("ours", When::Now), Authority::new("foreign", When::Now));
    let client = ours.client(&bed, "client");
    // Trusts the engine's authority, and has a certificate of another.
    let stranger = foreign.client(&bed, "stranger");
    bed.file("stranger/ca.pem", ours.pem());
    for (what, exit, config, dir_) in [
        ("engine's certificate is foreign", 1, Some(foreign.server("127.0.0.1", When::Now)), &client),
        ("engine's certificate has expired", 1, Some(ours.server("127.0.0.1", When::Past)), &client),
        ("engine's certificate is not valid yet", 1, Some(ours.server("127.0.0.1", When::Future)), &client),
        (
            "engine's certificate is for another name",
            1,
            Some(ours.server("other.example", When::Now)),
            &client,
        ),
        ("client certificate is foreign", 1, Some(ours.server("127.0.0.1", When::Now)), &stranger),
        ("no TLS there", 1, None, &client),
    ] {
        // What an engine without TLS says to a TLS greeting.
        let plain = Manner::Say(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request");
        let port = stub::tcp(if config.is_some() { engine() } else { plain }, config);
        bed.redact(format!(":{port}"), ":PORT");
        bed.run(dir(what, exit, port, dir_));
    }
    insta::assert_snapshot!(bed.said());
}
