//! Counts and sizes: zero, negative, absurd.

use crate::bed::{Bed, HOST, row};

#[test]
fn that_cannot_be() {
    let mut bed = Bed::new();
    for (flag, values) in [
        ("workers", &["0", "-1", "10001", "99999999999", "1.5", "", "x", "0x10"][..]),
        ("cpus", &["0", "-1", "1e30", "0.0001", "1000001", "NaN", "inf", ""]),
        ("memory", &["0", "-1", "1", "1PiB", "2048t", "18446744073709551616", "1.5g", "g", ""]),
        ("mtu", &["0", "-1", "575", "65486", "99999999999999999999", "1e3", "1400.5", "auto", ""]),
        ("healing", &["", "restarts", "None", "restart,none"]),
        ("heal-after", &["", "120", "-2m", "8d", "99999999999999999999s"]),
        ("ttl", &["", "0", "0s", "-4h", "59s", "366d", "4", "none", "99999999999999999999s"]),
        ("wait", &["5", "-1s", "8d", "99999999999999999999s", ""]),
    ] {
        for value in values {
            bed.run(row(flag, 2, ["create", "cluster", &format!("--{flag}={value}")]));
        }
    }
    for (flag, values) in [
        ("cpus", &["0", "-1", "1e30"][..]),
        ("memory", &["0", "-1", "1PiB2"]),
        ("mtu", &["0", "-1", "625", "65536", "99999999999999999999", "1e3", "1500.5", "Auto", ""]),
        ("privileged-nodes", &["", "yes", "Allow", "allow,deny"]),
        ("overcommit", &["cpu=0", "cpu=1000", "cpu=-1", "disk=2", "cpu=1,cpu=1"]),
        (
            "underlay",
            &["fe80::1", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0", "10.0.0.256"],
        ),
    ] {
        for value in values {
            let args = ["register", "new", "--docker=unix:///nonexistent", &format!("--{flag}={value}")];
            bed.run(row(format!("host's {flag}"), 2, args));
        }
    }
    bed.run(row("known host's mtu", 2, ["set", "host", HOST, "--mtu=100"]));
    for change in ["--healing=often", "--heal-after=8d", "--state-copies=5s"] {
        bed.run(row("cluster's healing", 2, ["set", "cluster", "dev", change]));
    }
    for change in ["--ttl=0", "--ttl=-4h", "--ttl=366d", "--ttl=None"] {
        bed.run(row("cluster's ttl", 2, ["set", "cluster", "dev", change]));
    }
    bed.run(row("nothing of a cluster", 2, ["set", "cluster", "dev"]));
    for port in ["0", "65536", "-1", "x"] {
        bed.run(row("port", 2, ["proxy", "worker-0.dev", &format!("--port={port}")]));
    }
    insta::assert_snapshot!(bed.said());
}
