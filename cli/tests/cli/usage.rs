//! Commands that need no coordinator: invalid arguments, files and configurations, and which stream gets which text.

use std::{
    fs,
    io::{Read, Write},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::shoal::{Shoal, text};

#[test]
fn version_for_people_and_programs() {
    let shoal = Shoal::new();
    let human = text(&shoal.run(&["version"]).stdout);
    assert!(human.starts_with(&format!("shoal {} (", env!("CARGO_PKG_VERSION"))), "{human}");
    let json: serde_json::Value =
        serde_json::from_slice(&shoal.run(&["version", "-o", "json"]).stdout).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert!(shoal.home().read_dir().unwrap().next().is_none(), "version leaves no state");
}

#[test]
fn help_is_asked_for_or_an_error() {
    let shoal = Shoal::new();
    let help = shoal.run(&["--help"]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    for verb in ["register", "create", "exec", "ssh", "Exit status"] {
        assert!(help.contains(verb), "{verb} in {help}");
    }
    for hidden in ["proxy", "agent "] {
        assert!(!help.contains(&format!("\n  {hidden}")), "{hidden} in {help}");
    }
    for args in [&[][..], &["create"], &["get"], &["set"], &["no-such-verb"]] {
        assert_eq!(shoal.fails(args).0, 2, "{args:?}");
    }
}

#[test]
fn arguments_that_cannot_be() {
    let shoal = Shoal::new();
    let long = "x".repeat(41);
    let register = ["register", "host1", "--docker", "unix:///x"];
    for args in [
        &["create", "cluster", ""][..],
        &["create", "cluster", "Dev"],
        &["create", "cluster", &long],
        &["create", "cluster", "a.b"],
        &["create", "cluster", "--", "-dev"],
        &["create", "cluster", "dév"],
        &["create", "cluster", "../dev"],
        &["create", "cluster", "a\u{1b}[31mb"],
        &["create", "cluster", "--realm", "A"],
        &["create", "cluster", "--workers", "0"],
        &["create", "cluster", "--workers", "-1"],
        &["create", "cluster", "--workers", "10001"],
        &["create", "cluster", "--workers", "99999999999"],
        &["create", "cluster", "--cpus", "0"],
        &["create", "cluster", "--memory", "1"],
        &["create", "cluster", "--memory", "1.5g"],
        &["create", "cluster", "--image", "a b"],
        &["create", "cluster", "--scheduler", "best"],
        &["create", "cluster", "--scheduler", "grpc://10.0.0.1:7070"],
        &["create", "cluster", "--scheduler-fallback", "best"],
        &["create", "cluster", "--scheduler-timeout", "1h"],
        &["create", "cluster", "--apart", "boss"],
        &["create", "cluster", "--max-per-host", "0"],
        &["create", "cluster", "--spread-over", "a b"],
        &["create", "cluster", "--pin", "controller"],
        &["create", "cluster", "--pin", "worker-[0=host1"],
        &["explain", "placement"],
        &["explain", "placement", "../x"],
        &["create", "cluster", "--constraint", "a b"],
        &["create", "cluster", "--wait", "5"],
        &["create", "cluster", "--wait", "8d"],
        &["validate"],
        &["validate", "a", "b"],
        &["validate", "a", "--workers", "3"],
        &["delete", "cluster"],
        &["delete", "cluster", "a", "--all"],
        &["exec", "dev"],
        &["exec", "dev", "hostname"],
        &["ssh"],
        &["ssh", "a.b.c.d"],
        &["ssh", "-oProxyCommand=x"],
        &["sweep", "--grace", "5"],
        &["resume", "dev"],
        &["status"],
        &["status", "dev", "more"],
        &["doctor", "Host1"],
        &["proxy", "worker-0", "--port", "0"],
        &["get", "hosts", "--label", "a b"],
        &["get", "hosts", "-o", "xml"],
        &[&register[..], &["--label", "x"]].concat(),
        &[&register[..], &["--label", "x="]].concat(),
        &[&register[..], &["--overcommit", "cpu=0"]].concat(),
        &[&register[..], &["--underlay", "fe80::1"]].concat(),
        &[&register[..], &["--tls-ca", "a"]].concat(),
        &[&register[..], &["--tls-dir", "a", "--tls-ca", "a", "--tls-cert", "a", "--tls-key", "a"]].concat(),
        &["register", "host1"],
        &["completion", "tcsh"],
        &["build", "image", "--tag", "Node"],
    ] {
        let (status, error) = shoal.fails(args);
        assert_eq!(status, 2, "{args:?}: {error}");
        assert!(error.starts_with("error: "), "{args:?}: {error}");
        assert!(!error.contains('\u{1b}'), "{args:?}: {error:?}");
    }
}

#[test]
fn a_realm_comes_from_the_environment_last() {
    let shoal = Shoal::new();
    let output = shoal.command(&["get", "clusters"]).env("SHOAL_REALM", "Bad").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.starts_with("error: SHOAL_REALM: realm name `Bad` is not usable"), "{error}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let shoal = Shoal::new();
    fs::write(shoal.home().join("cert.pem"), "not a certificate").unwrap();
    let (status, error) =
        shoal.fails(&["register", "host1", "--docker", "tcp://h:2376", "--tls-dir", "none"]);
    assert_eq!(status, 2);
    assert_eq!(
        error,
        "error: cannot read the CA certificate none/ca.pem: No such file or directory (os error 2)\n\
         hint: --tls-dir takes a directory with ca.pem, cert.pem and key.pem, as docker has them\n"
    );
    let tls = ["--tls-ca", "cert.pem", "--tls-cert", "cert.pem", "--tls-key", "cert.pem"];
    let (status, error) =
        shoal.fails(&[&["register", "host1", "--docker", "tcp://h:2376"][..], &tls].concat());
    assert_eq!(status, 2);
    assert!(error.starts_with("error: cert.pem is not a CA certificate in PEM form"), "{error}");
    let (status, error) = shoal.fails(&["load", "image", "none.tar"]);
    assert_eq!(
        (status, error.as_str()),
        (
            2,
            "error: cannot read none.tar: No such file or directory (os error 2)\n\
             hint: check the path and its permissions\n"
        )
    );
    let (status, error) = shoal.fails(&["--agent-binary", "cert.pem", "get", "hosts"]);
    assert_eq!(status, 2);
    assert!(error.contains("not a Linux executable"), "{error}");
}

#[test]
fn bad_configurations() {
    let shoal = Shoal::new();
    fs::write(shoal.home().join("dev.yaml"), "kind: Cluster\ndefaults:\n  memroy: 1g\n").unwrap();
    let (status, error) = shoal.fails(&["create", "cluster", "--config", "dev.yaml"]);
    assert_eq!(status, 2);
    assert_eq!(error, "error: dev.yaml:3:3: unknown key `memroy`\nhint: did you mean `memory`?\n");
    let (status, error) = shoal.fails(&["create", "cluster", "--config", "none.yaml", "--dry-run"]);
    assert_eq!(
        (status, error.as_str()),
        (
            2,
            "error: cannot read none.yaml: No such file or directory (os error 2)\n\
             hint: see that the file is there and may be read; `-` reads standard input\n"
        )
    );
    let (status, error) = shoal.fails(&["create", "cluster", "--config", "-"]);
    assert_eq!(status, 2);
    assert!(error.starts_with("error: <stdin>: the configuration is empty\n"), "{error}");

    let mut child = shoal
        .command(&["create", "cluster", "--config", "-", "--workers", "3"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"kind: Cluster\nnodes: [controller, worker, worker]\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.starts_with("error: --workers needs exactly one group of workers, and <stdin> has 2\n"),
        "{error}"
    );
}

#[test]
fn a_file_is_validated_without_store_or_state() {
    let shoal = Shoal::new();
    let yaml = "kind: Cluster\nname: dev\nnodes: [controller, {worker: 3}, worker]\n";
    fs::write(shoal.home().join("dev.yaml"), yaml).unwrap();
    let validate = |args: &[&str], realm: &str| {
        let mut command =
            shoal.command(&[&["validate", "dev.yaml", "--store", "postgres://nowhere"], args].concat());
        let output = command.env_remove("HOME").env("SHOAL_REALM", realm).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{args:?}");
        text(&output.stdout)
    };
    assert_eq!(validate(&[], ""), "dev.yaml: cluster dev in realm default: 1 controller, 4 workers\n");
    assert_eq!(validate(&[], "lab"), "dev.yaml: cluster dev in realm lab: 1 controller, 4 workers\n");
    for quiet in [&["-q"][..], &["-o", "name"]] {
        assert_eq!(validate(quiet, ""), "dev\n");
    }
    let json: Value = serde_json::from_str(&validate(&["-o", "json", "--realm", "own"], "lab")).unwrap();
    let nodes = json!({ "controller": 1, "submitter": 0, "api": 0, "worker": 4 });
    assert_eq!(json, json!({ "file": "dev.yaml", "realm": "own", "name": "dev", "nodes": nodes }));

    fs::write(shoal.home().join("dev.yaml"), "kind: Cluster\nrealm: lab\nnodez: []\n").unwrap();
    let refused = "error: dev.yaml:3:1: unknown key `nodez`\nhint: did you mean `nodes`?\n";
    assert_eq!(shoal.fails(&["validate", "dev.yaml", "-o", "json"]), (2, refused.to_owned()));
    assert_eq!(shoal.fails(&["create", "cluster", "--config", "dev.yaml"]), (2, refused.to_owned()));
    assert_eq!(shoal.home().read_dir().unwrap().count(), 1, "only the file is there");
}

#[test]
fn without_a_home_a_state_directory_must_be_named() {
    let shoal = Shoal::new();
    let output = shoal.command(&["get", "hosts"]).env_remove("HOME").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.ends_with("hint: name one with --state-dir or SHOAL_STATE_DIR\n"), "{error}");
}

#[test]
fn completions() {
    let shoal = Shoal::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = shoal.run(&["completion", shell]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("SHOAL_COMPLETE="), "{shell}");
    }
    let mut asked = shoal.command(&["--", "shoal", "unr"]);
    let output = asked.env("SHOAL_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "1").output().unwrap();
    assert_eq!(text(&output.stdout), "unregister");
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let shoal = Shoal::new();
    let mut child =
        shoal.command(&["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Nobody reads: closed before anything is written, or while it is.
    let mut first = [0; 1];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}
