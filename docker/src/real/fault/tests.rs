//! Answers captured from engines (20.10.24 and 28.5.2, unless noted), and what they mean.

use super::*;
use crate::{CallClass, RetryClass};

fn outcome(name: &'static str, subject: Subject, status_code: u16, message: &str) -> EngineError {
    let call = Call::new(name, subject, CallClass::Write);
    let error = match status_code {
        200 => Error::DockerStreamError { error: message.to_owned() },
        _ => Error::DockerResponseServerError { status_code, message: message.to_owned() },
    };
    fault(&Endpoint::local(), &call, error)
}

fn container(status: u16, message: &str) -> EngineError {
    outcome("start", Subject::Container("n1".into()), status, message)
}

fn network(status: u16, message: &str) -> EngineError {
    outcome("create network", Subject::Network("net".into()), status, message)
}

#[test]
fn three_kinds_of_409() {
    let in_use = r#"Conflict. The container name "/n1" is already in use by container "0a1b". You have to remove (or rename) that container to be able to reuse that name."#;
    assert!(matches!(container(409, in_use), EngineError::NameInUse { .. }));
    for removing in [
        "removal of container n1 is already in progress",
        "container is marked for removal and cannot be started",
    ] {
        assert!(matches!(container(409, removing), EngineError::RemovalInProgress { .. }), "{removing}");
    }
    let stopped = container(409, "Cannot kill container: n1: Container 0a1b is not running");
    assert!(is_not_running(&stopped));
    let paused = container(409, "Container 0a1b is paused, unpause the container before exec");
    assert!(matches!(paused, EngineError::Conflict { .. }) && !is_not_running(&paused));
}

#[test]
fn what_is_missing() {
    let cases = [
        (container(404, "No such container: n1"), Subject::Container("n1".into())),
        (container(404, "No such image: Shoal/Node:1"), Subject::Image("Shoal/Node:1".into())),
        (container(404, "network 0123456789ab not found"), Subject::Network("0123456789ab".into())),
        (
            container(404, "failed to set up container networking: network 0123456789ab not found"),
            Subject::Network("0123456789ab".into()),
        ),
        (
            outcome("remove volume", Subject::Volume("v".into()), 404, "get v: no such volume"),
            Subject::Volume("v".into()),
        ),
        (
            outcome(
                "pull image",
                Subject::Image("nobody/nothing".into()),
                404,
                "pull access denied for nobody/nothing, repository does not exist or may require 'docker login'",
            ),
            Subject::Image("nobody/nothing".into()),
        ),
    ];
    for (error, wanted) in cases {
        let EngineError::NotFound { subject, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*subject, wanted);
        assert_eq!((error.class(), error.blames_host()), (RetryClass::Observe, false));
    }
    assert!(matches!(container(404, "page not found"), EngineError::BadAnswer { .. }));
}

#[test]
fn addresses_and_pools() {
    for status in [403, 409, 500] {
        assert!(matches!(container(status, "Address already in use"), EngineError::AddressInUse { .. }));
    }
    for (status, text) in [
        (403, "Pool overlaps with other one on this address space"),
        (400, "invalid pool request: Pool overlaps with other one on this address space"),
        (
            403,
            "cannot create network 0a (br-a): conflicts with network 0b (br-b): networks have overlapping IPv4",
        ),
    ] {
        assert!(matches!(network(status, text), EngineError::PoolOverlap { .. }), "{text}");
    }
    let bridge =
        "cannot create network 0a (br-a): conflicts with network 0b (br-a): networks have same bridge name";
    assert!(matches!(network(403, bridge), EngineError::Conflict { .. }));
    let busy = "error while removing network: network net id 0a has active endpoints";
    assert!(matches!(network(403, busy), EngineError::Conflict { .. }));
    assert!(matches!(network(409, "network with name net already exists"), EngineError::NameInUse { .. }));
}

#[test]
fn whose_fault_it_is() {
    let user =
        container(400, "OCI runtime create failed: exec: \"x\": executable file not found in $PATH: unknown");
    assert_eq!((user.class(), user.blames_host()), (RetryClass::User, false));
    let engine = container(500, "something went wrong");
    assert_eq!((engine.class(), engine.blames_host()), (RetryClass::Retry, true));
    assert!(engine.effect_unknown());
    let full = container(500, "mkdir /var/lib/docker/overlay2/0a: no space left on device");
    assert!(matches!(full, EngineError::DiskFull { .. }) && full.blames_host());
    let odd = container(302, "");
    assert!(matches!(odd, EngineError::NotDocker { .. }));
}

#[test]
fn an_archive_that_is_none_is_the_callers() {
    let put = |text| {
        let path = Subject::Path { container: "n1".into(), path: "/".into() };
        outcome("put archive", path, 500, text)
    };
    for text in [
        "Error processing tar file(exit status 1): archive/tar: invalid tar header",
        "archive/tar: invalid tar header",
        "Error processing tar file(exit status 1): cannot overwrite directory \"/etc\" with non-directory \"/\"",
        "cannot overwrite directory \"etc\" with non-directory \"/\"",
    ] {
        let error = put(text);
        assert!(matches!(error, EngineError::BadRequest { .. }) && !error.blames_host(), "{error:?}");
    }
    assert!(matches!(put("something went wrong"), EngineError::ServerError { .. }));
}

#[test]
fn errors_inside_a_stream() {
    let load = |text| outcome("load image", Subject::Engine, 200, text);
    assert!(matches!(load("archive/tar: invalid tar header"), EngineError::BadRequest { .. }));
    assert!(matches!(load("write /x: no space left on device"), EngineError::DiskFull { .. }));
    assert!(matches!(load("something else"), EngineError::ServerError { status: 200, .. }));
}

#[test]
fn foreign_text_is_one_short_line() {
    let error = container(500, &format!("a\n\u{1b}[31mb {}", "x".repeat(1000)));
    let shown = error.to_string();
    assert!(!shown.contains(['\n', '\u{1b}']) && shown.ends_with("...") && shown.len() < 400, "{shown}");
}

#[test]
fn a_stopped_engine_is_refused_over_ssh_as_over_tcp() {
    let to: Endpoint = "ssh://gpu1".parse().unwrap();
    let call = Call::new("ping", Subject::Engine, CallClass::Read);
    let over = |problem: SshProblem| fault(&to, &call, Error::IOError { err: io::Error::other(problem) });
    let said = || "channel 1: open failed: connect failed".to_owned();
    let stopped = over(SshProblem::NoSocket {
        said: said(),
        socket: "/var/run/docker.sock".into(),
        typed: "gpu1".into(),
    });
    assert!(matches!(stopped, EngineError::Refused { .. }), "{stopped:?}");
    assert_eq!(stopped.class(), RetryClass::Retry);
    let told = shoal_types::chain(&stopped);
    assert!(told.contains("sshd does not reach /var/run/docker.sock"), "{told}");
    let barred = over(SshProblem::Forbidden { said: said() });
    assert_eq!(barred.class(), RetryClass::Fatal);
}
