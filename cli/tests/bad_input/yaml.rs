//! Configurations that cannot be: each refused with the file, the line and what to write instead, and soon; by `validate` in
//! the words of `create`.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::bed::{Bed, row};

/// A refusal of the largest or most twisted configuration takes no longer, on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

/// Each level has ten of the level below.
fn bomb() -> String {
    let mut text = String::from("kind: Cluster\nslurm:\n  main:\n    a0: &a0 x\n");
    for n in 1..10 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        text += &format!("    a{n}: &a{n} [{aliases}]\n");
    }
    text
}

/// Asserts that `shoal validate` says what `shoal create cluster --config` says.
fn assert_alike(validated: Bed, created: &str) {
    assert_eq!(validated.said().replace("$ shoal validate", "$ shoal create cluster --config"), created);
}

#[test]
fn that_cannot_be() {
    let (mut bed, mut validated) = (Bed::new(), Bed::new());
    let deep = format!("kind: Cluster\nnodes: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let blocks: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let wide = format!("kind: Cluster\nnodes:\n{}", "- worker\n".repeat(20_000));
    for (what, text) in [
        ("empty", String::new()),
        ("only comments", "# nothing\n\n  # here\n".into()),
        ("only a document marker", "---\n".into()),
        ("null", "null\n".into()),
        ("a list", "- a\n- b\n".into()),
        ("a word", "Cluster\n".into()),
        ("no kind", "name: dev\n".into()),
        ("another kind", "kind: Pod\n".into()),
        ("misspelt key", "kind: Cluster\nnodez:\n  - controller\n".into()),
        ("unknown key", "kind: Cluster\nzzz: 1\n".into()),
        ("key of later", "kind: Cluster\nstorage: {}\n".into()),
        ("unknown key of a node", "kind: Cluster\nnodes:\n  - {role: worker, ram: 1g}\n".into()),
        ("key that forges a line", "kind: Cluster\n\"a\\nerror: forged\\e[31m\": 1\n".into()),
        ("wrong type: name", "kind: Cluster\nname: [a]\n".into()),
        ("wrong type: nodes", "kind: Cluster\nnodes: many\n".into()),
        ("wrong type: count", "kind: Cluster\nnodes:\n  - worker: many\n".into()),
        ("wrong type: defaults", "kind: Cluster\ndefaults: 1\n".into()),
        ("wrong type: memory", "kind: Cluster\ndefaults: {memory: [1]}\n".into()),
        ("wrong type: cpus", "kind: Cluster\ndefaults: {cpus: true}\n".into()),
        ("bad name", "kind: Cluster\nname: ../x\n".into()),
        ("bad realm", "kind: Cluster\nrealm: A\n".into()),
        ("bad role", "kind: Cluster\nnodes:\n  - captain\n".into()),
        ("bad scheduler", "kind: Cluster\nscheduler: best\n".into()),
        ("bad constraint", "kind: Cluster\nconstraints: ['a b']\n".into()),
        ("bad image", "kind: Cluster\ndefaults: {image: 'a b'}\n".into()),
        ("count 0", "kind: Cluster\nnodes:\n  - worker: 0\n".into()),
        ("count -1", "kind: Cluster\nnodes:\n  - worker: -1\n".into()),
        ("count 99999999999", "kind: Cluster\nnodes:\n  - worker: 99999999999\n".into()),
        ("count 1e30", "kind: Cluster\nnodes:\n  - worker: 1e30\n".into()),
        (
            "counts that overflow together",
            "kind: Cluster\nnodes:\n- worker: 4294967295\n- worker: 4294967295\n".into(),
        ),
        ("cpus 1e30", "kind: Cluster\ndefaults: {cpus: 1e30}\n".into()),
        ("cpus .nan", "kind: Cluster\ndefaults: {cpus: .nan}\n".into()),
        ("cpus 0", "kind: Cluster\ndefaults: {cpus: 0}\n".into()),
        ("memory -1", "kind: Cluster\ndefaults: {memory: -1}\n".into()),
        ("memory 1PiB", "kind: Cluster\ndefaults: {memory: 1PiB}\n".into()),
        ("memory too small", "kind: Cluster\ndefaults: {memory: 1}\n".into()),
        ("mtu 0", "kind: Cluster\nmtu: 0\n".into()),
        ("mtu 65486", "kind: Cluster\nmtu: 65486\n".into()),
        ("mtu of a host", "kind: Cluster\nmtu: auto\n".into()),
        ("wrong type: mtu", "kind: Cluster\nmtu: {bytes: 1400}\n".into()),
        ("healing", "kind: Cluster\nhealing: {policy: always}\n".into()),
        ("ttl too short", "kind: Cluster\nttl: 59s\n".into()),
        ("ttl of a number", "kind: Cluster\nttl: 4\n".into()),
        ("healing too late", "kind: Cluster\nhealing: {after: 9d}\n".into()),
        ("copies too seldom", "kind: Cluster\nhealing: {copies: 2h}\n".into()),
        ("wrong type: healing", "kind: Cluster\nhealing: restart\n".into()),
        ("two controllers", "kind: Cluster\nnodes: [controller, controller, worker]\n".into()),
        ("controller: 2", "kind: Cluster\nnodes:\n  - controller: 2\n".into()),
        ("no worker", "kind: Cluster\nnodes: [controller]\n".into()),
        ("no controller", "kind: Cluster\nnodes: [worker]\n".into()),
        ("duplicate key", "kind: Cluster\nname: a\nname: b\n".into()),
        ("duplicate key below", "kind: Cluster\ndefaults:\n  cpus: 1\n  cpus: 2\n".into()),
        ("duplicate key of a node", "kind: Cluster\nnodes:\n  - {role: worker, count: 1, count: 2}\n".into()),
        ("two documents", "kind: Cluster\n---\nkind: Cluster\n".into()),
        ("tab", "kind: Cluster\n\tname: a\n".into()),
        ("unclosed", "kind: Cluster\nnodes: [controller\n".into()),
        ("unknown alias", "kind: Cluster\nname: *a\n".into()),
        ("alias of itself", "kind: Cluster\nnodes: &a [*a]\n".into()),
        ("alias bomb", bomb()),
        ("deeply nested", deep),
        ("deeply nested blocks", format!("kind: Cluster\nslurm:\n{blocks}")),
        ("more nodes than any cluster", wide),
        ("binary", "kind: Cluster\nname: !!binary /w==\n".into()),
    ] {
        let start = Instant::now();
        bed.run(row(what, 2, ["create", "cluster", "--config", "-"]).input(text.as_str()));
        assert!(start.elapsed() < SOON, "{what}");
        validated.run(row(what, 2, ["validate", "-"]).input(text));
    }
    let said = bed.said();
    insta::assert_snapshot!(said);
    assert_alike(validated, &said);
}

#[test]
fn that_cannot_be_read() {
    let mut bed = Bed::new();
    bed.file("latin1.yaml", b"kind: Cluster\nname: d\xe9v\n");
    bed.file("nul.yaml", b"kind: Cluster\nname: \0\n");
    // 100 MB of which nothing but the first is read: a hole.
    fs::File::create(bed.home().join("huge.yaml")).unwrap().set_len(100 << 20).unwrap();
    let huge_start = Instant::now();
    bed.run(row("huge", 2, ["create", "cluster", "--config", "huge.yaml"]));
    assert!(huge_start.elapsed() < SOON);
    fs::remove_file(bed.home().join("huge.yaml")).unwrap();
    for (what, path) in [
        ("not UTF-8", "latin1.yaml"),
        ("a NUL in it", "nul.yaml"),
        ("missing", "nowhere.yaml"),
        ("a directory", "."),
        ("endless", "/dev/zero"),
        ("empty name", ""),
    ] {
        bed.run(row(what, 2, ["create", "cluster", "--config", path]));
    }
    bed.file("groups.yaml", "kind: Cluster\nnodes: [controller, worker, worker]\n");
    let args = ["create", "cluster", "--config", "groups.yaml", "--workers", "3"];
    bed.run(row("--workers of which group", 2, args));
    insta::assert_snapshot!(bed.said());
}

#[test]
fn that_cannot_be_validated() {
    let mut bed = Bed::new();
    bed.file("dev.yaml", "kind: Cluster\nnodes:\n  - controller\n  - {role: worker, ram: 1g}\n");
    bed.file("fine.yaml", "kind: Cluster\n");
    for (what, args) in [
        ("no file", &[][..]),
        ("two files", &["fine.yaml", "dev.yaml"]),
        ("a flag of create", &["fine.yaml", "--workers", "3"]),
        ("bad realm", &["fine.yaml", "--realm", "A"]),
        ("missing", &["nowhere.yaml"]),
        ("a directory", &["."]),
        ("empty name", &[""]),
        ("unknown key of a node", &["dev.yaml"]),
        ("the same, for programs", &["dev.yaml", "-o", "json"]),
    ] {
        bed.run(row(what, 2, ["validate"].iter().chain(args)));
    }
    bed.run(row("realm of the environment", 2, ["validate", "fine.yaml"]).env("SHOAL_REALM", "A"));
    insta::assert_snapshot!(bed.said());
}
