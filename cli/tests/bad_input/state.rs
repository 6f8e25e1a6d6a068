//! State directories, stores and keys that cannot be used. Nothing of them is changed: a store that cannot be read today is
//! restored tomorrow.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    sync::mpsc::{Receiver, channel},
    thread,
};

use crate::{
    authority::{Authority, When},
    bed::{Bed, PASSWORD, row},
};

/// A store of schema 9999: what this version of the program must leave alone.
const NEWER: &[u8] = include_bytes!("newer.db");

/// `shoal get hosts` with this state directory.
fn hosts(bed: &Bed, dir: &str) -> [String; 4] {
    ["get".into(), "hosts".into(), "--state-dir".into(), bed.path(dir)]
}

#[test]
fn stores() {
    let mut bed = Bed::new();
    // Grows with every migration.
    let migrations = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/sqlite")).unwrap();
    let names = migrations.map(|file| file.unwrap().file_name().into_string().unwrap());
    let known: u32 = names.map(|name| name.split('_').next().unwrap().parse().unwrap()).max().unwrap();
    bed.redact(format!("this one knows {known})"), "this one knows NEWEST)");
    // A whole store to spoil: the bed's own, as it is after its log was folded in.
    let whole = {
        let other = Bed::new();
        other.runtime().block_on(other.store().close());
        fs::read(other.home().join(".local/state/shoal/shoal.db")).unwrap()
    };
    let key = fs::read(bed.home().join(".local/state/shoal/key")).unwrap();
    let private = |bed: &Bed, path: &str, bytes: &[u8]| {
        bed.file(path, bytes);
        fs::set_permissions(bed.home().join(path), fs::Permissions::from_mode(0o600)).unwrap();
    };
    let mut spoiled = whole.clone();
    let quarter = spoiled.len() / 4;
    spoiled[4096..].iter_mut().take(quarter).for_each(|b| *b = 0xa5);
    for (dir, db) in [
        ("garbage", &b"this is no database, and long enough to be read as one".repeat(100)[..]),
        ("spoiled", &spoiled),
        ("truncated", &whole[..whole.len() / 2]),
        ("header-only", &whole[..100]),
        ("newer", NEWER),
    ] {
        private(&bed, &format!("{dir}/key"), &key);
        private(&bed, &format!("{dir}/shoal.db"), db);
        let before = fs::read(bed.home().join(dir).join("shoal.db")).unwrap();
        let args = hosts(&bed, dir);
        bed.run(row(format!("store: {dir}"), 1, args));
        assert!(fs::read(bed.home().join(dir).join("shoal.db")).unwrap() == before, "{dir} was changed");
    }
    fs::create_dir_all(bed.home().join("directory/shoal.db")).unwrap();
    private(&bed, "directory/key", &key);
    let args = hosts(&bed, "directory");
    bed.run(row("store: a directory in its place", 1, args));
    bed.file("plain", "");
    let args = hosts(&bed, "plain");
    bed.run(row("state directory: a file in its place", 1, args));
    for (what, mode) in [("its group can write", 0o770), ("all can write, sticky or not", 0o1777)] {
        let args = hosts(&bed, "shared");
        private(&bed, "shared/key", &key);
        fs::set_permissions(bed.home().join("shared"), fs::Permissions::from_mode(mode)).unwrap();
        bed.run(row(format!("state directory: {what}"), 1, args));
    }
    symlink(bed.home().join("shared"), bed.home().join("link")).unwrap();
    let args = hosts(&bed, "link");
    bed.run(row("state directory: a link to such a one", 1, args));
    bed.run(row("state directory: nobody's", 1, ["get", "hosts", "--state-dir", "/proc/shoal"]));
    bed.run(row("state directory: empty", 2, ["get", "hosts", "--state-dir", ""]));
    bed.run(row("state directory: no home", 2, ["get", "hosts"]).env("HOME", ""));
    insta::assert_snapshot!(bed.said());
}

