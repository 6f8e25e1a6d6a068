//! Names that cannot be, and names of nothing.

use crate::bed::{Bed, Row, row};

/// What no name may be.
fn bad() -> Vec<(&'static str, String)> {
    [
        ("empty", ""),
        ("uppercase", "Dev"),
        ("dots", "a..b"),
        ("leading dash", "-a"),
        ("trailing dash", "a-"),
        ("unicode", "d\u{e9}v"),
        ("path-like", "../x"),
        ("slash", "a/b"),
        ("space", "a b"),
        ("control character", "a\u{1b}[31mb"),
        ("newline", "a\nb"),
    ]
    .map(|(what, name)| (what, name.to_owned()))
    .into_iter()
    .chain([("too long", "x".repeat(300))])
    .collect()
}

/// A command for each name, with the name as its last argument or behind `--flag=`.
fn every(prefix: &str, exit: i32, command: impl Fn(&str) -> Vec<String>) -> Vec<Row> {
    bad().into_iter().map(|(what, name)| row(format!("{prefix}: {what}"), exit, command(&name))).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn that_cannot_be() {
    let mut bed = Bed::new();
    // Keys of labels may have capitals, dots, slashes and dashes at the end.
    let labels = every("label", 2, |name| words(&["set", "host", "host1", &format!("--label={name}=x")]));
    let labels = labels
        .into_iter()
        .filter(|row| !["uppercase", "dots", "slash", "trailing dash"].iter().any(|fine| row.is_about(fine)));
    let labels = labels.collect();
    let rows = [
        every("host", 2, |name| words(&["register", "--docker=unix:///x", "--", name])),
        every("cluster", 2, |name| words(&["create", "cluster", "--", name])),
        every("realm", 2, |name| words(&["create", "cluster", &format!("--realm={name}")])),
        every("node", 2, |name| words(&["ssh", &format!("{name}.dev")])),
        every("cluster to delete", 2, |name| words(&["delete", "cluster", "--", name])),
        every("cluster to run in", 2, |name| words(&["exec", name, "--", "true"])),
        every("cluster to ask after", 2, |name| words(&["status", "--", name])),
        every("host to check", 2, |name| words(&["doctor", "--", name])),
        labels,
        every("constraint", 2, |name| words(&["create", "cluster", &format!("--constraint={name}=x=")])),
    ];
    for row in rows.into_iter().flatten() {
        bed.run(row);
    }
    bed.run(row("realm in the environment", 2, ["get", "clusters"]).env("SHOAL_REALM", "../x"));
    insta::assert_snapshot!(bed.said());
}

#[test]
fn of_nothing() {
    let mut bed = Bed::new();
    for (what, exit, args) in [
        ("cluster", 3, &["get", "cluster", "nope"][..]),
        ("nodes of a cluster", 3, &["get", "nodes", "nope"]),
        ("cluster to delete", 3, &["delete", "cluster", "nope"]),
        ("cluster to run in", 125, &["exec", "nope", "--", "true"]),
        ("cluster to ask after", 3, &["status", "nope"]),
        ("host to check", 3, &["doctor", "nope"]),
        ("node to log in to", 255, &["ssh", "worker-0.nope"]),
        ("node to be connected with", 3, &["proxy", "worker-0.nope"]),
        ("host to change", 3, &["set", "host", "nope", "--label", "a=b"]),
        ("host to cordon", 3, &["cordon", "nope"]),
        ("host to uncordon", 3, &["uncordon", "nope"]),
        ("host to drain", 3, &["drain", "nope"]),
        ("host to drain, dry", 3, &["drain", "nope", "--dry-run"]),
        ("cluster to rebalance", 3, &["rebalance", "nope"]),
        ("cluster to rebalance, dry", 3, &["rebalance", "nope", "--dry-run"]),
        ("cluster to rebalance, no name", 2, &["rebalance", "Nope!"]),
        ("no moves to rebalance", 2, &["rebalance", "--max-moves", "0"]),
        ("moves that are no number", 2, &["rebalance", "--max-moves", "many"]),
        ("host to drain in no time", 2, &["drain", "nope", "--timeout", "soon"]),
        ("cluster to change", 3, &["set", "cluster", "nope", "--healing", "none"]),
        ("cluster to end", 3, &["set", "cluster", "nope", "--ttl", "4h"]),
        ("host to unregister", 3, &["unregister", "nope"]),
        ("host to unregister by force", 3, &["unregister", "nope", "--force"]),
        ("realm", 3, &["get", "cluster", "nope", "--realm", "nowhere"]),
        ("realm to delete in", 3, &["delete", "cluster", "nope", "--realm", "nowhere"]),
        ("host to load an image on", 3, &["load", "image", "/dev/null", "--host", "nope"]),
        ("image archive", 2, &["load", "image", "nowhere.tar"]),
        ("agent binary", 2, &["get", "hosts", "--agent-binary", "nowhere"]),
        ("verb", 2, &["frobnicate"]),
        ("thing", 2, &["get", "whales"]),
        ("flag", 2, &["get", "hosts", "--nope"]),
    ] {
        bed.run(row(what, exit, args.iter().copied()));
    }
    insta::assert_snapshot!(bed.said());
}
