//! What answers where an engine should, or does not.

use std::net::TcpListener;

use crate::{
    authority::{Authority, When},
    bed::{Bed, row},
    stub::{self, Manner},
};

#[test]
fn answers_that_are_no_engines() {
    let mut bed = Bed::new();
    let ours = Authority::new("ours", When::Now);
    let dir = ours.client(&bed, "client");
    for (at, (what, exit, manner)) in [
        ("a web server", 1, Manner::Answer(200, "<html>hello</html>")),
        ("another JSON service", 1, Manner::Answer(200, r#"{"name":"other"}"#)),
        ("not found", 1, Manner::Answer(404, "404 page not found")),
        ("a redirect", 1, Manner::Answer(301, "moved")),
        ("a proxy that wants a password", 1, Manner::Answer(401, "who are you?")),
        ("a broken gateway", 5, Manner::Answer(502, "bad gateway \u{1b}[31m")),
        ("an empty answer", 1, Manner::Answer(200, "")),
        (
            "Podman",
            1,
            Manner::Answer(
                200,
                r#"{"ApiVersion":"1.41","Components":[{"Name":"Podman Engine","Version":"4.9.3"}]}"#,
            ),
        ),
        ("SSH", 1, Manner::Say(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")),
        ("a closed door", 5, Manner::Close),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = stub::unix(&bed.home().join(format!("s{at}")), manner.clone());
        bed.run(row(format!("{what}, on a socket"), exit, ["register", "new", "--docker", &socket]));
        let port = stub::tcp(manner.clone(), Some(ours.server("127.0.0.1", When::Now)));
        bed.redact(format!(":{port}"), ":PORT");
        let endpoint = format!("tcp://127.0.0.1:{port}");
        bed.run(row(
            format!("{what}, in TLS"),
            exit,
            ["register", "new", "--docker", &endpoint, "--tls-dir", &dir],
        ));
    }
    insta::assert_snapshot!(bed.said());
}

#[test]
fn nobody() {
    let mut bed = Bed::new();
    // The error of a resolver without a server, or without an answer.
    bed.redact("Temporary failure in name resolution", "Name or service not known");
    let dir = Authority::new("ours", When::Now).client(&bed, "client");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    bed.redact(format!(":{port}"), ":PORT");
    let refuses = format!("tcp://127.0.0.1:{port}");
    bed.run(row("a port that refuses", 5, ["register", "new", "--docker", &refuses, "--tls-dir", &dir]));
    let port = stub::tcp(Manner::Say(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), None);
    bed.redact(format!(":{port}"), ":PORT");
    let ssh = format!("tcp://127.0.0.1:{port}");
    bed.run(row("SSH where TLS should be", 1, ["register", "new", "--docker", &ssh, "--tls-dir", &dir]));
    let unknown = "tcp://no-such-host.invalid:2376";
    bed.run(row("a name without an address", 5, ["register", "new", "--docker", unknown, "--tls-dir", &dir]));
    bed.file("plain", "");
    for (what, path) in [("no such socket", "nowhere"), ("a file", "plain"), ("a directory", "")] {
        let endpoint = format!("unix://{}", bed.path(path));
        bed.run(row(what, 5, ["register", "new", "--docker", &endpoint]));
    }
    insta::assert_snapshot!(bed.said());
}

#[test]
fn endpoints_that_cannot_be_read() {
    let mut bed = Bed::new();
    for endpoint in [
        "",
        "127.0.0.1:2375",
        "http://x",
        "ssh://",
        "ssh://-oProxyCommand=x",
        "ssh://u:hunter2@x",
        "ssh://x:0",
        "ssh://x/a b",
        "tcp://",
        "tcp://:2376",
        "tcp://x:0",
        "tcp://x:99999",
        "tcp://x:-1",
        "tcp://x/path",
        "tcp://u:hunter2@x:2376",
        "tcp://[::1",
        "tcp://a b",
        "unix://",
        "unix://relative/docker.sock",
        "npipe:////./pipe/docker_engine",
        "tcp://\u{1b}[31m",
    ] {
        bed.run(row("endpoint", 2, ["register", "new", "--docker", endpoint]));
    }
    insta::assert_snapshot!(bed.said());
}

#[test]
fn accepts_and_never_answers() {
    let mut bed = Bed::new();
    let dir = Authority::new("ours", When::Now).client(&bed, "client");
    let socket = stub::unix(&bed.home().join("s"), Manner::Hang);
    bed.run(row("a silent socket", 5, ["register", "new", "--docker", &socket]));
    let port = stub::tcp(Manner::Hang, None);
    bed.redact(format!(":{port}"), ":PORT");
    let endpoint = format!("tcp://127.0.0.1:{port}");
    bed.run(row("a silent port", 5, ["register", "new", "--docker", &endpoint, "--tls-dir", &dir]));
    insta::assert_snapshot!(bed.said());
}