#[test]
fn keys() {
    let mut bed = Bed::new();
    let write = |bed: &Bed, name: &str, bytes: &[u8], mode: u32| {
        bed.file(name, bytes);
        fs::set_permissions(bed.home().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let key = fs::read(bed.home().join(".local/state/shoal/key")).unwrap();
    write(&bed, "other", &[7; 32], 0o600);
    write(&bed, "open", &key, 0o644);
    write(&bed, "short", &key[..16], 0o600);
    write(&bed, "long", &[&key[..], b"\n"].concat(), 0o600);
    write(&bed, "empty", b"", 0o600);
    fs::create_dir(bed.home().join("dir")).unwrap();
    for (what, file) in [
        ("another key", "other"),
        ("open to others", "open"),
        ("cut short", "short"),
        ("too long", "long"),
        ("empty", "empty"),
        ("a directory", "dir"),
        ("in no directory", "nowhere/key"),
        ("a device", "/dev/zero"),
    ] {
        bed.run(row(format!("key: {what}"), 1, ["get", "hosts"]).env("SHOAL_KEY_FILE", file));
    }
    insta::assert_snapshot!(bed.said());
}

#[test]
fn locked_beyond_the_wait() {
    let mut bed = Bed::new();
    let held = bed.runtime().block_on(bed.store().begin()).unwrap();
    bed.run(row("store: locked", 1, ["get", "hosts"]));
    bed.runtime().block_on(async { drop(held) });
    bed.run(row("store: not locked any more", 0, ["get", "clusters", "-o", "json"]));
    insta::assert_snapshot!(bed.said());
}

#[test]
fn urls() {
    let mut bed = Bed::new();
    // The error of a resolver without a server, or without an answer.
    bed.redact("Temporary failure in name resolution", "Name or service not known");
    for (what, exit, url) in [
        ("refuses", 1, format!("postgres://ann:{PASSWORD}@127.0.0.1:1/shoal")),
        (
            "refuses, password as a parameter",
            1,
            format!("postgres://ann@127.0.0.1:1/shoal?password={PASSWORD}"),
        ),
        ("no such name", 1, format!("postgres://ann:{PASSWORD}@no-such-host.invalid/shoal")),
        ("port that is none", 2, format!("postgres://ann:{PASSWORD}@db.lan:notaport/shoal")),
        ("unknown parameter", 2, format!("postgres://ann:{PASSWORD}@db.lan/shoal?sslmode=wishful")),
        ("unclosed address", 2, format!("postgres://ann:{PASSWORD}@[::1/shoal")),
        ("at sign in the password", 2, format!("postgres://ann:{PASSWORD}@x:y@db.lan:port/shoal")),
        ("another database", 2, format!("mysql://ann:{PASSWORD}@x/y")),
        ("misspelt scheme", 2, format!("postgre://ann:{PASSWORD}@x/y")),
        ("empty", 2, String::new()),
        ("memory", 2, "sqlite://:memory:".into()),
    ] {
        bed.run(row(format!("store URL: {what}"), exit, ["get", "hosts"]).env("SHOAL_STORE", url));
    }
    insta::assert_snapshot!(bed.said());
}

/// Asked for TLS: eight bytes, of which the last four are its number (PostgreSQL's manual, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A server that answers this to who asks for TLS, and then hears what else it is told, connection by connection.
fn server(answer: u8) -> (u16, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, heard) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut first) = (stream.unwrap(), [0; 8]);
            // A client that does not ask for TLS begins with its name.
            stream.read_exact(&mut first).unwrap();
            let mut rest = Vec::new();
            if first == SSL_REQUEST {
                stream.write_all(&[answer]).unwrap();
                let mut piece = [0; 1024];
                let n = stream.read(&mut piece).unwrap();
                rest.extend_from_slice(&piece[..n]);
            } else {
                rest.extend_from_slice(&first);
            }
            if told.send(rest).is_err() {
                return;
            }
        }
    });
    (port, heard)
}

/// A server that is not of this machine must prove that it is the one asked for before it hears of a user or a password.
#[test]
fn servers_elsewhere() {
    let mut bed = Bed::new();
    // Of this machine, and no loopback address by its looks.
    let here = "0.0.0.0";
    let (without, heard) = server(b'N');
    bed.redact(format!(":{without}"), ":PORT");
    let url = |more: &str| format!("postgres://ann:{PASSWORD}@{here}:{without}/shoal{more}");
    bed.run(row("store elsewhere: without TLS", 1, ["get", "hosts"]).env("SHOAL_STORE", url("")));
    assert_eq!(heard.recv().unwrap(), b"", "it hears nothing of the user");
    let required = url("?sslmode=require");
    bed.run(row("store elsewhere: TLS of anybody's", 1, ["get", "hosts"]).env("SHOAL_STORE", required));
    assert_eq!(heard.recv().unwrap(), b"");
    let names = url("?sslrootcert=/nowhere/ca.pem");
    bed.run(row("store elsewhere: a CA, and no TLS", 1, ["get", "hosts"]).env("SHOAL_STORE", names));
    assert_eq!(heard.recv().unwrap(), b"");
    // Asked for in the URL, it is done, and said once, on standard error.
    let plain = url("?sslmode=prefer");
    let args = ["get", "hosts", "-o", "json"];
    bed.run(row("store elsewhere: in clear, as asked", 1, args).env("SHOAL_STORE", plain));
    let begun = heard.recv().unwrap();
    assert!(begun.windows(3).any(|bytes| bytes == b"ann"), "{begun:?}");

    let (broken, heard) = server(b'S');
    bed.redact(format!(":{broken}"), ":PORT");
    let url = |more: &str| format!("postgres://ann:{PASSWORD}@{here}:{broken}/shoal{more}");
    let missing = url("?sslrootcert=/nowhere/ca.pem");
    bed.run(row("store elsewhere: no such CA", 1, ["get", "hosts"]).env("SHOAL_STORE", missing));
    assert_eq!(heard.recv().unwrap(), b"");
    insta::assert_snapshot!(bed.said());
}

/// What others can read is said, and nothing else changes: standard output is the result's.
#[test]
fn passwords_and_keys_in_the_open() {
    let mut bed = Bed::new();
    // Refused before anything is waited for.
    let url = format!("postgres://ann:{PASSWORD}@db.lan:notaport/shoal");
    let args = ["get", "hosts", "-o", "json", "--store", &url];
    bed.run(row("store URL: a password in an argument", 2, args));
    bed.run(row("store URL: in the environment", 2, ["get", "hosts"]).env("SHOAL_STORE", &url));
    let dir = Authority::new("ours", When::Now).client(&bed, "tls");
    let args = ["register", "new", "--docker", "tcp://127.0.0.1:1", "-o", "json", "--tls-dir", &dir];
    bed.run(row("client key: private", 5, args));
    fs::set_permissions(bed.home().join("tls/key.pem"), fs::Permissions::from_mode(0o640)).unwrap();
    bed.run(row("client key: open to its group", 5, args));
    insta::assert_snapshot!(bed.said());
}
