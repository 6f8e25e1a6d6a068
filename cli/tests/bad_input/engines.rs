//! Engines that answer and cannot be used, and hosts that are registered already.

use serde_json::{Value, json};

use crate::{
    bed::{Bed, ENGINE, HOST, row},
    stub::{self, Manner},
};

/// `/info` of an engine that could be used.
fn info() -> Value {
    json!({
        "ID": "ENGINE-2", "ServerVersion": "28.5.2", "Architecture": std::env::consts::ARCH, "NCPU": 8,
        "MemTotal": 8_589_934_592_u64, "CgroupVersion": "2", "Driver": "overlay2", "KernelVersion": "6.18",
        "Name": "machine2", "OperatingSystem": "Debian", "CpuCfsQuota": true, "SecurityOptions": ["name=seccomp"],
    })
}

/// The same but for some fields.
fn but(changes: Value) -> Value {
    let mut info = info();
    for (key, value) in changes.as_object().unwrap() {
        info[key] = value.clone();
    }
    info
}

#[test]
fn refused() {
    let mut bed = Bed::new();
    let foreign = if std::env::consts::ARCH == "x86_64" { "aarch64" } else { "x86_64" };
    for (at, (what, exit, api, info)) in [
        ("engine before 20.10", 1, "1.40", info()),
        ("rootless", 1, "1.41", but(json!({ "SecurityOptions": ["name=seccomp", "name=rootless"] }))),
        ("user ids remapped", 1, "1.41", but(json!({ "SecurityOptions": ["name=userns"] }))),
        ("Docker Desktop", 1, "1.41", but(json!({ "OperatingSystem": "Docker Desktop" }))),
        ("Windows", 1, "1.41", but(json!({ "OperatingSystem": "Windows Server 2022" }))),
        ("foreign architecture", 1, "1.41", but(json!({ "Architecture": foreign }))),
        ("no cgroups", 1, "1.41", but(json!({ "CgroupVersion": null }))),
        ("no engine id", 1, "1.41", but(json!({ "ID": null }))),
        ("negative memory", 1, "1.41", but(json!({ "MemTotal": -1 }))),
        ("info that is a list", 1, "1.41", json!([])),
        ("engine registered already", 1, "1.41", but(json!({ "ID": ENGINE }))),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = stub::unix(&bed.home().join(format!("s{at}")), Manner::Engine(api, info.to_string()));
        bed.run(row(what, exit, ["register", "new", "--docker", &socket]));
    }
    let socket = stub::unix(&bed.home().join("s"), Manner::Engine("1.41", info().to_string()));
    bed.run(row("host name in use", 1, ["register", HOST, "--docker", &socket]));
    bed.run(row(
        "underlay address in use",
        1,
        ["register", "new", "--docker", &socket, "--underlay", "10.77.0.1"],
    ));
    bed.run(row("another engine for a host", 1, ["set", "host", HOST, "--docker", &socket]));
    insta::assert_snapshot!(bed.said());
}
