//! State directories, stores and keys that cannot be used. Nothing of them is changed: a store that cannot be read today is
//! restored tomorrow.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::bed::{Bed, PASSWORD, row};

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
    let known = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/sqlite")).unwrap().count();
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
