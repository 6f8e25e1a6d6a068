//! A coordinator on an empty store: what lists show, and what is not found.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

use serde_json::{Value, json};

use crate::shoal::{Shoal, text};

#[test]
fn lists_are_empty() {
    let shoal = Shoal::new();
    for what in ["hosts", "clusters", "nodes", "networks", "events"] {
        let output = shoal.run(&["get", what, "-o", "json"]);
        assert_eq!(text(&output.stderr), "", "{what}");
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!([]), "{what}");
    }
    let output = shoal.run(&["get", "hosts"]);
    assert_eq!(text(&output.stdout), "no hosts; register one: shoal register NAME --docker ENDPOINT\n");
}

#[test]
fn state_is_private_and_where_it_is_said_to_be() {
    let shoal = Shoal::new();
    shoal.run(&["get", "hosts"]);
    let dir = shoal.home().join(".local/state/shoal");
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    shoal.run(&["get", "hosts", "--state-dir", "here"]);
    assert!(shoal.home().join("here").read_dir().unwrap().next().is_some());
}

#[test]
fn what_is_named_is_not_found() {
    let shoal = Shoal::new();
    for (args, status) in [
        (&["get", "cluster", "dev"][..], 3),
        (&["get", "nodes", "dev"], 3),
        (&["delete", "cluster", "dev"], 3),
        (&["set", "host", "host1", "--label", "rack=b"], 3),
        (&["unregister", "host1"], 3),
        (&["proxy", "worker-0.dev"], 3),
        (&["exec", "dev", "--", "true"], 125),
        (&["ssh", "worker-0.dev"], 255),
    ] {
        let (exit, error) = shoal.fails(args);
        assert_eq!(exit, status, "{args:?}: {error}");
        let subject = if args.contains(&"host1") { "host1" } else { "dev" };
        assert!(error.starts_with("error: ") && error.contains(subject), "{args:?}: {error}");
    }
}

#[test]
fn nothing_to_delete_is_no_failure() {
    let shoal = Shoal::new();
    let output = shoal.run(&["delete", "cluster", "--all"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "no clusters to delete\n"));
    let output = shoal.run(&["delete", "cluster", "--all", "-o", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!({ "deleted": [] }));
}

#[test]
fn engines_that_cannot_be_reached() {
    let shoal = Shoal::new();
    // A socket file that nobody listens on any more, and none at all.
    let dead = shoal.home().join("dead.sock");
    drop(UnixListener::bind(&dead).unwrap());
    for endpoint in [format!("unix://{}", dead.display()), "unix:///nonexistent/docker.sock".to_owned()] {
        let (exit, error) = shoal.fails(&["register", "host1", "--docker", &endpoint]);
        assert_eq!(exit, 5, "{error}");
        assert!(error.contains("host1") && error.contains("hint: "), "{error}");
    }
    for endpoint in
        ["", "127.0.0.1:2375", "http://x", "tcp://", "unix://", "ssh://", "ssh://root:pw@x", "ssh://-x"]
    {
        let (exit, error) = shoal.fails(&["register", "host1", "--docker", endpoint]);
        assert_eq!(exit, 2, "{endpoint}: {error}");
    }
    assert_eq!(text(&shoal.run(&["get", "hosts", "-o", "json"]).stdout), "[]\n");
}

#[test]
fn state_that_cannot_be_used() {
    let shoal = Shoal::new();
    fs::write(shoal.home().join("file"), "").unwrap();
    let (exit, error) = shoal.fails(&["get", "hosts", "--state-dir", "file"]);
    assert_eq!(exit, 1, "{error}");
    assert!(error.contains("file"), "{error}");
    fs::create_dir(shoal.home().join("corrupt")).unwrap();
    fs::write(
        shoal.home().join("corrupt/shoal.db"),
        "this is no database, and long enough to be read as one".repeat(100),
    )
    .unwrap();
    let (exit, error) = shoal.fails(&["get", "hosts", "--state-dir", "corrupt"]);
    assert_eq!(exit, 1, "{error}");
    let (exit, error) = shoal.fails(&["get", "hosts", "--store", "mysql://x"]);
    assert_eq!(exit, 2, "{error}");
}

/// Where no host is registered, the engine that Docker's own variables name is the first; with one registered they count for nothing.
#[test]
fn the_first_host_is_the_one_that_docker_would_use() {
    let shoal = Shoal::new();
    let create = ["create", "cluster", "dev", "--dry-run"];
    for (variables, exit, said) in [
        (
            &[("DOCKER_HOST", "unix:///nonexistent.sock")][..],
            5,
            "DOCKER_HOST: host local: unix:///nonexistent.sock",
        ),
        (&[("DOCKER_HOST", "npipe://x")], 2, "DOCKER_HOST: endpoint `npipe://x`"),
        (&[("DOCKER_HOST", "gpu1:2376")], 2, "DOCKER_HOST: endpoint `gpu1:2376` has no scheme"),
        (
            &[("DOCKER_HOST", "tcp://gpu1:2376"), ("DOCKER_CERT_PATH", "/nonexistent")],
            2,
            "/nonexistent/ca.pem",
        ),
        (&[("DOCKER_HOST", "tcp://gpu1:2376")], 2, ".docker/ca.pem"),
        (&[("DOCKER_CONTEXT", "far")], 2, "no Docker context `far`"),
        (&[("DOCKER_CONTEXT", "default"), ("DOCKER_HOST", "")], 5, "DOCKER_CONTEXT: host default:"),
    ] {
        let output = shoal.command(&create).envs(variables.iter().copied()).output().unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{variables:?}: {error}");
        assert!(error.contains(said) && error.contains("hint: "), "{variables:?}: {error}");
    }
    let load = ["load", "image", "/dev/null"];
    let output = shoal.command(&load).env("DOCKER_HOST", "unix:///nonexistent.sock").output().unwrap();
    assert!(text(&output.stderr).contains("DOCKER_HOST: host local"), "{}", text(&output.stderr));
    assert_eq!(text(&shoal.run(&["get", "hosts", "-o", "json"]).stdout), "[]\n");
}
